"""The last lines of a run: where the results are, and what to try next."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs.checkpoints import newest_in, newest_step
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.report import report_path
from tf_diffaug.runs.words import protocol_words
from tf_diffaug.titles import metric_title

_BASELINE = "color,translation,cutout"
_SHOWS = "the augmentation shows"


def closing_lines(run: RunDirectory, config: Config) -> str:
    """Where the results are, and what to try next."""
    samples = sorted(run.samples.glob("*.png"))
    record, report = run.last("eval"), report_path(run.path)
    places = {
        "samples": samples[-1] if samples else None,
        "checkpoint": newest_in(run.checkpoints),
        "metrics": run.metrics,
        "report": report if report.exists() else None,
    }
    lines = [f"In {run.path}:"]
    for what, place in places.items():
        if place is not None:
            older = " (older than the run's end)" if what == "report" and _is_older(run) else ""
            lines.append(f"  {what:<11} {os.path.relpath(place, run.path)}{older}")
    if record is not None:
        lines += _numbers(run, record, config.best_by)
        if "leak_verdict" in record:
            lines.append(f"  leak        {_leak(record)}")
    lines.append(f"Curves: tensorboard --logdir {run.path.parent}")
    lines.append(f"A page of it: python -m tf_diffaug report {run.path}")
    lines.append(f"Numbers: python -m tf_diffaug evaluate {run.path}")
    lines.append(f"Pictures: python -m tf_diffaug generate {run.path}")
    lines.append(f"To share it: python -m tf_diffaug export {run.path}")
    longer = 2 * max(config.steps, newest_step(run.checkpoints) or 0)
    lines.append(f"Next: --steps={longer} goes on; {_idea(config)}.")
    return "\n".join(lines)


def _is_older(run: RunDirectory) -> bool:
    """Whether the page was written before the last record."""
    written = report_path(run.path).stat().st_mtime_ns
    return run.metrics.exists() and written < run.metrics.stat().st_mtime_ns


def _numbers(run: RunDirectory, record: Mapping[str, Any], best_by: str) -> list[str]:
    """What was measured last, and what chose the best checkpoint if that is another one."""
    names = [name for name in record if name in METRICS]
    if not names:
        return []
    lines = [f"  {metric_title(name):<11} {_value(name, record[name])}" for name in names]
    lines[0] += f" ({_protocol(record.get('protocol', {}))})"
    choose = {"lower": min, "higher": max}[METRICS[best_by].better]
    chosen = [evaluated for evaluated in run.records("eval") if best_by in evaluated]
    best = choose(chosen, key=lambda evaluated: evaluated[best_by], default=record)
    if best["step"] != record["step"]:
        title = metric_title(best_by)
        lines.append(
            f"  {f'best {title}':<11} {_value(best_by, best[best_by])} at step {best['step']}, "
            f"chosen by this {title} itself: checkpoints/best"
        )
    return lines


def _value(name: str, value: float) -> str:
    return f"{value:.2f}" if name == "fid" else f"{value:.4g}"


def _protocol(protocol: Mapping[str, Any]) -> str:
    return ", ".join(protocol_words(protocol).split(", ")[:3]) or "in a way that is not known"


def _leak(record: Mapping[str, Any]) -> str:
    if not {"leak", "leak_threshold"} <= record.keys():
        return f"{record['leak_verdict']}: whether {_SHOWS} in the samples cannot be told"
    return (
        f"{record['leak_verdict']}: {_SHOWS} in {record['leak']:.0%} of the samples "
        f"(up to {record['leak_threshold']:.0%} is chance)"
    )


def _idea(config: Config) -> str:
    if config.policy == "none":
        return f"--policy={_BASELINE} is DiffAugment; --preset=help lists recipes"
    return "--policy=none shows what the augmentation is worth, --preview what it does"
