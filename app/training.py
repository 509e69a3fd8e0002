"""A run: from a decided recipe to its closing lines."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from app import build, runs
from app.config import Config, recipe
from app.errors import OK, STOPPED, Failure, UserError, one_line
from app.leak import LeakWatch
from app.recipe import Recipe
from tf_diffaug.training import (
    GAN,
    CheckpointStore,
    NonFiniteLossError,
    RunDirectory,
    Sampler,
    callbacks,
)
from tf_diffaug.training.progress import Progress

_BASELINE = "color,translation,cutout"


def train(decided: Recipe) -> int:
    """Starts a run or goes on with it; returns the exit code.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
        Failure: if training cannot go on.
    """
    config = decided.config
    run_dir = pathlib.Path(config.run_dir)
    saved = runs.read(run_dir)
    if saved is None and reached(run_dir) is not None:
        raise UserError(
            f"{run_dir} has checkpoints and no config.json to hold them against. "
            "Give another --run_dir."
        )
    if saved is not None:
        runs.refuse_other_settings(run_dir, saved["settings"], recipe(config))
        if (step := reached(run_dir)) is not None and step >= config.steps:
            print(f"This run is finished: step {step:,} of {config.steps:,}.")
            print(closing(RunDirectory(run_dir), config))
            return OK
    strategy = build.set_up(config)
    data = build.load_data(config)
    if data.skipped:
        print(f"Left out {len(data.skipped)} files that could not be used: {_some(data.skipped)}")
    if saved is not None:
        _refuse_other_data(run_dir, saved, build.facts(data))
    gan = build.make_gan(decided, strategy, data)
    sampler = build.make_sampler(gan, config)
    evaluator = build.make_evaluator(config, data)
    build.make_dataset(config, data)  # its mistakes, too, come before anything is written
    print(_introduction(gan, data, evaluator))
    with _claimed(run_dir, config, data, saved, strategy.num_replicas_in_sync):
        return _fit(config, gan, data, evaluator, sampler, strategy)


def reached(run_dir: pathlib.Path) -> int | None:
    """The step of a run's newest checkpoint, read off its name."""
    path = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    return None if path is None else int(path.rsplit("-", 1)[1])


def closing(run: RunDirectory, config: Config) -> str:
    """Where the results are, and what to try next."""
    samples = sorted(run.samples.glob("*.png"))
    checkpoint = tf.train.latest_checkpoint(str(run.checkpoints))
    record = run.last("eval")
    places = {
        "samples": samples[-1] if samples else None,
        "checkpoint": checkpoint,
        "metrics": run.metrics,
    }
    lines = [f"In {run.path}:"]
    for what, place in places.items():
        if place is not None:
            lines.append(f"  {what:<11} {os.path.relpath(place, run.path)}")
    if record is not None:
        lines.append(f"  FID         {record['fid']:.2f} ({_protocol(record['protocol'])})")
        best = min(run.records("eval"), key=lambda evaluated: evaluated["fid"])
        if best["step"] != record["step"]:
            lines.append(
                f"  best FID    {best['fid']:.2f} at step {best['step']}, chosen by this FID "
                "itself: checkpoints/best"
            )
    lines.append(f"Curves: tensorboard --logdir {run.path.parent}")
    longer = 2 * max(config.steps, reached(run.path) or 0)
    lines.append(f"Next: --steps={longer} goes on; {_idea(config)}.")
    return "\n".join(lines)


