"""`overlap`: how far an augmentation hides the difference between reals and fakes of a run."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pathlib
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tf_diffaug.commands import saved_run
from tf_diffaug.commands.flags import Flag
from tf_diffaug.errors import UserError, one_line
from tf_diffaug.files import write_atomically
from tf_diffaug.language import Call, literal, parse_calls

SUMMARY = "measure how far an augmentation hides the difference between reals and fakes of a run"
# Figure 4 of arXiv 2006.02595, with its strengths; noise has a grid of its own there.
FIGURE_4 = (
    "greenness",
    "mixup",
    "translation(fill=reflect)",
    "instance_noise:[0.02, 0.04, 0.06, 0.08, 0.1]",
)
STRENGTHS = (0.1, 0.2, 0.3, 0.4, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(saved_run.Asked):
    """What the user asked for: of which run, which ops, how strong and how often."""

    ops: str | None = None
    strengths: tuple[float, ...] = STRENGTHS
    repeats: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(repeats=1)

    @property
    def replaced(self) -> dict[str, Any]:
        """The settings of the run that are other ones here: nothing but the FID is measured."""
        return {**super().replaced, "metrics": "fid", "best_by": "fid"}


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise UserError(
            f"--strengths takes numbers with commas between. Received: --strengths={text}."
        )
    return numbers


FLAGS = saved_run.flags(
    Flag("ops", str, f"the ops, by default {', '.join(FIGURE_4)}", "auto"),
    Flag(
        "strengths",
        _numbers,
        "of every op that does not state its own, with commas between",
        ",".join(f"{strength:g}" for strength in STRENGTHS),
    ),
    Flag("repeats", int, "how often fakes and augmentation are drawn anew: a box's values", "5"),
    out="folder of overlap.json and overlap.png; by default RUN_DIR/overlap",
)


HELP = """Measures FID(augmented reals, augmented fakes) / FID(reals, fakes) of a run, op by op. \
Try: {0} runs/NAME
An op may have arguments and strengths of its own: \
--ops='translation(fill=reflect),cutout:[0.2, 0.5]'
{flags}"""
read = functools.partial(saved_run.read, Asked, FLAGS, command="overlap")


class Cell(NamedTuple):
    """One box of the plot: the op without its strength, its strength, and the two as a policy."""

    op: str
    strength: float
    policy: str


def run(asked: Asked) -> None:
    """Restores the run, measures, and writes a JSON file and a box plot.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
        Failure: if the checkpoint cannot be restored.
    """
    from tf_diffaug.evaluation import support_overlap
    from tf_diffaug.runs.reals import reference_images

    draw_overlap = _plotting()
    folder = asked.run_dir / "overlap" if asked.out is None else asked.out
    sheet, values = folder / "overlap.png", folder / "overlap.json"
    with saved_run.mistakes(asked):
        cells = cells_of(asked.ops, asked.strengths)
        saved_run.refuse_outputs(asked, sheet, values)
        loaded = saved_run.load(asked)
        evaluator = saved_run.evaluator_of(loaded)
        _, reals = reference_images(loaded.config, loaded.data)
        with saved_run.progress() as report:
            measured = support_overlap(
                evaluator.fakes(),
                reals,
                evaluator.extractor,
                [cell.policy for cell in cells],
                num_fakes=loaded.config.num_fakes,
                repeats=asked.repeats,
                seed=loaded.seed,
                batch_size=evaluator.batch_size,
                reference=evaluator.reals.features.reference.statistics,
                progress=report,
            )
    protocol = evaluator.protocol(loaded.gan) | {"chosen_on_same_data": asked.checkpoint == "best"}
    record = _record(asked, cells, measured, protocol)
    panels = {cell.op: {} for cell in cells}
    for cell, found in zip(cells, measured["cells"], strict=True):
        panels[cell.op][cell.strength] = found["ratio"]
    title = "FID(augmented real, augmented fake) / FID(real, fake)"
    with saved_run.mistakes(asked):
        write_atomically(sheet, draw_overlap(panels, title=title, note=_note(record)))
        write_atomically(values, json.dumps(record, indent=2) + "\n")
    print(_summary(panels, record, folder))


def cells_of(ops: str | None, strengths: Sequence[float]) -> list[Cell]:
    """Every op at every strength.

    Args:
        ops: ops in the policy language, their strength left out (`translation(fill=reflect)`) or
            one or several of their own (`cutout:0.5`, `cutout([0.2, 0.5], fill=black)`); None for
            those of the paper's figure 4.
        strengths: of ops that have none of their own.

    Raises:
        ValueError: for an op that is not known, a strength out of its range, or no op at all.
    """
    calls = parse_calls(",".join(FIGURE_4) if ops is None else ops, what="ops")
    found = dict.fromkeys(cell for call in calls for cell in _cells(call, strengths))
    if not found:
        raise UserError(f"--ops names no op. Received: --ops={ops}.")
    return list(found)


def _cells(call: Call, strengths: Sequence[float]) -> Iterator[Cell]:
    from tf_diffaug.augment import parse_policy

    others = dict(call.kwargs)
    own = call.args[0] if call.args else others.pop("strength", strengths)
    keywords = [f"{name}={literal(value)}" for name, value in others.items()]
    op = f"{call.name}({', '.join(keywords)})" if keywords else call.name
    for strength in own if isinstance(own, (list, tuple)) else [own]:
        text = f"{call.name}({', '.join([literal(strength), *keywords])})"
        yield Cell(op, strength, str(parse_policy(text)))


def _record(
    asked: Asked, cells: Sequence[Cell], measured: dict[str, Any], protocol: dict[str, Any]
) -> dict[str, Any]:
    """What overlap.json holds: how it was measured, and every value."""
    from tf_diffaug.runs.saved import versions

    return {
        "run": str(asked.run_dir),
        "checkpoint": asked.checkpoint,
        "protocol": {**measured["protocol"], **protocol},
        "fid": measured["fid"],
        "cells": [
            {"op": cell.op, "strength": cell.strength, **found}
            for cell, found in zip(cells, measured["cells"], strict=True)
        ],
        "versions": versions(),
    }


def _note(record: dict[str, Any]) -> str:
    """How it was measured, on one line."""
    protocol = record["protocol"]
    return (
        f"step {protocol['step']:,}; {protocol['features']['name']} features, "
        f"{protocol['num_fakes']:,} fakes, {protocol['num_reals']:,} {protocol['split']} images; "
        f"{protocol['repeats']} "
        f"draw{'s' * (protocol['repeats'] > 1)}"
    )


def _summary(
    panels: dict[str, dict[float, list[float]]], record: dict[str, Any], folder: pathlib.Path
) -> str:
    """The medians, and where everything is."""
    width = max(map(len, panels))
    low, high = min(record["fid"]), max(record["fid"])
    lines = [f"FID(real, fake) {low:.2f} to {high:.2f} ({_note(record)}). Medians of the ratios:"]
    for op, boxes in panels.items():
        row = "  ".join(f"{s:g}: {statistics.median(ratios):.3f}" for s, ratios in boxes.items())
        lines.append(f"  {op:<{width}}  {row}")
    lines.append(f"In {folder}: overlap.json, overlap.png")
    return "\n".join(lines)


def _plotting() -> Any:
    try:
        from tf_diffaug.evaluation.overlap_plot import draw_overlap
    except ModuleNotFoundError as error:
        raise UserError(one_line(error)) from error
    return draw_overlap
