"""The head through which features are compared: two layers, as SimCLR and MoCo v2 have."""

from __future__ import annotations

import keras
import tensorflow as tf

from tf_diffaug._keras import raw_variables
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import checked_whole, is_number, weights_seed

WIDEST = 2048  # of SimCLR's head: the features of its ResNet-50


def checked_temperature(name: str, temperature: float) -> float:
    """A regularizer's temperature, by which similarities are divided.

    Raises:
        ValueError: if it is not above 0.
    """
    if not (is_number(temperature) and temperature > 0):
        raise ValueError(f"A temperature is above 0. Received: {name} temperature={temperature!r}.")
    return float(temperature)


def checked_units(name: str, hidden: int | None, out: int) -> tuple[int | None, int]:
    """The units of a regularizer's head; `hidden` may be None.

    Raises:
        ValueError: if a layer has none.
    """
    if hidden is not None:
        hidden = checked_whole(name, "hidden", hidden, least=1)
    return hidden, checked_whole(name, "out", out, least=1)


class ProjectionHead:
    """W₂ relu(W₁ h + b₁), with b₂ on top if it is asked for, in float32.

    Args:
        networks: the networks, whose seed the weights follow.
        owner: the regularizer's name.
        size: the length of the features.
        hidden: units of the hidden layer; None for as many as features, but at most `WIDEST`.
        out: units of the last layer.
        name: of the head among the owner's; two of one name start with the same weights.
        last_bias: whether the last layer has a bias.
    """

    def __init__(
        self,
        networks: Networks,
        owner: str,
        size: int,
        *,
        hidden: int | None,
        out: int,
        name: str = "head",
        last_bias: bool = False,
    ) -> None:
        hidden = min(size, WIDEST) if hidden is None else hidden
        self._layers = [
            keras.layers.Dense(
                units,
                activation=activation,
                use_bias=activation is not None or last_bias,
                kernel_initializer=keras.initializers.GlorotUniform(
                    seed=weights_seed(networks, owner, f"{name}{number}")
                ),
                dtype="float32",
            )
            for number, (units, activation) in enumerate(((hidden, "relu"), (out, None)))
        ]
        for layer, length in zip(self._layers, (size, hidden), strict=True):
            layer.build((None, length))

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Float32 (batch, out) of features (batch, size)."""
        projected = tf.cast(features, tf.float32)
        for layer in self._layers:
            projected = layer(projected)
        return projected

    @property
    def trainable_variables(self) -> list:
        """What D's optimizer trains."""
        return [v for layer in self._layers for v in layer.trainable_variables]

    @property
    def variables(self) -> list:
        """What a checkpoint holds."""
        return [v for layer in self._layers for v in raw_variables(layer)]