def _some(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _protocol(protocol: Mapping[str, Any]) -> str:
    return (
        f"{protocol['features']['name']} features, {protocol['num_fakes']:,} fakes, "
        f"{protocol['num_reals']:,} {protocol['split']} images"
    )


def _idea(config: Config) -> str:
    if config.policy == "none":
        return f"--policy={_BASELINE} is DiffAugment; --preset=help lists recipes"
    return "--policy=none shows what T is worth, --preview what it does"


def _introduction(gan: GAN, data: Any, evaluator: build.Evaluator | None) -> str:
    counts = build.parameter_counts(gan)
    test = f" ({len(data.test):,} held out)" if data.test is not None else ""
    features = "none" if evaluator is None else evaluator.extractor.name
    views = "in one pass" if gan.joint_views else "one by one"
    return (
        f"{len(data.images):,} images{test}; G has {counts['G']:,} parameters and D "
        f"{counts['D']:,}, which judges its views {views}; {gan.num_replicas} replica(s); "
        f"FID features: {features}"
    )


def _refuse_other_data(
    run_dir: pathlib.Path, saved: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    before = saved.get("data", {})
    if before.get("fingerprint") != facts["fingerprint"]:
        raise UserError(
            f"{run_dir} was trained on other images: {before.get('num_images')} then, "
            f"{facts['num_images']} now, or with other content. Give another --run_dir."
        )


@contextlib.contextmanager
def _claimed(
    run_dir: pathlib.Path, config: Config, data: Any, saved: Any, replicas: int
) -> Iterator[None]:
    """Makes the directory this process's own, with its config.json; nothing was written before."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        folder = os.open(run_dir, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write to {run_dir}: {error.strerror}.") from error
    try:
        _lock(folder, run_dir)
        document = runs.document(config, data=build.facts(data), replicas=replicas)
        if saved is not None:
            if (line := runs.version_changes(saved["versions"], document["versions"])) is not None:
                print(line)
            document["versions"] = saved["versions"]
        try:
            RunDirectory(run_dir).write_config(document)
        except OSError as error:
            raise UserError(f"cannot write to {run_dir}: {error.strerror}.") from error
        yield
    finally:
        os.close(folder)


def _lock(folder: int, run_dir: pathlib.Path) -> None:
    try:
        # The kernel lets go of it however the process ends.
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks: better an unguarded run than none.
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise UserError(f"{run_dir} is in use by another process.") from error


def _fit(
    config: Config,
    gan: GAN,
    data: Any,
    evaluator: build.Evaluator | None,
    sampler: Sampler,
    strategy: tf.distribute.Strategy,
) -> int:
    run = RunDirectory(config.run_dir)
    with strategy.scope():
        store = CheckpointStore(gan, run.checkpoints, keep=config.keep_checkpoints)
    start = time.monotonic()
    stop = callbacks.StopOnSignal()
    progress = Progress(run, config.steps)
    try:
        step = store.restore() or 0
    except OSError as error:
        raise Failure(one_line(error)) from error
    try:
        run.rewind(step)
        if step:
            print(f"Going on from step {step:,}.")
        gan.fit(
            build.make_dataset(config, data, start_step=step),
            steps_per_epoch=config.steps - step,
            verbose=0,
            callbacks=[*_callbacks(config, run, data, evaluator, sampler, store), stop, progress],
        )
    except (NonFiniteLossError, OSError) as error:
        raise Failure(f"{one_line(error)} The last good checkpoint: {store.latest}.") from error
    except tf.errors.ResourceExhaustedError as error:
        # Memory, or a disk that TensorFlow wrote to.
        reason = one_line(error)[:200]
        raise Failure(f"{reason} The last good checkpoint: {store.latest}.") from error
    finally:
        progress.close()
    return _end(config, run, gan, stopped=stop.received is not None, start=start)


def _end(config: Config, run: RunDirectory, gan: GAN, *, stopped: bool, start: float) -> int:
    step = int(gan.step.numpy())
    if stopped and step < config.steps:
        print(f"Stopped and saved at step {step:,} of {config.steps:,}; the same command goes on.")
        return STOPPED
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"Done: {step:,} steps, {minutes} min {seconds} s.")
    print(closing(run, config))
    return OK


def _callbacks(
    config: Config,
    run: RunDirectory,
    data: Any,
    evaluator: build.Evaluator | None,
    sampler: Sampler,
    store: CheckpointStore,
) -> list:
    """What measures before what saves: a checkpoint holds all that was known at its step."""

    def every(cadence: int) -> int:
        return cadence or config.steps  # 0: only at the end

    evaluation = []
    if evaluator is not None:
        cadence = every(config.eval_every)
        evaluate = functools.partial(evaluator, sampler=sampler)
        evaluate = LeakWatch(evaluate, config, data.images, sampler)
        evaluation = [callbacks.Evaluation(run, cadence, evaluate, store=store)]
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
