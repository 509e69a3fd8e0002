"""What a run does besides training: measure, show, save, stop. Each is a Keras callback.

Give them to `fit` in the order in which they should act at a step: what measures before what saves,
so that a checkpoint holds all that was known at its step.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.images import grid, to_float, to_uint8
from tf_diffaug.runs.checkpoints import CheckpointStore
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.sampler import Sampler

_CLASS_ROWS = 10


class EverySteps(keras.callbacks.Callback):
    """Acts every so many steps, and at the last.

    Args:
        every: the cadence in steps; 0 never acts.
    """

    def __init__(self, every: int) -> None:
        super().__init__()
        if every < 0:
            raise ValueError(f"A cadence is 0 (never) or more steps. Received: every={every}.")
        self.every = every

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.step = int(self.model.step.numpy())
        self._last_step = self.step + (self.params.get("steps") or 0) * self.params.get("epochs", 1)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        before, self.step = self.step, int(self.model.step.numpy())
        self.after_step(logs or {}, self.step - before)
        # Several steps may run as one execution: what counts is that a multiple was passed.
        passed = self.every and self.step // self.every > before // self.every
        if self.every and (passed or self.step == self._last_step):
            self.act()

    def after_step(self, logs: dict[str, float], steps: int) -> None:
        """Sees the losses after each execution, and of how many steps it was."""

    def act(self) -> None:
        """Does what is due."""


class Metrics(EverySteps):
    """Records losses, D's view of things and the speed.

    Args:
        run: where the records go.
        every: the cadence in steps.
        images: the reals that are trained on, uint8.
        labels: theirs, for conditional networks; what has none, -1, is not measured.
        batch_size: how many reals a step takes.
        held_out: reals that are not, uint8, if there are any.
        held_out_labels: theirs, for conditional networks.
        count: how many of each a measurement looks at.
    """

    def __init__(
        self,
        run: RunDirectory,
        every: int,
        *,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        batch_size: int,
        held_out: np.ndarray | None = None,
        held_out_labels: np.ndarray | None = None,
        count: int = 128,
    ) -> None:
        super().__init__(every)
        self._run = run
        # D must not be asked about an image without a label.
        hidden = labels is not None and labels.min() < 0
        self._measured = np.flatnonzero(labels >= 0) if hidden else np.arange(len(images))
        self._reals = images, labels
        self._batch_size = batch_size
        self._held_out = held_out, held_out_labels
        self._count = count
        self._seconds = 0.0
        self._steps = 0
        self._losses: list[dict[str, float]] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        self._first = True

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._begin = time.perf_counter()

    def after_step(self, logs: dict[str, float], steps: int) -> None:
        # The time between a step's begin and end: what other callbacks do is not training. The
        # first execution builds the graph.
        if not self._first:
            self._seconds += time.perf_counter() - self._begin
            self._steps += steps
        self._first = False
        self._losses.append({name: float(value) for name, value in logs.items()})

    def act(self) -> None:
        record: dict[str, Any] = {"step": self.step, "kind": "train"}
        for name in self._losses[0]:
            record[name] = float(np.mean([losses[name] for losses in self._losses]))
        for regularizer in self.model.regularizers:  # p and k as they are, and no means
            record.update({n: float(value) for n, value in regularizer.gauges().items()})
        record.update(self._measure())
        if self._steps:
            record["images_per_second"] = self._steps * self._batch_size / self._seconds
        self._seconds, self._steps, self._losses = 0.0, 0, []
        self._run.append(record)

    def _measure(self) -> dict[str, float]:
        rng = np.random.default_rng(random.derive_int(self.model.seed, "measure", index=self.step))

        def some(images: np.ndarray, labels: np.ndarray | None, among: np.ndarray) -> tuple:
            chosen = among[rng.integers(0, len(among), self._count)]
            shown = to_float(tf.constant(images[chosen]))
            return shown, None if labels is None else tf.constant(labels[chosen])

        images, labels = some(*self._reals, self._measured)
        held_out = None
        if self._held_out[0] is not None:
            held_out = some(*self._held_out, np.arange(len(self._held_out[0])))
        step = tf.constant(self.step, tf.int64)
        measured = self.model.measure(images, labels, held_out=held_out, step=step)
        return {name: float(value) for name, value in measured.items()}


class Evaluation(EverySteps):
    """Evaluates the generator, records it, and keeps the best checkpoint.

    Args:
        run: where the records go.
        every: the cadence in steps.
        evaluate: from the GAN to a record of values by the metrics' names and their `protocol`.
        store: keeps the best checkpoint; None keeps none.
        best_by: the metric that chooses it.
    """

    def __init__(
        self,
        run: RunDirectory,
        every: int,
        evaluate: Callable[[Any], dict[str, Any]],
        *,
        store: CheckpointStore | None = None,
        best_by: str = "fid",
    ) -> None:
        super().__init__(every)
        self._run = run
        self._evaluate = evaluate
        self._store = store
        self._best_by = best_by

    def act(self) -> None:
        self.model.check_finite()
        record = self._evaluate(self.model)
        if self._store is not None:
            self._store.save_if_best(record[self._best_by])
        self._run.append({"step": self.step, "kind": "eval", **record})


class Samples(EverySteps):
    """Writes a grid of samples of the same latents each time; with classes, one a row.

    Every row of a conditional grid has the same latents: what differs down a column is the class.

    Args:
        run: where the grids go.
        every: the cadence in steps.
        rows: of the grid. With classes there is one for each of up to 10, spread over all.
        columns: of the grid.
        sampler: makes the samples; by default those of the GAN's averaged generator.
    """

    def __init__(
        self,
        run: RunDirectory,
        every: int,
        *,
        rows: int = 8,
        columns: int = 12,
        sampler: Sampler | None = None,
    ) -> None:
        super().__init__(every)
        self._run = run
        self._rows = rows
        self._columns = columns
        self._sampler = sampler

    def act(self) -> None:
        self._run.write_sample(self.step, grid(to_uint8(self._images()).numpy(), self._columns))

    def _images(self) -> tf.Tensor:
        if self._sampler is None:
            self._sampler = Sampler(self.model)
        seed = random.derive(self.model.seed, "sample")
        classes = self.model.num_classes
        if classes is None:
            return self._sampler(self._rows * self._columns, seed)
        rows = min(_CLASS_ROWS, classes)
        shown = np.linspace(0, classes - 1, rows).round().astype(np.int32)
        latents = tf.tile(self._sampler.latents(self._columns, seed), [rows, 1])
        labels = tf.constant(np.repeat(shown, self._columns))
        return self._sampler.generate(latents, labels, seed=random.fold_in(seed, 2))


class Checkpoints(EverySteps):
    """Saves the run, every so many steps and whenever it ends in good order.

    Args:
        store: where the checkpoints go.
        every: the cadence in steps.
    """

    def __init__(self, store: CheckpointStore, every: int) -> None:
        super().__init__(every)
        self._store = store
        self._saved: int | None = None

    def act(self) -> None:
        self._store.save()
        self._saved = self.step

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._saved != self.step:
            self.act()


class StopOnSignal(keras.callbacks.Callback):
    """Ends training after the step at hand when the process is asked to end.

    `Checkpoints` then saves the run. A second signal of the same kind ends the process at once.

    Args:
        signals: by default SIGTERM and SIGINT.
    """

    def __init__(self, signals: Sequence[int] = (signal.SIGTERM, signal.SIGINT)) -> None:
        super().__init__()
        self._signals = tuple(signals)
        self._handlers: dict[int, Any] = {}
        self.received: int | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        for number in self._signals:
            self._handlers[number] = signal.signal(number, self._receive)

    def _receive(self, number: int, frame: Any) -> None:
        self.received = number
        signal.signal(number, self._handlers[number])

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.received is not None:
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
