"""Which curves a report shows, and in which charts they stand together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs.report.records import Record, RunRecords, unlike
from tf_diffaug.titles import metric_title

# More points than a screen has pixels show nothing more.
_MOST_POINTS = 1500
_NO_CURVES = ("step", "kind", "protocol", "readings", "seconds", "time", "seed")


class Curves(NamedTuple):
    """One run's curves of a chart, over the same steps.

    Args:
        steps: int32 (n,), in order.
        values: by key, float32 (n,), NaN where there is none.
    """

    steps: np.ndarray
    values: dict[str, np.ndarray]


class Chart(NamedTuple):
    """Curves that stand together.

    Args:
        title: what they are.
        note: how to read them.
        labels: by key, of each curve.
        runs: for each run its curves, None if it has none.
        is_share: whether all values are in [0, 1].
    """

    title: str
    note: str
    labels: dict[str, str]
    runs: list[Curves | None]
    is_share: bool = False


_FID = ("FID during training", "lower is better", {"fid": "FID"})
_UNLIKE = "measured in unlike ways: one run's do not compare with another's"
_TRAIN = (
    ("Losses", "the adversarial terms", {"d_loss": "D", "g_loss": "G"}),
    (
        "What D says",
        "mean logits on plain images; reals apart from held-out reals: D memorises",
        {"d_real": "reals", "d_held_out": "held-out reals", "d_fake": "fakes"},
    ),
    (
        "How often D is right",
        "share of the batch",
        {
            "accuracy_real_aug": "augmented reals",
            "accuracy_held_out": "held-out reals as D sees reals",
            "accuracy_fake_aug": "augmented fakes",
            "accuracy_fake": "plain fakes",
        },
    ),
    (
        "Overfitting of D",
        "0: none; 1: D knows the training images by heart (arXiv 2006.06676)",
        {"r_t": "r_t, sign on reals", "r_v": "r_v, against held-out reals"},
    ),
)
_LEAK = (
    "Augmentation in the samples",
    "share of the samples; past what chance explains, it leaks",
    {"leak": "augmented", "leak_threshold": "up to here: chance", "leak_neither": "like neither"},
)
_SHARES = (*_TRAIN[2][2], *_LEAK[2], "precision", "recall", "coverage")
_SPEED = ("Speed", "images a second", {"images_per_second": "images/s"})


def charts_of(runs: Sequence[RunRecords]) -> list[Chart]:
    """The charts that any of the runs has a value for, FID first."""
    train = [run.train for run in runs]
    evaluated = [run.evaluated for run in runs]
    known = {key for _, _, labels in (*_TRAIN, _SPEED, _FID, _LEAK) for key in labels}
    more = [(key, "", {key: key}) for key in _keys(train) if key not in known]
    measured = [(metric_title(k), "", {k: k}) for k in _keys(evaluated) if k not in known]
    protocols = [one[-1].get("protocol", {}) for one in evaluated if one]
    title, note, fid = _FID
    made = [
        _chart(evaluated, title, _UNLIKE if unlike(protocols) else note, fid),
        *(_chart(train, *chart) for chart in _TRAIN),
        _chart(evaluated, *_LEAK),
        *(_chart(evaluated, *chart) for chart in measured),
        *_evaluation_charts(runs),
        *(_chart(train, *chart) for chart in more),
        _chart(train, *_SPEED),
    ]
    return [chart for chart in made if chart is not None]


def _chart(
    records: Sequence[Sequence[Record]], title: str, note: str, labels: Mapping[str, str]
) -> Chart | None:
    runs = [_curves(one, labels) for one in records]
    found = {key for curves in runs if curves is not None for key in curves.values}
    if not found:
        return None
    labels = {key: text for key, text in labels.items() if key in found}
    return Chart(title, note, labels, runs, is_share=set(labels) <= set(_SHARES))


def _curves(records: Sequence[Record], keys: Mapping[str, str]) -> Curves | None:
    """The curves of these keys; of more points than a screen shows, each some-th and the last."""
    told = [record for record in records if any(_is_number(record.get(key)) for key in keys)]
    if not told:
        return None
    stride = -(-len(told) // _MOST_POINTS)
    told = told[::-stride][::-1]
    steps = np.array([record["step"] for record in told], np.int32)
    with np.errstate(over="ignore"):  # what float32 has no room for is infinite
        values = {
            key: np.array([_number(record.get(key)) for record in told], np.float32) for key in keys
        }
    return Curves(steps, {key: row for key, row in values.items() if not np.isnan(row).all()})


def _evaluation_charts(runs: Sequence[RunRecords]) -> list[Chart]:
    """Of the metrics that `evaluate` measured at several steps of a run, in its latest protocol."""
    records = [_like_the_last(run.evaluations) for run in runs]
    if all(len(one) < 2 for one in records):
        return []
    keys = [key for key in _keys(records) if key in METRICS]
    shares = [key for key in keys if key in _SHARES]
    groups = [("Precision and recall", shares)] if shares else []
    groups += [(metric_title(key), [key]) for key in keys if key not in shares]
    made = []
    for title, group in groups:
        better = {"none": ""}.get(METRICS[group[0]].better, f"{METRICS[group[0]].better} is better")
        note = f"evaluated; {better}" if better else "evaluated"
        made.append(_chart(records, title, note, {key: metric_title(key) for key in group}))
    return [chart for chart in made if chart is not None]


def _like_the_last(evaluations: Sequence[Record]) -> list[Record]:
    """The values by step of the evaluations with the protocol of the last; the later one counts."""
    found = {}
    for record in evaluations:
        if _how(record) == _how(evaluations[-1]):
            means = {
                key: value.get("mean") if isinstance(value, dict) else value
                for key, value in record.get("values", {}).items()
            }
            found[record["step"]] = {"step": record["step"], **means}
    return [found[step] for step in sorted(found)]


def _how(record: Record) -> str:
    """The protocol as far as it says whether numbers compare."""
    protocol = dict(record.get("protocol", {}))
    for name in ("step", "chosen_on_same_data", "chosen_by", "name"):
        protocol.pop(name, None)
    return json.dumps(protocol, sort_keys=True, default=str)


def _keys(records: Sequence[Sequence[Record]]) -> list[str]:
    """The names of numbers, in order."""
    return list(
        dict.fromkeys(
            key
            for one in records
            for record in one
            for key, value in record.items()
            if key not in _NO_CURVES and _is_number(value)
        )
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else np.nan
