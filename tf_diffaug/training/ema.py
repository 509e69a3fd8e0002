"""The running average of the generator's weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug._keras import ordered_variables, raw_variables
from tf_diffaug.language import is_number
from tf_diffaug.schedules import Schedule, as_schedule, ends
from tf_diffaug.training.scheduled import value_at
from tf_diffaug.training.strategy import replica_context


@dataclasses.dataclass(frozen=True)
class EMA:
    """How G's weights are averaged; its buffers (batch norm, spectral norm) are copied.

    Args:
        decay: weight of the old average at each step, in [0, 1). 0.9999 in the DiffAugment paper's
            BigGAN (arXiv 2006.10738, official scripts); shorter runs want less.
        start: the step before which the average is just the weights; 1000 in those scripts.
        half_life: in images instead of steps: the decay is then `0.5 ** (batch / half_life)`, which
            does not depend on the batch size (StyleGAN2 experiments: 10,000 for 100-shot data, one
            million for CIFAR). It may be a `Schedule` or the text of one, from 0 as in R3GAN's code
            (arXiv 2501.05441; 0 to 5 million for CIFAR-10): at 0 the average is the weights.
        ramp: the half-life is at most this share of what has been seen so far (ADA's CIFAR setting:
            0.05), so that the first weights are soon forgotten; None for no such limit.

    Raises:
        ValueError: if a value is out of its range.
    """

    decay: float = 0.999
    start: int = 0
    half_life: float | str | Schedule | None = None
    ramp: float | None = None

    def __post_init__(self) -> None:
        if not (is_number(self.decay) and 0 <= self.decay < 1):
            raise ValueError(f"EMA decay is in [0, 1). Received: decay={self.decay!r}.")
        if not (is_number(self.start) and self.start >= 0):
            raise ValueError(f"EMA starts at step 0 or later. Received: start={self.start!r}.")
        if self.half_life is not None:
            half_life = as_schedule(self.half_life, "half_life")
            least, greatest = ends(half_life)
            if least < 0 or greatest == 0:
                raise ValueError(f"EMA half-life is positive. Received: half_life={half_life}.")
            object.__setattr__(self, "half_life", half_life)
        if self.ramp is not None and not (is_number(self.ramp) and self.ramp > 0):
            raise ValueError(f"EMA ramp is positive. Received: ramp={self.ramp!r}.")

    def decay_at(
        self, step: tf.Tensor, batch_size: tf.Tensor | int, seen: tf.Tensor | int = 0
    ) -> tf.Tensor:
        """The decay (float32 scalar) of the update that ends step `step` (0 the first).

        Args:
            step: its number.
            batch_size: its images.
            seen: the images seen before it.
        """
        decay = tf.constant(self.decay, tf.float32)
        if self.half_life is not None:
            half_life = value_at(self.half_life, seen)
            if isinstance(self.half_life, Schedule):
                half_life = tf.maximum(half_life, 1e-8)  # R3GAN's
            decay = tf.pow(0.5, tf.cast(batch_size, tf.float32) / half_life)
        if self.ramp is not None:
            # The step being ended counts as seen: else the first half-life would be 0.
            steps = (tf.cast(step, tf.float32) + 1) * self.ramp
            decay = tf.minimum(decay, tf.pow(0.5, 1 / steps))
        return tf.where(step < self.start, 0.0, decay)


Pairs = Sequence[tuple[tf.Variable, tf.Variable]]


def clone_network(network: keras.Model, *, otherwise: str = "pass ema=None") -> keras.Model:
    """A second, still unbuilt network of the same architecture.

    Args:
        network: the first.
        otherwise: what a user may do without it, for the message.

    Raises:
        ValueError: if a subclassed network has no usable `get_config`.
    """
    try:
        return type(network).from_config(network.get_config())
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "The average of a network needs a second copy of it: give the model a `get_config` "
            f"that its constructor understands, or {otherwise}. "
            f"Received: {type(network).__name__} ({error})."
        ) from error


def averaged_copy(
    network: keras.Model, inputs: Any, *, otherwise: str = "pass ema=None"
) -> keras.Model:
    """A second network of the same architecture, with the weights of the first.

    Args:
        network: a built network.
        inputs: what it takes, a few examples.
        otherwise: what a user may do without it, for the message.

    Raises:
        ValueError: if a subclassed network has no usable `get_config`.
    """
    copy = clone_network(network, otherwise=otherwise)
    copy(inputs, training=False)
    copy_weights(copy, network)
    return copy


def copy_weights(target: keras.Model, source: keras.Model) -> None:
    """Gives `target` the values of all of `source`'s variables."""
    for new, old in zip(ordered_variables(target), ordered_variables(source), strict=True):
        new.assign(old)


def update_average(average: keras.Model, network: keras.Model, decay: tf.Tensor) -> None:
    """Moves `average` towards `network`: weights by `1 - decay`, buffers all the way."""
    trainable = {id(variable) for variable in raw_variables(network, trainable=True)}
    pairs = list(zip(ordered_variables(average), ordered_variables(network), strict=True))
    averaged = [pair for pair in pairs if id(pair[1]) in trainable]
    move_averages(averaged, decay, copied=[pair for pair in pairs if id(pair[1]) not in trainable])


def move_averages(averaged: Pairs, decay: tf.Tensor, *, copied: Pairs = ()) -> None:
    """Moves the first variable of each pair towards the second.

    Inside a replica every one holds the same weights; the variables are updated as the optimizers
    update theirs, once for all replicas.

    Args:
        averaged: pairs that move by `1 - decay`.
        decay: float32 scalar.
        copied: pairs that move all the way.
    """

    def move(old: tf.Variable, new: tf.Tensor, rate: tf.Tensor) -> None:
        old.assign_add(tf.cast(rate, old.dtype) * (new - old))

    def update(strategy: tf.distribute.Strategy, rate: tf.Tensor) -> None:
        for old, new in averaged:
            strategy.extended.update(old, move, args=(new, rate))
        for old, new in copied:
            strategy.extended.update(old, lambda old, new: old.assign(new), args=(new,))

    context = replica_context()
    if context.num_replicas_in_sync > 1:
        context.merge_call(update, args=(1.0 - decay,))
        return
    for old, new in averaged:
        move(old, new, 1.0 - decay)
    for old, new in copied:
        old.assign(new)
