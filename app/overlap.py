"""The overlap of supports of a saved run: restored, measured, written as JSON and a box plot."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tqdm.auto import tqdm

from app import build, runs
from app.config import Config
from app.errors import OK, Failure, UserError, one_line, user_settings
from app.overlap_flags import FIGURE_4, Command
from app.recipe import decide
from app.resolve import resolve
from tf_diffaug.augment import parse_policy, registered_ops
from tf_diffaug.data import ImageData
from tf_diffaug.evaluation import support_overlap
from tf_diffaug.files import write_atomically
from tf_diffaug.language import Call, literal, parse_calls
from tf_diffaug.training import GAN, CheckpointStore


class Cell(NamedTuple):
    """One box of the plot: the op without its strength, its strength, and the two as a policy."""

    op: str
    strength: float
    policy: str


def overlap(command: Command) -> int:
    """Does what was asked; returns the exit code.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
        Failure: if the checkpoint cannot be restored.
    """
    draw_overlap = _plotting()
    asked = cells(command.ops, command.strengths)
    _refuse_unwritable(command.folder)
    config, data, gan = restore(command)
    sampler = build.make_sampler(gan, config)
    evaluator = build.make_evaluator(config, data)
    if evaluator is None:
        raise UserError("the run has no FID features: add --fid_features=inception, for example.")
    _, reals = build.reference_images(config, data)
    with tqdm(unit="image", unit_scale=True, mininterval=0.5, dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        with user_settings():
            measured = support_overlap(
                build.fakes(sampler, config.seed),
                reals,
                evaluator.extractor,
                [cell.policy for cell in asked],
                num_fakes=config.num_fakes,
                repeats=command.repeats,
                seed=config.seed,
                batch_size=evaluator.batch_size,
                reference=evaluator.reference,
                progress=progress,
            )
    made_as = {
        **evaluator.protocol(gan),
        "chosen_on_same_data": command.checkpoint == "best",
    }
    record = document(command, asked, measured, made_as)
    panels = {cell.op: {} for cell in asked}
    for cell, found in zip(asked, measured["cells"], strict=True):
        panels[cell.op][cell.strength] = found["ratio"]
    title = "FID(T(real), T(fake)) / FID(real, fake)"
    sheet = draw_overlap(panels, title=title, note=note(record))
    with user_settings():
        write_atomically(command.folder / "overlap.png", sheet)
        write_atomically(command.folder / "overlap.json", json.dumps(record, indent=2) + "\n")
    print(summary(panels, record, command.folder))
    return OK


def cells(ops: str | None, strengths: Sequence[float]) -> list[Cell]:
    """Every op at every strength.

    Args:
        ops: ops in the policy language, their strength left out (`translation(fill=reflect)`) or
            one or several of their own (`cutout:0.5`, `cutout([0.2, 0.5], fill=black)`); None for
            those ops of the paper's figure 4 that there are.
        strengths: of ops that have none of their own.

    Raises:
        UserError: for an op that is not known, a strength out of its range, or no op at all.
    """
    with user_settings():
        if ops is None:
            calls = [call for call in _calls(",".join(FIGURE_4)) if call.name in registered_ops()]
        else:
            calls = _calls(ops)
        found = dict.fromkeys(cell for call in calls for cell in _cells_of(call, strengths))
    if not found:
        raise UserError(f"--ops names no op. Received: --ops={ops}.")
    return list(found)


def _calls(ops: str) -> list[Call]:
    return parse_calls(ops, what="ops")


def _cells_of(call: Call, strengths: Sequence[float]) -> Iterator[Cell]:
    own, others = (call.args[0] if call.args else strengths), dict(call.kwargs)
    if not call.args and call.name in registered_ops():
        strength_name = dataclasses.fields(registered_ops()[call.name])[0].name
        own = others.pop(strength_name, strengths)
    keywords = [f"{name}={literal(value)}" for name, value in others.items()]
    op = f"{call.name}({', '.join(keywords)})" if keywords else call.name
    for strength in own if isinstance(own, (list, tuple)) else [own]:
        text = f"{call.name}({', '.join([literal(strength), *keywords])})"
        yield Cell(op, strength, str(parse_policy(text)))


def restore(command: Command) -> tuple[Config, ImageData, GAN]:
    """The run as its config.json says, with the weights of a checkpoint.

    Raises:
        UserError: if there is no such run or checkpoint, or the images are other ones.
        Failure: if the checkpoint cannot be restored.
    """
    saved = runs.read(command.run_dir)
    if saved is None:
        raise UserError(f"{command.run_dir} is not the folder of a run: it has no config.json.")
    path = _checkpoint(command)
    decided = decide(resolve({"run_dir": str(command.run_dir)}))
    asked = {
        name: getattr(command, name)
        for name in ("num_fakes", "fid_features", "data_dir")
        if getattr(command, name) is not None
    }
    # One device measures, wherever the run was trained.
    decided = decided.replace("asked", strategy="one_device", **asked)
    strategy = build.set_up(decided.config)
    data = build.load_data(decided.config)
    if saved.get("data", {}).get("fingerprint") != data.fingerprint:
        raise UserError(f"{command.run_dir} was trained on other images than are there now.")
    gan = build.make_gan(decided, strategy, data)
    try:
        CheckpointStore(gan, path.parent).load(str(path))
    except OSError as error:
        raise Failure(one_line(error)) from error
    seed = decided.config.seed if command.seed is None else command.seed
    return dataclasses.replace(decided.config, seed=seed), data, gan


def _checkpoint(command: Command) -> pathlib.Path:
    """Path prefix of the checkpoint asked for."""
    folder = command.run_dir / "checkpoints"
    if command.checkpoint in ("newest", "best"):
        place = folder / "best" if command.checkpoint == "best" else folder
        path = tf.train.latest_checkpoint(str(place))
        if path is None:
            raise UserError(f"{command.run_dir} has no checkpoint in {place.name}/ yet.")
        return pathlib.Path(path)
    found = {
        int(path.stem.removeprefix("step-")): path.with_suffix("")
        for place in (folder / "best", folder)
        for path in place.glob("step-*.index")
    }
    if int(command.checkpoint) not in found:
        raise UserError(
            f"{command.run_dir} has checkpoints of steps {', '.join(map(str, sorted(found)))}. "
            f"Received: --checkpoint={command.checkpoint}."
        )
    return found[int(command.checkpoint)]


def document(
    command: Command, asked: Sequence[Cell], measured: dict[str, Any], made_as: dict[str, Any]
) -> dict[str, Any]:
    """What overlap.json holds: how it was measured, and every value."""
    return {
        "run": str(command.run_dir),
        "checkpoint": command.checkpoint,
        "protocol": {**measured["protocol"], **made_as},
        "fid": measured["fid"],
        "cells": [
            {"op": cell.op, "strength": cell.strength, **found}
            for cell, found in zip(asked, measured["cells"], strict=True)
        ],
        "versions": runs.versions(),
    }


def note(record: dict[str, Any]) -> str:
    """How it was measured, on one line."""
    protocol = record["protocol"]
    return (
        f"step {protocol['step']:,}; {protocol['features']['name']} features, "
        f"{protocol['num_fakes']:,} fakes, {protocol['num_reals']:,} {protocol['split']} images; "
        f"{protocol['repeats']} "
        f"draw{'s' * (protocol['repeats'] > 1)}"
    )


def summary(
    panels: dict[str, dict[float, list[float]]], record: dict[str, Any], folder: Any
) -> str:
    """The medians, and where everything is."""
    width = max(map(len, panels))
    low, high = min(record["fid"]), max(record["fid"])
    lines = [f"FID(real, fake) {low:.2f} to {high:.2f} ({note(record)}). Medians of the ratios:"]
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
