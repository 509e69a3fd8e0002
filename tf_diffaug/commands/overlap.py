"""`overlap`: how far an augmentation hides the difference between reals and fakes of a run."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tf_diffaug.commands.flags import Flag, help_lines, read_flags
from tf_diffaug.errors import UserError, one_line, user_mistakes
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


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the user asked for; None is the run's own.

    Raises:
        UserError: if a value is out of its range.
    """

    run_dir: pathlib.Path
    ops: str | None = None
    strengths: tuple[float, ...] = STRENGTHS
    repeats: int = 5
    checkpoint: str = "newest"
    num_fakes: int | None = None
    fid_features: str | None = None
    seed: int | None = None
    dataset: str | None = None
    data_dir: str | None = None
    out: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("repeats", 1), ("num_fakes", 2), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"--{name} must be at least {least}. Received: --{name}={value}.")
        if self.checkpoint not in ("newest", "best") and not self.checkpoint.isdecimal():
            raise UserError(
                f"--checkpoint is newest, best or a step. Received: --checkpoint={self.checkpoint}."
            )

    @property
    def folder(self) -> pathlib.Path:
        """Where the results go."""
        return self.run_dir / "overlap" if self.out is None else pathlib.Path(self.out)

    @property
    def replaced(self) -> dict[str, Any]:
        """The settings of the run that were given anew."""
        names = ("num_fakes", "fid_features", "dataset", "data_dir")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_AUTO = ("auto",)
_FLAGS = (
    Flag("ops", str, f"the ops, by default {', '.join(FIGURE_4)}", "auto", _AUTO),
    Flag(
        "strengths",
        str,
        "of every op that does not state its own, with commas between",
        ",".join(f"{strength:g}" for strength in STRENGTHS),
    ),
    Flag("repeats", int, "how often fakes and augmentation are drawn anew: a box's values", "5"),
    Flag("checkpoint", str, "newest, best (by FID) or a step", "newest"),
    Flag("num_fakes", int, "fakes a repeat; by default as in the run", "auto", _AUTO),
    Flag("fid_features", str, "what makes the features; by default as in the run", "auto", _AUTO),
    Flag("seed", int, "of the fakes and the augmentation; by default the run's", "auto", _AUTO),
    Flag("dataset", str, "folder:PATH, if the images lie elsewhere now", "auto", _AUTO),
    Flag("data_dir", str, "where CIFAR's files are, if not where the run had them", "auto", _AUTO),
    Flag(
        "out",
        str,
        "folder of overlap.json and overlap.png; by default RUN_DIR/overlap",
        "auto",
        _AUTO,
    ),
)


def help_text(program: str, full: bool) -> str:
    """The text of `--help`."""
    del full
    lines = [
        "Measures FID(augmented reals, augmented fakes) / FID(reals, fakes) of a run, op by op. "
        f"Try: {program} runs/NAME",
        "An op may have arguments and strengths of its own: "
        "--ops='translation(fill=reflect),cutout:[0.2, 0.5]'",
    ]
    return "\n".join([*lines, *help_lines(_FLAGS)])


def read(arguments: Sequence[str]) -> Asked:
    """Reads a command line.

    Raises:
        UserError: if it has a mistake.
    """
    given, rest = read_flags(_FLAGS, arguments)
    if len(rest) != 1:
        received = f"{len(rest)}: {' '.join(rest)}" if rest else "none"
        raise UserError(f"one RUN_DIR is needed, as in overlap runs/NAME. Received: {received}.")
    if "strengths" in given:
        given["strengths"] = _numbers(given["strengths"])
    return Asked(pathlib.Path(rest[0]), **given)


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


class Cell(NamedTuple):
    """One box of the plot: the op without its strength, its strength, and the two as a policy."""

    op: str
    strength: float
    policy: str


def run(asked: Asked) -> int:
    """Restores the run, measures, and writes a JSON file and a box plot; returns the exit code.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
        Failure: if the checkpoint cannot be restored.
    """
    from tf_diffaug.commands import OK
    from tf_diffaug.evaluation import support_overlap
    from tf_diffaug.runs.evaluator import reference_images
    from tf_diffaug.runs.run import load_run

    draw_overlap = _plotting()
    with user_mistakes():
        cells = cells_of(asked.ops, asked.strengths)
        _refuse_unwritable(asked.folder)
        loaded = load_run(
            asked.run_dir, checkpoint=asked.checkpoint, seed=asked.seed, **asked.replaced
        )
        evaluator = loaded.evaluator()
        if evaluator is None:
            raise UserError("the run has no FID features: add --fid_features=inception, say.")
        _, reals = reference_images(loaded.config, loaded.data)
        with _progress() as progress:
            measured = support_overlap(
                evaluator.fakes(),
                reals,
                evaluator.extractor,
                [cell.policy for cell in cells],
                num_fakes=loaded.config.num_fakes,
                repeats=asked.repeats,
                seed=loaded.seed,
                batch_size=evaluator.batch_size,
                reference=evaluator.reference,
                progress=progress,
            )
    protocol = evaluator.protocol(loaded.gan) | {"chosen_on_same_data": asked.checkpoint == "best"}
    record = _record(asked, cells, measured, protocol)
    panels = {cell.op: {} for cell in cells}
    for cell, found in zip(cells, measured["cells"], strict=True):
        panels[cell.op][cell.strength] = found["ratio"]
    title = "FID(augmented real, augmented fake) / FID(real, fake)"
    sheet = draw_overlap(panels, title=title, note=_note(record))
    with user_mistakes():
        write_atomically(asked.folder / "overlap.png", sheet)
        write_atomically(asked.folder / "overlap.json", json.dumps(record, indent=2) + "\n")
    print(_summary(panels, record, asked.folder))
    return OK


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


class _progress:
    """A progress bar as `support_overlap` reports to one."""

    def __enter__(self) -> _progress:
        from tqdm.auto import tqdm

        self._bar = tqdm(unit="image", unit_scale=True, mininterval=0.5, dynamic_ncols=True)
        return self

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __exit__(self, *error: object) -> None:
        self._bar.close()


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


def _refuse_unwritable(folder: pathlib.Path) -> None:
    """Says now what would be found out after the measuring."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise UserError(f"cannot write to {folder}. Choose another --out.")
