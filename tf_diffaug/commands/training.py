"""What `train` does with a settled recipe: checks everything, claims the directory, trains."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import logging
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

from tf_diffaug.commands import OK, STOPPED, saved_run
from tf_diffaug.commands.closing import closing_lines
from tf_diffaug.commands.failures import failures, worker_gone
from tf_diffaug.data.packed import damage_named
from tf_diffaug.errors import UserError, one_line, user_mistakes
from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs import hooks, labels
from tf_diffaug.runs.checkpoints import CheckpointStore, is_readable, newest_in, newest_step
from tf_diffaug.runs.claim import claimed, refuse_torn
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.leak import LeakWatch
from tf_diffaug.runs.parts import Parts, build, is_flipped, make_dataset, parameter_counts
from tf_diffaug.runs.progress import Progress
from tf_diffaug.runs.recipe import Recipe, images_per_step
from tf_diffaug.runs.report import write_report
from tf_diffaug.runs.saved import make_saved, refuse_other_start, version_changes
from tf_diffaug.training.loop import Hook, Loop, stopped_by_signals
from tf_diffaug.training.modes import FAILURES
from tf_diffaug.training.strategy import refuse_unlike
from tf_diffaug.training.workers import this_worker


class Ready(NamedTuple):
    """All that a run needs, checked; nothing is written yet. A finished run has no networks.

    Of several workers the chief alone writes.
    """

    config: Config
    saved: dict[str, Any] | None
    run: RunDirectory
    is_chief: bool = True
    parts: Parts | None = None


def chief_prints(config: Config) -> contextlib.AbstractContextManager:
    """Says who waits for whom; of several workers, what all but the chief print goes nowhere.

    Raises:
        ValueError: if `TF_CONFIG` does not say who this worker is.
    """
    if config.strategy != "multi_worker":
        return contextlib.nullcontext()
    worker = this_worker()
    number = f"Worker {worker.index + 1} of {len(worker.addresses)}"
    if worker.is_chief:
        print(f"{number}, the chief: waits for {worker.others or 'no other'}.", flush=True)
        return contextlib.nullcontext()
    print(f"{number}: waits for {worker.others}; {worker.addresses[0]} prints and writes the run.")
    return contextlib.redirect_stdout(_Nowhere())


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def prepare(recipe: Recipe, saved: dict[str, Any] | None) -> Ready:
    """Builds and checks everything, and introduces the run.

    Args:
        recipe: the settled recipe.
        saved: the contents of the run directory's config.json, None for a new run.

    Raises:
        ValueError: for a mistake in what was asked.
        Failure: if there is not the memory, or another worker is gone.
    """
    config = recipe.config
    run = RunDirectory(config.run_dir)
    is_chief = config.strategy != "multi_worker" or this_worker().is_chief
    refuse_torn(run, saved)
    step = newest_step(run.checkpoints)
    # With a damaged last checkpoint it goes on from the one before.
    if step is not None and step >= config.steps and is_readable(newest_in(run.checkpoints)):
        return Ready(config, saved, run, is_chief)
    if config.augment in FAILURES:
        print(f"Warning: {FAILURES[config.augment]}", file=sys.stderr)
        logging.getLogger("tf_diffaug.training.gan").setLevel(logging.ERROR)  # it says the same
    with (
        saved_run.progress(of=saved_run.REALS) as report,
        failures(),
        worker_gone(config.strategy),
    ):
        parts = build(recipe, saved, progress=report, evaluate=is_chief)
        refuse_unlike(parts.strategy, _common(config, parts.facts, step))
    if config.fid_features == "auto" and parts.evaluator is not None:
        # What `auto` is may change with the network, a run's measure not.
        config = dataclasses.replace(config, fid_features=parts.evaluator.extractor.name)
    if saved is not None and parts.initial is not None:
        refuse_other_start(run.path, saved, dataclasses.asdict(parts.initial))
    print(_introduction(config, parts))
    return Ready(config, saved, run, is_chief, parts)


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
    with (
        failures(run.checkpoints),
        worker_gone(config.strategy),
        damage_named(parts.data.images),
        contextlib.ExitStack() as stack,
    ):
        if ready.is_chief:
            stack.enter_context(claimed(run, _saved(ready)))
        with parts.strategy.scope():
            store = CheckpointStore(
                parts.gan,
                run.checkpoints,
                keep=config.keep_checkpoints,
                better=METRICS[config.best_by].better,
            )
        start = time.monotonic()
        step = store.restore(clean=ready.is_chief) or 0
        for line in store.damaged:
            print(f"{line}; the one before it is taken.", file=sys.stderr)
        if ready.is_chief:
            for line in run.rewind(step):
                print(line, file=sys.stderr)
        if step:
            print(f"Going on from step {step:,}.")
        loop = Loop(
            parts.gan,
            functools.partial(make_dataset, config, parts.data, start_step=step),
            most_steps=config.log_every,
        )
        # Workers whose calls are of other steps would wait for each other for ever.
        actions = [Hook(cadence) for cadence in _cadences(config).values()]
        if ready.is_chief:
            progress = stack.enter_context(contextlib.closing(Progress(run, config.steps)))
            actions = [*_hooks(ready, store), progress]
        with stopped_by_signals(loop):
            step = loop.run(config.steps, actions)
    if step < config.steps:
        print(f"Stopped and saved at step {step:,} of {config.steps:,}; the same command goes on.")
        return STOPPED
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"Done: {step:,} steps, {minutes} min {seconds} s.")
    if config.report and ready.is_chief:
        _write_report(run, parts)
    print(closing_lines(run, config))
    return OK


def _common(config: Config, facts: dict[str, Any], step: int | None) -> dict[str, Any]:
    """What all workers of a run must have alike."""
    settings = dataclasses.asdict(dataclasses.replace(config, run_dir=None, fid_features="auto"))
    return {"settings": settings, "images": facts["fingerprint"], "checkpoint": step}


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
    return "\n".join([*lines, *labels.notices(config, parts.facts["label_counts"])])


def _some(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _saved(ready: Ready) -> dict[str, Any]:
    """The contents of config.json; says which versions are others than those it began with."""
    replicas = ready.parts.strategy.num_replicas_in_sync
    initial = ready.parts.initial and dataclasses.asdict(ready.parts.initial)
    if initial is None and ready.saved is not None:
        initial = ready.saved.get("initial_weights")
    saved = make_saved(ready.config, data=ready.parts.facts, replicas=replicas, initial=initial)
    if before := (ready.saved or {}).get("versions"):
        if (line := version_changes(before, saved["versions"])) is not None:
            print(line)
        saved["versions"] = before
    return saved


def _cadences(config: Config) -> dict[str, int]:
    """How often each of the hooks acts, in steps; 0 never."""

    def every(cadence: int) -> int:
        return cadence or config.steps  # 0: only at the end

    return {
        "log": config.log_every,
        "sample": every(config.sample_every),
        "eval": 0 if config.fid_features == "none" else every(config.eval_every),
        "checkpoint": every(config.checkpoint_every),
    }


def _hooks(ready: Ready, store: CheckpointStore) -> list[Hook]:
    """What measures before what saves: a checkpoint holds all that was known at its step."""
    config, run = ready.config, ready.run
    gan, data, sampler = ready.parts.gan, ready.parts.data, ready.parts.sampler

    every = _cadences(config)
    evaluation = []
    if ready.parts.evaluator is not None:
        evaluate = LeakWatch(ready.parts.evaluator, config, data, sampler)
        evaluation = [
            hooks.Evaluation(gan, run, every["eval"], evaluate, store=store, best_by=config.best_by)
        ]
    return [
        hooks.Metrics(
            gan,
            run,
            every["log"],
            images=data.images,
            labels=data.labels if config.conditional else None,
            batch_size=images_per_step(config),
            held_out=data.test,
            held_out_labels=data.test_labels if config.conditional else None,
        ),
        hooks.Samples(run, every["sample"], sampler),
        *evaluation,
        hooks.Checkpoints(store, every["checkpoint"]),
    ]
