"""What `fit` costs beside the step: the input pipeline, callbacks and Python."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from benchmarks import candidates
from benchmarks.timing import Candidate, take_turns
from tf_diffaug.data import ImageData, batches
from tf_diffaug.runs import CheckpointStore, RunDirectory, Sampler, callbacks
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.progress import Progress
from tf_diffaug.training import GAN

NUM_IMAGES = 10_000
IDLE_STEPS = 300


class IdleGAN(GAN):
    """Takes the batch and does nothing with it."""

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        del data
        self.step.assign_add(1)
        return {"d_loss": tf.constant(0.0), "g_loss": tf.constant(0.0)}


class Clock(keras.callbacks.Callback):
    """Times whole turns of the loop, from one step's end to the next's; the first in the list.

    A turn so holds the callbacks after the step before, the wait for a batch, and the step. What
    the callbacks do at the end of a run is not in any. Between turns it runs `between`.
    """

    def __init__(self, between: Callable[[], float] | None, clock: Callable[[], float]) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.between_seconds: list[float] = []
        self._between = between
        self._clock = clock
        self._start: float | None = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = self._clock()
        if self._start is not None:
            self.seconds.append(now - self._start)
            if self._between is not None:
                self.between_seconds.append(self._between())
        self._start = self._clock()


def overhead(
    recipe: Mapping[str, Any],
    precision: str,
    step: candidates.Step,
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Times training's loop.

    Args:
        recipe: as of `candidates.make_gan`, with `batch_size`.
        precision: of the networks.
        step: the compiled step, which alternates with those of `fit`.
        steps: of `fit`; ten times as many and more of a loop whose step does nothing.
        clock: seconds.

    Returns:
        Shares of a step: `loop`, a turn that does nothing; `logging`, a record of the metrics
        every so many steps as by default; `fit`, the median of the turns' time over the bare
        step's, less 1. Each is held against steps of about the same moment.
    """
    seconds = step.seconds(clock)
    slim = {**recipe, "width": 4}
    with tempfile.TemporaryDirectory() as folder:
        idle_gan = candidates.make_gan(slim, precision, IdleGAN)
        idle, _ = _fit(idle_gan, recipe, IDLE_STEPS, f"{folder}/idle", clock)
        after = statistics.median(seconds() for _ in range(3))
        gan = candidates.make_gan(recipe, precision)
        turns, record = _fit(gan, recipe, steps, f"{folder}/fit", clock, seconds)
        records = take_turns({"record": record, "step": seconds}, repeats=3, warmups=1)
    return {
        "loop": statistics.fmean(idle.seconds) / after,
        "logging": _median_ratio(records["record"], records["step"]) / Config().log_every,
        "fit": _median_ratio(turns.seconds, turns.between_seconds) - 1,
    }


def _median_ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def _fit(
    gan: GAN,
    recipe: Mapping[str, Any],
    steps: int,
    folder: str,
    clock: Callable[[], float],
    between: Callable[[], float] | None = None,
) -> tuple[Clock, Candidate]:
    """Fits with the callbacks that train.py has; returns the clock, and what times one record."""
    images, *labels = candidates.images_and_labels(recipe, NUM_IMAGES)
    data = ImageData("random", images, *labels, flip=True)
    config = Config()
    timed = Clock(between, clock)
    run = RunDirectory(folder)
    metrics = callbacks.Metrics(
        run,
        config.log_every,
        images=data.images,
        labels=data.labels,
        batch_size=recipe["batch_size"],
    )
    store = CheckpointStore(gan, run.checkpoints)
    actions = [
        timed,
        metrics,
        callbacks.Samples(run, config.sample_every, sampler=Sampler(gan)),
        callbacks.Checkpoints(store, config.checkpoint_every),
        callbacks.StopOnSignal(),
        Progress(run, steps + 2),
    ]
    dataset = batches(data, recipe["batch_size"], seed=0)
    # The bar has nothing to show it on, but the work to draw it.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        gan.fit(dataset, steps_per_epoch=steps + 2, verbose=0, callbacks=actions)
    return timed, lambda: _record_seconds(metrics, clock)


def _record_seconds(metrics: callbacks.Metrics, clock: Callable[[], float]) -> float:
    metrics.after_step({"d_loss": 0.0, "g_loss": 0.0}, 1)
    start = clock()
    metrics.act()
    return clock() - start
