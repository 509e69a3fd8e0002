"""A study's results in Markdown: how it was measured, tables, verdicts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_diffaug.studies.claim_values import claims_of
from tf_diffaug.studies.claims import RULE, Verdict, above
from tf_diffaug.studies.intervals import BEST_SHARE, Spread, best_of, interval, readable, spread
from tf_diffaug.studies.results import LAST, Results
from tf_diffaug.studies.study import Arm, Setup
from tf_diffaug.titles import metric_title

_METRICS = ("fid", "kid", "mind")


def page(
    results: Results, results_of: Callable[[str], Results], pictures: Sequence[str] = ()
) -> str:
    """All that the lines say of a study.

    Args:
        results: of it.
        results_of: of any study of the scale, by name, for claims across studies.
        pictures: file names of its figures.
    """
    study, setup = results.study, results.study.setups[results.scale]
    parts = [
        f"# {study.name}: {study.title}",
        f"{study.source}. Scale `{results.scale}`: {len(results)} runs. {_protocol(results)}",
        _setup(setup),
        *(f"![{study.title}]({name})" for name in pictures),
        "## Arms",
        f"Mean of the last {LAST} evaluations, with the standard deviation over seeds; and the "
        f"best {BEST_SHARE:.0%} of the seeds by FID, as the second paper reports, rounded up to a "
        "whole run. AuthPct is of the last checkpoint.",
        arms_table(results),
        "## Differences",
        "How much an arm's FID is above that of the arm that it is compared with: for each seed "
        "that both have, the mean, and Student's 95 % interval.",
        differences_table(results),
    ]
    verdicts = [claim.verdict(results_of) for claim in claims_of(study.name)]
    if verdicts:
        parts += ["## Claims", RULE, verdicts_table(verdicts)]
    return "\n\n".join(parts) + "\n"


def arms_table(results: Results) -> str:
    """A row an arm."""
    metrics = [name for name in _METRICS if _any(results, name)]
    more = ["end:auth_pct"] if _any(results, "end:auth_pct") else []
    head = ["arm", "seeds", *map(metric_title, metrics), "best FID"]
    head += [metric_title("auth_pct")] * len(more)
    rows = []
    for arm in results.arms():
        fids = list(results.values(arm.name, "fid").values())
        lost = results.diverged(arm.name)
        count = f"{len(results.lines(arm.name))}" + (f", {lost} diverged" if lost else "")
        cells = [score_words(results, arm, metric) for metric in metrics]
        # A run that diverged is one of the seeds, and worse than any that did not.
        best = _words(best_of(fids, len(fids) + lost)) if fids else "-"
        rows.append([arm.name, count, *cells, best, *(score_words(results, arm, m) for m in more)])
    return table(head, rows)


def score_words(results: Results, arm: Arm, metric: str) -> str:
    """Mean and deviation of an arm's values as a cell of a table, a dash of none."""
    values = list(results.values(arm.name, metric).values())
    return _words(spread(values)) if values else "-"


def differences_table(results: Results) -> str:
    """A row an arm that has seeds in common with the one that it is compared with."""
    rows = []
    for arm in results.arms():
        base = arm.base or results.study.arms_at(results.scale)[0].name
        if base != arm.name and (found := above("fid", arm.name, base).values(results)):
            rows.append([arm.name, base, *difference_words(found)])
    head = ["arm", "compared with", "FID of each seed, less its", "mean", "95 % interval"]
    return table(head, rows) if rows else "No two arms that are compared share a seed yet."


def difference_words(found: Sequence[float]) -> list[str]:
    """Differences, their mean and their interval as cells of a table."""
    bounds = interval(found)
    shown = "-" if bounds is None else f"{readable(bounds.low)} to {readable(bounds.high)}"
    return [", ".join(map(_signed, found)), _signed(spread(found).mean), shown]


def _signed(value: float) -> str:
    return f"{'+' * (value > 0)}{readable(value)}"


def verdicts_table(verdicts: Sequence[Verdict]) -> str:
    """A row a claim."""
    rows = []
    for one in verdicts:
        found = [finding for finding in one.findings if finding.is_run]
        evidence = "<br>".join(f"{f.contrast.text}: {f.words}" for f in found)
        rows.append(
            [
                one.claim.number,
                f"{one.claim.text} ({one.claim.source})",
                f"`{one.claim.study}`",
                one.verdict,
                evidence or "-",
            ]
        )
    return table(["", "claim", "study", "verdict", "evidence"], rows)


def _setup(setup: Setup) -> str:
    """The flags that all arms share, and those that stand for a share of the data."""
    shares: dict[str, list[str]] = {}
    for share, words in setup.shares.items():
        shares.setdefault(words, []).append(f"`{share}%`")
    drawn = [f"{' and '.join(names)}: `{words}`" for words, names in shares.items() if words]
    common = " ".join(f"{name}={shlex.quote(value)}" for name, value in setup.flags.items())
    return f"`{common}`" + (f". What stands for {'; '.join(drawn)}." if drawn else "")


def _protocol(results: Results) -> str:
    """How the numbers were measured, as the lines have it; unlike ones are said."""
    said = dict.fromkeys(
        _measured(line["protocol"])
        for arm in results.arms()
        for line in results.lines(arm.name).values()
        if line["protocol"]
    )
    return "Measured unlike: " * (len(said) > 1) + "; or ".join(said) if said else ""


def _measured(protocol: Mapping[str, Any]) -> str:
    features = protocol.get("features", {})
    name = features.get("name") if isinstance(features, dict) else features
    return (
        f"{protocol.get('num_fakes'):,} fakes against {protocol.get('num_reals'):,} "
        f"{protocol.get('split')} images by `{name}`."
    )


def _any(results: Results, metric: str) -> bool:
    return any(results.values(arm.name, metric) for arm in results.arms())


def _words(found: Spread) -> str:
    mean = readable(found.mean, 4)
    return mean if found.std is None else f"{mean} ± {readable(found.std, 2)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
