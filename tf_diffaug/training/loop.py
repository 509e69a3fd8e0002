"""The loop of a run: many steps in one call of the devices, and Python in between only to act.

Keras' `fit` comes back to Python after every step; here a `tf.function` takes all steps until
something is due, and what it saw of the losses stays on the device until then.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug.training.finite import refuse_non_finite
from tf_diffaug.training.gan import GAN
from tf_diffaug.training.strategy import num_workers, replica_state, sum_over_replicas

# The history of the losses is made before the names of the terms are known.
_MOST_TERMS = 64
# Seconds between two looks at the step that the devices are at.
_GLANCE = 0.1


@dataclasses.dataclass(frozen=True)
class Steps:
    """What one call of the devices did.

    Args:
        first: the number of its first step, 1 the first of a run.
        losses: what `GAN.train_step` returned at each step, float32 (steps,) by name.
        seconds: how long it took.
        is_first: whether this was the first call, which builds the graph.
    """

    first: int
    losses: dict[str, np.ndarray]
    seconds: float
    is_first: bool

    def __len__(self) -> int:
        return len(next(iter(self.losses.values())))

    @property
    def last(self) -> int:
        """The number of its last step."""
        return self.first + len(self) - 1


class Hook:
    """What acts between steps: at every multiple of a cadence, and at the last step.

    Args:
        every: the cadence in steps; 0 never acts.

    Raises:
        ValueError: if the cadence is negative.
    """

    def __init__(self, every: int = 0) -> None:
        if every < 0:
            raise ValueError(f"A cadence is 0 (never) or more steps. Received: every={every}.")
        self.every = every

    def begin(self, step: int) -> None:
        """Sees the step at which the loop begins."""

    def glance(self, step: int) -> None:
        """Sees the step that the devices are at, several times a second."""

    def after(self, steps: Steps) -> None:
        """Sees the steps of each call of the devices."""

    def act(self, step: int) -> None:
        """Does what is due after `step`."""

    def end(self, step: int) -> None:
        """Sees the step at which the loop ends in good order, asked to stop or not."""


class Loop:
    """Trains a GAN, under whatever strategy it was built.

    Args:
        gan: a compiled GAN.
        dataset: makes the batches of one replica, from the `tf.distribute.InputContext` that says
            which rows of the global batch are asked for; see `data.batches`. Its first batch is
            that of the step the GAN is at.
        most_steps: how many steps one call takes at most.
    """

    def __init__(
        self,
        gan: GAN,
        dataset: Callable[[tf.distribute.InputContext], tf.data.Dataset],
        *,
        most_steps: int = 100,
    ) -> None:
        self._gan = gan
        self._strategy = gan.distribute_strategy
        self._most_steps = most_steps
        self._names: tuple[str, ...] = ()
        self._is_first = True
        with self._strategy.scope():
            self._history = replica_state(np.zeros([most_steps, _MOST_TERMS], np.float32), "losses")
        with tf.device("CPU:0"):  # the host decides whether there is another step
            self._asked = tf.Variable(False, trainable=False, name="asked")
        self._stopping = self._asked
        if (
            num_workers(self._strategy) > 1
        ):  # all must stop at the same step, or the rest would wait
            with self._strategy.scope():
                self._stopping = replica_state(False, "stopping")
        self._iterator = iter(self._strategy.distribute_datasets_from_function(dataset))
        self._call = tf.function(self._steps, autograph=False)

    @property
    def is_stopping(self) -> bool:
        """Whether the loop was asked to end, and all workers know."""
        return bool(self._stopping.numpy())

    def stop(self) -> None:
        """Ends the loop after the step at hand; may be called from anywhere, at any time."""
        with tf.init_scope():  # a signal may come while a graph is being built
            self._asked.assign(True)

    def run(self, last_step: int, hooks: Sequence[Hook] = ()) -> int:
        """Trains to a step, or until it is told to stop; returns the step reached.

        At a step several hooks act in the order in which they are given. Of several workers all
        need hooks of the same cadences, whatever these do.

        Raises:
            NonFiniteLossError: at the first step with a term that is not finite, before any hook.
        """
        step = int(self._gan.step.numpy())
        for hook in hooks:
            hook.begin(step)
        with concurrent.futures.ThreadPoolExecutor(1, "devices") as devices:
            while step < last_step and not self.is_stopping:
                due = min([last_step, *(_next(hook.every, step) for hook in hooks if hook.every)])
                steps = self._take(devices, due - step, hooks)
                refuse_non_finite(steps.losses, steps.first)
                step = steps.last
                for hook in hooks:
                    hook.after(steps)
                    if hook.every and (step % hook.every == 0 or step == last_step):
                        hook.act(step)
        for hook in hooks:
            hook.end(step)
        return step

    def _take(
        self, devices: concurrent.futures.Executor, count: int, hooks: Sequence[Hook]
    ) -> Steps:
        """Takes up to so many steps, in another thread: this one is left to signals and the bar."""
        # The first call builds the graph: it takes one step, so that the time of steps can be told.
        count = 1 if self._is_first else min(count, self._most_steps)
        before = int(self._gan.step.numpy())
        start = time.perf_counter()
        call = devices.submit(self._run, count)
        while not concurrent.futures.wait([call], _GLANCE).done:
            for hook in hooks:
                hook.glance(int(self._gan.step.numpy()))
        taken = call.result()
        seconds = time.perf_counter() - start
        rows = self._history.numpy()[:taken, : len(self._names)]
        is_first, self._is_first = self._is_first, False
        losses = dict(zip(self._names, rows.T, strict=True))
        return Steps(before + 1, losses, seconds, is_first)

    def _run(self, count: int) -> int:
        with self._strategy.scope():
            return int(self._call(self._iterator, tf.constant(count)))

    def _steps(self, iterator: Any, count: tf.Tensor) -> tf.Tensor:
        def body(index: tf.Tensor) -> tf.Tensor:
            self._strategy.run(self._replica_step, args=(next(iterator), index))
            return index + 1

        def goes_on(index: tf.Tensor) -> tf.Tensor:
            return (index < count) & ((index == 0) | ~tf.identity(self._stopping))

        (taken,) = tf.while_loop(goes_on, body, [tf.constant(0)], parallel_iterations=1)
        return taken

    def _replica_step(self, batch: Any, index: tf.Tensor) -> None:
        logs = self._gan.train_step(batch)
        if self._stopping is not self._asked:
            asked = {"asked": tf.cast(self._asked, tf.float32)}
            self._stopping.assign(sum_over_replicas(asked)["asked"] > 0)
        self._names = tuple(logs)
        row = tf.stack([tf.cast(value, tf.float32) for value in logs.values()])
        row = tf.pad(row, [[0, _MOST_TERMS - len(logs)]])
        self._history.assign(tf.tensor_scatter_nd_update(self._history, [[index]], [row]))


@contextlib.contextmanager
def stopped_by_signals(
    loop: Loop, signals: Sequence[int] = (signal.SIGTERM, signal.SIGINT)
) -> Iterator[list[int]]:
    """Ends a loop after the step at hand when the process is asked to end.

    A second signal of the same kind does what it would have done without this.

    Yields the signals received so far.
    """
    received: list[int] = []

    def receive(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, handlers[number])
        loop.stop()

    handlers = {number: signal.signal(number, receive) for number in signals}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _next(every: int, step: int) -> int:
    return (step // every + 1) * every
