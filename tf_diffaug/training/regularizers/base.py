"""What a regularizer is, and what it may look at."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tf_diffaug.language import literal
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.views import Views

if TYPE_CHECKING:
    from tf_diffaug.training.gan import GAN
    from tf_diffaug.training.modes import Mode


@dataclasses.dataclass(frozen=True)
class Turn:
    """One update of one network, as a regularizer sees it.

    Args:
        gan: the networks.
        draws: the turn's random numbers.
        views: its images by name.
        outputs: D's outputs for the views that the losses and the regularizers asked for.
        mode: the views that the adversarial losses look at.
        index: int64 scalar, number of this update of this network.
    """

    gan: GAN
    draws: Draws
    views: Views
    outputs: dict[str, Outputs]
    mode: Mode
    index: tf.Tensor

    def is_due(self, every: int) -> tf.Tensor:
        """Whether this update is one of every so many."""
        return self.index % every == 0

    def lazily(
        self, every: int, rows: int | tf.Tensor, compute: Callable[[], tf.Tensor]
    ) -> tf.Tensor:
        """What `compute` returns, float32 (rows,), if this update is due, else zeros at no cost."""
        if every == 1:
            return compute()
        return tf.cond(self.is_due(every), compute, lambda: tf.zeros([rows]))


class Regularizer(abc.ABC):
    """A term of D's or G's loss besides the adversarial one.

    A subclass has `discriminator_term` or `generator_term`, or both. It may own variables, made in
    `build`: D's optimizer trains the trainable ones, and the checkpoint holds all.

    Args:
        weight: factor of the term, 0 or more.

    Raises:
        ValueError: if the weight is negative.
    """

    name: str
    views: tuple[str, ...] = ()  # needed in D's updates, besides those of the adversarial loss
    uses_policy: bool = False

    def __init__(self, weight: float) -> None:
        if isinstance(weight, (str, bool)) or not weight >= 0:
            raise ValueError(f"A weight is 0 or more. Received: {self.name} weight={weight!r}.")
        self.weight = float(weight)

    def build(self, gan: GAN) -> None:
        """Makes the variables, once the networks are there.

        Raises:
            ValueError: if the networks lack what this regularizer needs.
        """
        del gan

    def discriminator_term(self, turn: Turn) -> tf.Tensor | None:
        """The weighted term of D's loss for each example of this replica's batch, float32 (batch,).

        A scalar stands for all examples; None for no term.
        """
        del turn

    def generator_term(self, turn: Turn) -> tf.Tensor | None:
        """The weighted term of G's loss, likewise."""
        del turn

    @property
    def trainable_variables(self) -> list:
        """The variables that D's optimizer trains with D."""
        return []

    @property
    def variables(self) -> list:
        """All variables, for the checkpoint."""
        return list(self.trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this regularizer again."""
        return {"weight": self.weight}

    def __str__(self) -> str:
        options = ", ".join(f"{key}={literal(value)}" for key, value in self.get_config().items())
        return f"{self.name}({options})"


def checked_cadence(name: str, every: int) -> int:
    """`every` if it is a cadence.

    Raises:
        ValueError: if it is not a whole number from 1.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"every is a whole number from 1. Received: {name} every={every!r}.")
    return every
