"""What `train` does with a settled recipe: checks everything, claims the directory, trains."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import logging
import os
import pathlib
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_diffaug.commands import OK, STOPPED
from tf_diffaug.commands.closing import closing_lines
from tf_diffaug.data.packed import damage_named
from tf_diffaug.errors import Failure, UserError, one_line, user_mistakes
from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs import callbacks
from tf_diffaug.runs.checkpoints import CheckpointStore, newest_step
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.leak import LeakWatch
from tf_diffaug.runs.parts import Parts, build, is_flipped, make_dataset, parameter_counts
from tf_diffaug.runs.progress import Progress
from tf_diffaug.runs.recipe import Recipe
from tf_diffaug.runs.report import write_report
from tf_diffaug.runs.saved import make_saved, refuse_other_start, version_changes
from tf_diffaug.training import NonFiniteLossError
from tf_diffaug.training.modes import FAILURES


class Ready(NamedTuple):
    """All that a run needs, checked; nothing is written yet. A finished run has no networks."""

    config: Config
    saved: dict[str, Any] | None
    run: RunDirectory
    parts: Parts | None = None


def prepare(recipe: Recipe, saved: dict[str, Any] | None) -> Ready:
    """Builds and checks everything, and introduces the run.

    Args:
        recipe: the settled recipe.
        saved: the contents of the run directory's config.json, None for a new run.

    Raises:
        ValueError: for a mistake in what was asked.
    """
    config = recipe.config
    run = RunDirectory(config.run_dir)
    _refuse_torn(run, saved)
    step = newest_step(run.checkpoints)
    if step is not None and step >= config.steps:
        return Ready(config, saved, run)
    if config.augment in FAILURES:
        print(f"Warning: {FAILURES[config.augment]}", file=sys.stderr)
        logging.getLogger("tf_diffaug.training.gan").setLevel(logging.ERROR)  # it says the same
    parts = build(recipe, saved)
    if config.fid_features == "auto" and parts.evaluator is not None:
        # What `auto` is may change with the network, a run's measure not.
        config = dataclasses.replace(config, fid_features=parts.evaluator.extractor.name)
    if saved is not None and parts.initial is not None:
        refuse_other_start(run.path, saved, dataclasses.asdict(parts.initial))
    print(_introduction(config, parts))
    return Ready(config, saved, run, parts)


def train(ready: Ready) -> int:
    """Trains to the end, or until a signal; returns the exit code.

    Raises:
        UserError: if the directory cannot be had.
        Failure: if training cannot go on.
    """
    config, run, parts = ready.config, ready.run, ready.parts
    if parts is None:
        step = newest_step(run.checkpoints)
        print(f"This run is finished: step {step:,} of {config.steps:,}.")
        print(closing_lines(run, config))
        return OK
    with _claimed(ready), _failures(run), damage_named(parts.data.images):
        with parts.strategy.scope():
            store = CheckpointStore(
                parts.gan,
                run.checkpoints,
                keep=config.keep_checkpoints,
                better=METRICS[config.best_by].better,
            )
        start = time.monotonic()
        stop, progress = callbacks.StopOnSignal(), Progress(run, config.steps)
        step = store.restore() or 0
        run.rewind(step)
        if step:
            print(f"Going on from step {step:,}.")
        with contextlib.closing(progress):
            parts.gan.fit(
                make_dataset(config, parts.data, start_step=step),
                steps_per_epoch=config.steps - step,
                verbose=0,
                callbacks=[*_callbacks(ready, store), stop, progress],
            )
    step = int(parts.gan.step.numpy())
    if stop.received is not None and step < config.steps:
        print(f"Stopped and saved at step {step:,} of {config.steps:,}; the same command goes on.")
        return STOPPED
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"Done: {step:,} steps, {minutes} min {seconds} s.")
    if config.report:
        _write_report(run, parts)
    print(closing_lines(run, config))
    return OK


def _write_report(run: RunDirectory, parts: Parts) -> None:
    """Writes the page of the run, anew if it has one; whatever is in its way, the run is done."""
    try:
        with user_mistakes():
            write_report(run.path, images=parts.data.images)
    except UserError as error:
        print(f"No report: {one_line(error)}", file=sys.stderr)
    except Exception:  # a bug: it is shown, and what was trained is no worse for it
        traceback.print_exc()
        print("No report: the error above is a bug. The run is complete.", file=sys.stderr)


def _refuse_torn(run: RunDirectory, saved: dict[str, Any] | None) -> None:
    """Refuses a directory from which a part of a run is gone, so that the rest is not wiped."""
    has_checkpoint = newest_step(run.checkpoints) is not None
    if saved is None and has_checkpoint:
        raise UserError(
            f"{run.path} has checkpoints and no config.json that says of what. "
            "Give another --run_dir."
        )
    if saved is None or has_checkpoint:
        return
    settings = saved["settings"]
    last = max((record["step"] for record in run.records()), default=0)
    first_saved = settings.get("checkpoint_every") or settings["steps"]
    if last > first_saved or (last and not run.checkpoints.is_dir()):
        raise UserError(
            f"{run.path} has records up to step {last:,} and no checkpoint: starting anew would "
            "wipe them. Put its checkpoints/ back, or give another --run_dir."
        )


def _introduction(config: Config, parts: Parts) -> str:
    data, gan, evaluator = parts.data, parts.gan, parts.evaluator
    counts = parameter_counts(gan)
    test = f" ({len(data.test):,} held out)" if data.test is not None else ""
    features = "none" if evaluator is None else evaluator.extractor.name
    views = "in one pass" if gan.joint_views else "one by one"
    flips = "half of them mirrored" if is_flipped(config, data) else "none mirrored"
    lines = [
        f"{len(data.images):,} images{test}, {flips}; G has {counts['G']:,} parameters and D "
        f"{counts['D']:,}, which sees its batches {views}; {gan.num_replicas} replica(s); "
        f"FID features: {features}"
    ]
    if parts.initial is not None:
        lines.append(parts.initial.sentence())
    if data.skipped:
        lines.append(f"Left out as not usable ({len(data.skipped):,}): {_some(data.skipped)}")
    if data.passed_over:
        lines.append(
            "Passed over as no images or of another split "
            f"({len(data.passed_over):,}): {_some(data.passed_over)}"
        )
    if gan.label_frequencies is not None and not all(gan.label_frequencies):
        absent = sum(frequency == 0 for frequency in gan.label_frequencies)
        lines.append(f"{absent} of {gan.num_classes} classes have no image: they get no fakes.")
    return "\n".join(lines)


def _some(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


@contextlib.contextmanager
def _claimed(ready: Ready) -> Iterator[None]:
    """Makes the directory this process's own, with its config.json; nothing was written before."""
    run_dir = ready.run.path
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        folder = os.open(run_dir, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write to {run_dir}: {error.strerror}.") from error
    try:
        _lock(folder, run_dir)
        _write_config(ready)
        yield
    finally:
        os.close(folder)


def _write_config(ready: Ready) -> None:
    replicas = ready.parts.strategy.num_replicas_in_sync
    initial = ready.parts.initial and dataclasses.asdict(ready.parts.initial)
    if initial is None and ready.saved is not None:
        initial = ready.saved.get("initial_weights")
    saved = make_saved(ready.config, data=ready.parts.facts, replicas=replicas, initial=initial)
    if ready.saved is not None:
        if (line := version_changes(ready.saved["versions"], saved["versions"])) is not None:
            print(line)
        saved["versions"] = ready.saved["versions"]
    try:
        ready.run.write_config(saved)
        ready.run.checkpoints.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {ready.run.path}: {error.strerror}.") from error


def _lock(folder: int, run_dir: pathlib.Path) -> None:
    try:
        # The kernel lets go of it however the process ends.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks: better an unguarded run than none.
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise UserError(f"{run_dir} is in use by another process.") from error


@contextlib.contextmanager
def _failures(run: RunDirectory) -> Iterator[None]:
    """Turns what ends a run, other than a bug, into a `Failure` of one line."""
    try:
        yield
    except (NonFiniteLossError, OSError, tf.errors.ResourceExhaustedError) as error:
        # The last: memory, or a disk that TensorFlow wrote to.
        latest = tf.train.latest_checkpoint(str(run.checkpoints))
        kept = "" if latest is None else f" The last good checkpoint: {latest}."
        raise Failure(one_line(error)[:300] + kept) from error


def _callbacks(ready: Ready, store: CheckpointStore) -> list:
    """What measures before what saves: a checkpoint holds all that was known at its step."""
    config, run = ready.config, ready.run
    data, sampler, evaluator = ready.parts.data, ready.parts.sampler, ready.parts.evaluator

    def every(cadence: int) -> int:
        return cadence or config.steps  # 0: only at the end

    evaluation = []
    if evaluator is not None:
        evaluate = LeakWatch(evaluator, config, data.images, sampler)
        evaluation = [
            callbacks.Evaluation(
                run, every(config.eval_every), evaluate, store=store, best_by=config.best_by
            )
        ]
    return [
        callbacks.Metrics(
            run,
            config.log_every,
            images=data.images,
            labels=data.labels if config.conditional else None,
            batch_size=config.batch_size * config.d_steps,
            held_out=data.test,
            held_out_labels=data.test_labels if config.conditional else None,
        ),
        callbacks.Samples(run, every(config.sample_every), sampler=sampler),
        *evaluation,
        callbacks.Checkpoints(store, every(config.checkpoint_every)),
    ]
