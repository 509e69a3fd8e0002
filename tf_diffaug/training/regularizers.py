"""What else is asked of D: the third coordinate of an experiment.

A regularizer names the views of D it needs and turns D's outputs into one value an example; it may
own variables, which D's optimizer trains and the checkpoint holds. A new one is a class here and a
line in `REGULARIZERS`.
"""

from __future__ import annotations

import abc
import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.language import bind, literal, parse_calls
from tf_diffaug.naming import unknown
from tf_diffaug.training.views import Outputs, Views, call_discriminator


class Regularizer(abc.ABC):
    """A term of D's loss besides the adversarial one.

    Args:
        weight: factor of the term, 0 or more.

    Raises:
        ValueError: if the weight is negative.
    """

    name: str
    views: tuple[str, ...] = ()
    uses_policy: bool = False

    def __init__(self, weight: float) -> None:
        if isinstance(weight, (str, bool)) or not weight >= 0:
            raise ValueError(f"A weight is 0 or more. Received: {self.name} weight={weight!r}.")
        self.weight = float(weight)

    @abc.abstractmethod
    def __call__(
        self, discriminator: keras.Model, views: Views, outputs: dict[str, Outputs], mode: Any
    ) -> tf.Tensor:
        """The weighted term for each example of this replica's batch, float32 (batch,).

        Args:
            discriminator: D, for those that need another pass (gradient penalties).
            views: the step's images by name.
            outputs: D's outputs for `self.views` and those the adversarial loss looked at.
            mode: the adversarial loss's own views (`modes.Mode`).
        """

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


class R1(Regularizer):
    """Zero-centred gradient penalty on reals: weight / 2 · |∇D(x)|² (arXiv 1801.04406, eq. 9).

    Args:
        weight: γ; 10 in the paper's experiments, 0.1 in DiffAugment's StyleGAN2 on CIFAR.
        on: `"raw"`: the gradient with regard to x, through T where D's loss sees T(x), as in
            DiffAugment's low-shot code; `"augmented"`: with regard to T(x), as in its CIFAR code.
            Without T in D's loss the two are the same.
    """

    name = "r1"

    def __init__(self, weight: float = 10.0, on: str = "raw") -> None:
        super().__init__(weight)
        if on not in ("raw", "augmented"):
            raise ValueError(unknown("on", on, ("raw", "augmented")))
        self.on = on

    def __call__(
        self, discriminator: keras.Model, views: Views, outputs: dict[str, Outputs], mode: Any
    ) -> tf.Tensor:
        through = mode.d_real == "real_aug" and self.on == "raw"
        images = views["real"] if through else views[mode.d_real]
        with tf.GradientTape() as tape:
            tape.watch(images)
            seen = views.augment["real"](images) if through else images
            logits = tf.reduce_sum(
                tf.cast(call_discriminator(discriminator, seen).logits, tf.float32)
            )
        gradient = tf.cast(tape.gradient(logits, images), tf.float32)
        return 0.5 * self.weight * tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "on": self.on}


REGULARIZERS = {kind.name: kind for kind in (R1,)}


def parse_regularizers(regularizers: str | Sequence[Regularizer] | None) -> tuple[Regularizer, ...]:
    """Reads `"r1:10"` or `"r1(weight=10, on=augmented)"`; several stand side by side, by commas.

    Raises:
        ValueError: for an unknown name or option, or one that stands there twice.
    """
    if regularizers is None or regularizers in ("", "none"):
        return ()
    if not isinstance(regularizers, str):
        return tuple(regularizers)
    made: dict[str, Regularizer] = {}
    for call in parse_calls(regularizers, what="regularizers"):
        if call.name not in REGULARIZERS:
            raise ValueError(unknown("regularizer", call.name, REGULARIZERS))
        if call.name in made:
            raise ValueError(f"A regularizer stands there twice. Received: {regularizers!r}.")
        kind = REGULARIZERS[call.name]
        names = [*inspect.signature(kind).parameters]
        made[call.name] = kind(**bind(call, names, what="regularizers", text=regularizers))
    return tuple(made.values())
