"""A study's results in Markdown: how it was measured, tables, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_diffaug.studies.claim_values import claims_of
from tf_diffaug.studies.claims import RULE, Verdict
from tf_diffaug.studies.intervals import BEST_SHARE, Spread, best_of, interval, readable, spread
from tf_diffaug.studies.results import LAST, Results
from tf_diffaug.studies.study import Arm

_METRICS = {"fid": "FID", "kid": "KID", "mind": "MIND"}


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
        f"`{setup.words.strip()}`",
        *(f"![{study.title}]({name})" for name in pictures),
        "## Arms",
        f"Mean of the last {LAST} evaluations, with the standard deviation over seeds; and the "
        f"best {BEST_SHARE:.0%} of the seeds by FID, as the second paper reports, rounded up to a "
        "whole run. AuthPct is of the last checkpoint.",
        arms_table(results),
        "## Against the first arm",
        "By seed: how much the FID is above that of the first arm, and Student's 95 % interval.",
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
    head = ["arm", "seeds", *(_METRICS[m] for m in metrics), "best FID", *("AuthPct" for _ in more)]
    rows = []
    for arm in _arms(results):
        fids = list(results.values(arm.name, "fid").values())
        lost = results.diverged(arm.name)
        count = f"{len(results.lines(arm.name))}" + (f", {lost} diverged" if lost else "")
        cells = [_shown(results, arm, metric) for metric in metrics]
        best = _words(best_of(fids)) if fids else "-"
        rows.append([arm.name, count, *cells, best, *(_shown(results, arm, m) for m in more)])
    return _table(head, rows)


def differences_table(results: Results) -> str:
    """A row an arm but the first: its score less that of the first, by seed."""
    first, *others = results.study.arms_at(results.scale)
    base = results.values(first.name, "fid")
    rows = []
    for arm in others:
        mine = results.values(arm.name, "fid")
        differences = [mine[seed] - base[seed] for seed in sorted(mine.keys() & base.keys())]
        if not differences:
            continue
        found = interval(differences)
        shown = "-" if found is None else f"{readable(found.low)} to {readable(found.high)}"
        mean = sum(differences) / len(differences)
        rows.append([arm.name, f"{len(differences)}", f"{'+' * (mean > 0)}{readable(mean)}", shown])
    head = ["arm", "pairs", f"FID less that of {first.name}", "95 % interval"]
    return _table(head, rows) if rows else "No arm has a seed in common with the first yet."


def verdicts_table(verdicts: Sequence[Verdict]) -> str:
    """A row a claim."""
    rows = []
    for one in verdicts:
        found = [finding for finding in one.findings if finding.count]
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
    return _table(["", "claim", "study", "verdict", "evidence"], rows)


def _protocol(results: Results) -> str:
    """How the numbers were measured, as the lines have it; unlike ones are said."""
    said = dict.fromkeys(
        _measured(line["protocol"])
        for arm in _arms(results)
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


def _arms(results: Results) -> list[Arm]:
    return [arm for arm in results.study.arms_at(results.scale) if results.lines(arm.name)]


def _any(results: Results, metric: str) -> bool:
    return any(results.values(arm.name, metric) for arm in _arms(results))


def _shown(results: Results, arm: Arm, metric: str) -> str:
    values = list(results.values(arm.name, metric).values())
    return _words(spread(values)) if values else "-"


def _words(found: Spread) -> str:
    mean = readable(found.mean, 4)
    return mean if found.std is None else f"{mean} ± {readable(found.std, 2)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
