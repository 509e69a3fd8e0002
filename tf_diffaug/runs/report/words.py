"""What a report says in words of several runs, and how to make a run again."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs.config import Config, fields
from tf_diffaug.runs.report.records import Record, RunRecords, unlike
from tf_diffaug.runs.settings import shown
from tf_diffaug.runs.words import protocol_words, value_in_words
from tf_diffaug.titles import metric_title

_FIRST = ("fid", "kid", "is", "precision", "recall", "density", "coverage")
_SAME_FOR_ALL = ("run_dir", "preset")
# What a recipe says nothing of.
_UNSAID = {"Start": "weights drawn from the seed."}
# By the name in a protocol, the flag of `evaluate` that asks for it.
_PROTOCOL_FLAGS = {
    "step": "checkpoint",
    "num_fakes": "num_fakes",
    "split": "fid_split",
    "batch_norm": "eval_batch_norm",
}


class Row(NamedTuple):
    """A line of a table with a cell for each run.

    Args:
        subject: what it is about.
        cells: a text for each run; one alone if all runs have the same.
    """

    subject: str
    cells: list[str]


def differences(runs: Sequence[RunRecords]) -> list[Row]:
    """The settings, images and software that are not the same in all runs."""
    rows = [
        Row(name, [shown(field, getattr(run.recipe.config, name)) for run in runs])
        for name, field in fields().items()
        if name not in _SAME_FOR_ALL
    ]
    rows.append(Row("images", [str(run.facts.get("num_images", "not known")) for run in runs]))
    prints = [run.facts.get("fingerprint", "") for run in runs]
    rows.append(Row("content of the images", _alike(prints, "set")))
    prints = ["" if run.initial is None else run.initial.fingerprint for run in runs]
    rows.append(Row("weights at the start", _alike(prints, "weights")))
    names = dict.fromkeys(name for run in runs for name in run.versions)
    rows += [
        Row(name, [str(run.versions.get(name, "not known")) for run in runs]) for name in names
    ]
    return [row for row in rows if len(set(row.cells)) > 1]


def _alike(prints: Sequence[str], what: str) -> list[str]:
    """Fingerprints say no more than which are alike; there may be none."""
    known = dict.fromkeys(filter(None, prints))
    names = {one: f"{what} {index}" for index, one in enumerate(known, 1)}
    return [names.get(one, "none") for one in prints]


def recipes(runs: Sequence[RunRecords]) -> list[Row]:
    """The recipes in words, what all runs share said once."""
    told = [run.words() for run in runs]
    rows = []
    for subject in max(told, key=len):
        cells = [words.get(subject, _UNSAID.get(subject, "not known.")) for words in told]
        rows.append(Row(subject, cells[:1] if len(set(cells)) == 1 else cells))
    return rows


class Evaluations(NamedTuple):
    """The latest evaluations of runs, side by side.

    Args:
        rows: a metric each, and an arrow to where it is better.
        steps: of each run's checkpoint; empty if it has no evaluation.
        protocols: how each was measured.
        readings: for each run, metrics and what they say.
        classes: for each run, its classes and their values in words.
        unlike: why the numbers do not compare, if they do not.
    """

    rows: list[tuple[Row, str]]
    steps: list[str]
    protocols: list[str]
    readings: list[list[tuple[str, str]]]
    classes: list[list[tuple[str, str]]]
    unlike: str | None


def evaluations(runs: Sequence[RunRecords]) -> Evaluations | None:
    """The latest evaluation of each run; None if no run has one."""
    records = [run.evaluation() or {} for run in runs]
    if not any(records):
        return None
    keys = dict.fromkeys(key for record in records for key in record.get("values", {}))
    keys = sorted(keys, key=_place)
    rows = []
    for key in keys:
        better = METRICS[key].better if key in METRICS else "none"
        cells = [value_in_words(record.get("values", {}).get(key)) for record in records]
        better = {"lower": "↓", "higher": "↑"}.get(better, "")
        rows.append((Row(metric_title(key), cells), better))
    return Evaluations(
        rows,
        [f"step {record['step']:,}" if record else "" for record in records],
        [_how(record) for record in records],
        [
            [(metric_title(key), str(text)) for key, text in record.get("readings", {}).items()]
            for record in records
        ],
        [_by_class(record) for record in records],
        unlike([record["protocol"] for record in records if record.get("protocol")]),
    )


def _by_class(record: Record) -> list[tuple[str, str]]:
    return [
        (
            name,
            ", ".join(
                f"{metric_title(key)} {value_in_words(value)}" for key, value in values.items()
            ),
        )
        for name, values in record.get("classes", {}).items()
    ]


def _place(key: str) -> int:
    """The metrics that most papers report come first, and what belongs to one stands by it."""
    stem = key.partition("_")[0]
    return _FIRST.index(stem) if stem in _FIRST else len(_FIRST)


def _how(record: Record) -> str:
    words = protocol_words(record.get("protocol", {}))
    seeds = record.get("protocol", {}).get("seeds") or ()
    if len(seeds) > 1:
        words += f"; mean and deviation over {len(seeds)} draws of fakes"
    return f"Measured on {words}." if words else ""


def commands(run: RunRecords) -> list[tuple[str, str]]:
    """What makes a run and its pictures again: by subject a line for the shell."""
    tool, path = "python -m tf_diffaug", shlex.quote(str(run.path))
    return [
        ("The run, anew", _train_again(run)),
        ("Its evaluation", f"{tool} evaluate {path}{_protocol_flags(run)}"),
        ("Images, grids, animations", f"{tool} generate {path} --what=all"),
        ("To share its generator", f"{tool} export {path}"),
    ]


def page_command(runs: Sequence[RunRecords], out: str | os.PathLike) -> str:
    """What writes a page of these runs again."""
    folders = [str(run.path) for run in runs]
    place = [f"--out={out}", "--overwrite"] if len(folders) > 1 else []
    return shlex.join(["python", "-m", "tf_diffaug", "report", *folders, *place])


def _train_again(run: RunRecords) -> str:
    """In a folder beside the run's, and from the weights of the step that it began with."""
    name = os.path.basename(os.path.abspath(run.path))
    beside = os.path.normpath(run.path / os.pardir / f"{name}-again")
    config = run.recipe.config
    if run.initial is not None and run.initial.step is not None:
        config = dataclasses.replace(config, init_checkpoint=str(run.initial.step))
    return train_command(config, run_dir=beside)


def train_command(config: Config, *, run_dir: str) -> str:
    """The command that trains with these settings, in another folder.

    The preset is left out: all that it says is among the settings.
    """
    config = dataclasses.replace(config, run_dir=run_dir, preset=None)
    default = Config()
    flags = [
        f"--{name}={shown(field, value)}"
        for name, field in fields().items()
        if (value := getattr(config, name)) != getattr(default, name)
    ]
    return shlex.join(["python", "-m", "tf_diffaug", "train", *flags])


def _protocol_flags(run: RunRecords) -> str:
    if not run.evaluations:
        return ""
    protocol = run.evaluations[-1].get("protocol", {})
    flags = [
        f"--{flag}={protocol[name]}" for name, flag in _PROTOCOL_FLAGS.items() if name in protocol
    ]
    features = protocol.get("features")
    features = features["name"] if isinstance(features, dict) else features
    if features is not None and not run.recipe.config.fid_features.startswith(features):
        flags.append(f"--fid_features={features}")
    if run.evaluations[-1].get("classes"):
        flags.append("--per_class")
    if seeds := protocol.get("seeds"):
        flags += [f"--seed={seeds[0]}", f"--seeds={len(seeds)}"]
    return "".join(f" {shlex.quote(flag)}" for flag in flags)
