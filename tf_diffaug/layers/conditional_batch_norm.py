"""Batch normalisation whose gain and bias come from a condition (Brock et al., 2019, 1809.11096).

The gain is 1 + a linear map of the condition, as in the author's code. compare_gan, and the
DiffAugment paper's ImageNet code with it, lack the 1: there the layer starts by multiplying
everything by about nothing, which is said to cost runs (compare_gan, issue 54, open).
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.labels import class_weights
from tf_diffaug.layers._initializers import seeded
from tf_diffaug.layers.batch_norm import BatchNorm
from tf_diffaug.layers.spectral_norm import SpectralNormalization
from tf_diffaug.random import derive_int


@keras.saving.register_keras_serializable(package="tf_diffaug")
class ConditionalBatchNorm(keras.layers.Layer):
    """Normalises as `BatchNorm` does, then scales and shifts each example by its condition.

    outputs = (1 + gain(condition)) · normalised + bias(condition), for each example and channel.

    With `num_classes` the condition is a label, and gain and bias are two tables of
    num_classes × channels (the small BigGAN of the DiffAugment experiments). Without, it is a
    vector, and they are two bias-free linear maps with spectral normalisation (the original
    BigGAN, appendix B: a chunk of the latents beside the shared class embedding).

    Args:
        num_classes: number of classes, or None for conditions that are vectors.
        momentum: of the moving averages, as in `BatchNorm`.
        epsilon: added to the variance.
        kernel_initializer: of the two maps; the published ones are N(0, 0.02) and orthogonal.
        seed: seed of the two maps' initial values. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: a pair of floats of shape (batch, ..., channels), and integer labels of shape
            (batch,) in [0, num_classes) or floats of shape (batch, features). A label outside has
            gain 1 and bias 0. In place of labels floats (batch, num_classes), the weight of each
            class, mix the classes' gains and biases.
        training: as in `BatchNorm`.

    Raises:
        ValueError: for fewer than one class, or as `BatchNorm` does.

    Example:

    >>> import tensorflow as tf
    >>> layer = ConditionalBatchNorm(num_classes=10)
    >>> layer((tf.ones((2, 4, 4, 3)), tf.constant([3, 7])), training=True).shape
    TensorShape([2, 4, 4, 3])
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        kernel_initializer: Any = "orthogonal",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"`num_classes` must be at least 1. Received: {num_classes=}.")
        self.num_classes = num_classes
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.norm = BatchNorm(
            momentum, epsilon, affine=False, dtype=self.dtype_policy.name, name="norm"
        )

    def build(self, input_shape: Any) -> None:
        shape, condition_shape = (tuple(part) for part in input_shape)
        self.norm.build(shape)
        channels = shape[-1]
        features = condition_shape[-1] if self.num_classes is None else self.num_classes
        self.gain = self._map(channels, "gain", 0)
        self.bias = self._map(channels, "bias", 2)
        for layer in (self.gain, self.bias):
            layer.build((None, features))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        hidden, condition = inputs
        if self.num_classes is not None:
            # A product with one-hot rows: the gradient of a gather would be sparse.
            condition = class_weights(condition, self.num_classes)
        shape = (-1, *[1] * (hidden.shape.rank - 2), hidden.shape[-1])
        gain = tf.reshape(1.0 + self.gain(condition), shape)
        bias = tf.reshape(self.bias(condition), shape)
        return self.norm(hidden, training=training) * gain + bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "momentum": self.norm.momentum,
            "epsilon": self.norm.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }

    def _map(self, channels: int, name: str, index: int) -> keras.layers.Layer:
        layer = keras.layers.Dense(
            channels,
            use_bias=False,
            kernel_initializer=seeded(self.kernel_initializer, self.seed, index),
            dtype=self.dtype_policy.name,
            name=name,
        )
        if self.num_classes is not None:
            return layer
        seed = derive_int(0 if self.seed is None else self.seed, "init", index=index + 1)
        return SpectralNormalization(layer, seed=seed, name=name)
