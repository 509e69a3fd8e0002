"""What a run does between steps: measure, show, save.

Give them to the loop in the order in which they should act at a step: what measures before what
saves, so that a checkpoint holds all that was known at its step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.images import grid, to_float, to_uint8
from tf_diffaug.runs.checkpoints import CheckpointStore
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.sampler import Sampler
from tf_diffaug.training.gan import GAN
from tf_diffaug.training.loop import Hook, Steps

_CLASS_ROWS = 10


class Metrics(Hook):
    """Records losses, D's view of things and the speed.

    Args:
        gan: what is trained.
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
        gan: GAN,
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
        self._gan = gan
        self._run = run
        # D must not be asked about an image without a label.
        hidden = labels is not None and labels.min() < 0
        self._measured = np.flatnonzero(labels >= 0) if hidden else np.arange(len(images))
        self._reals = images, labels
        self._batch_size = batch_size
        unlabelled = labels is not None and held_out_labels is None
        self._held_out = (None if unlabelled else held_out), held_out_labels
        self._count = count
        self._steps: list[Steps] = []

    def after(self, steps: Steps) -> None:
        self._steps.append(steps)

    def act(self, step: int) -> None:
        record: dict[str, Any] = {"step": step, "kind": "train"}
        for name in self._steps[0].losses:
            values = np.concatenate([steps.losses[name] for steps in self._steps])
            record[name] = float(np.mean(values, dtype=np.float64))
        # p, k and what follows a schedule as they are, and no means.
        record.update({name: float(value) for name, value in self._gan.gauges().items()})
        record.update(self._measure(step))
        # What else is done between steps is not training, nor is building the graph.
        timed = [steps for steps in self._steps if not steps.is_first]
        if timed:
            images = self._batch_size * sum(map(len, timed))
            record["images_per_second"] = images / sum(steps.seconds for steps in timed)
        self._steps = []
        self._run.append(record)

    def _measure(self, step: int) -> dict[str, float]:
        rng = np.random.default_rng(random.derive_int(self._gan.seed, "measure", index=step))

        def some(images: np.ndarray, labels: np.ndarray | None, among: np.ndarray) -> tuple:
            chosen = among[rng.integers(0, len(among), self._count)]
            shown = to_float(tf.constant(images[chosen]))
            return shown, None if labels is None else tf.constant(labels[chosen])

        images, labels = some(*self._reals, self._measured)
        held_out = None
        if self._held_out[0] is not None:
            held_out = some(*self._held_out, np.arange(len(self._held_out[0])))
        step = tf.constant(step, tf.int64)
        measured = self._gan.measure(images, labels, held_out=held_out, step=step)
        return {name: float(value) for name, value in measured.items()}


class Evaluation(Hook):
    """Evaluates the generator, records it, and keeps the best checkpoint.

    Args:
        gan: what is trained.
        run: where the records go.
        every: the cadence in steps.
        evaluate: from the GAN to a record of values by the metrics' names and their `protocol`.
        store: keeps the best checkpoint; None keeps none.
        best_by: the metric that chooses it.
    """

    def __init__(
        self,
        gan: GAN,
        run: RunDirectory,
        every: int,
        evaluate: Callable[[GAN], dict[str, Any]],
        *,
        store: CheckpointStore | None = None,
        best_by: str = "fid",
    ) -> None:
        super().__init__(every)
        self._gan = gan
        self._run = run
        self._evaluate = evaluate
        self._store = store
        self._best_by = best_by

    def act(self, step: int) -> None:
        self._gan.check_finite()
        record = self._evaluate(self._gan)
        if self._store is not None:
            self._store.save_if_best(record[self._best_by])
        self._run.append({"step": step, "kind": "eval", **record})


class Samples(Hook):
    """Writes a grid of samples of the same latents each time; with classes, one a row.

    Every row of a conditional grid has the same latents: what differs down a column is the class.

    Args:
        run: where the grids go.
        every: the cadence in steps.
        sampler: makes the samples.
        rows: of the grid. With classes there is one for each of up to 10, spread over all.
        columns: of the grid.
    """

    def __init__(
        self,
        run: RunDirectory,
        every: int,
        sampler: Sampler,
        *,
        rows: int = 8,
        columns: int = 12,
    ) -> None:
        super().__init__(every)
        self._run = run
        self._rows = rows
        self._columns = columns
        self._sampler = sampler

    def act(self, step: int) -> None:
        self._run.write_sample(step, grid(to_uint8(self._images()).numpy(), self._columns))

    def _images(self) -> tf.Tensor:
        gan = self._sampler.gan
        seed = random.derive(gan.seed, "sample")
        classes = gan.num_classes
        if classes is None:
            return self._sampler(self._rows * self._columns, seed)
        rows = min(_CLASS_ROWS, classes)
        shown = np.linspace(0, classes - 1, rows).round().astype(np.int32)
        latents = tf.tile(self._sampler.latents(self._columns, seed), [rows, 1])
        labels = tf.constant(np.repeat(shown, self._columns))
        return self._sampler.generate(latents, labels, seed=random.fold_in(seed, 2))


class Checkpoints(Hook):
    """Saves the run, every so many steps and whenever it ends in good order.

    Args:
        store: where the checkpoints go.
        every: the cadence in steps.
    """

    def __init__(self, store: CheckpointStore, every: int) -> None:
        super().__init__(every)
        self._store = store
        self._saved: int | None = None

    def act(self, step: int) -> None:
        self._store.save()
        self._saved = step

    def begin(self, step: int) -> None:
        self._saved = step or None  # what was just taken up is there already

    def end(self, step: int) -> None:
        if self._saved != step:
            self.act(step)
