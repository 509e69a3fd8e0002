"""The parts of R3GAN's networks (Huang et al., 2024, arXiv 2501.05441, section 4.1)."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug.layers import GroupedConv2D

# `R3GAN/FusedOperators.py`: a leaky ReLU, and the gain that makes up for what it takes.
LEAK = 0.2
BLOCK_GAIN = math.sqrt(2.0 / (1.0 + LEAK**2))


def fan_in_normal(fan_in: int, gain: float, seed: int | None) -> keras.initializers.Initializer:
    """N(0, gain² / fan_in), `MSRInitializer` of the published code."""
    return keras.initializers.RandomNormal(stddev=gain / math.sqrt(fan_in), seed=seed)


class ResidualBlock(keras.layers.Layer):
    """x + W3 σ(W2 σ(W1 x + b1) + b2): 1 × 1, grouped 3 × 3, 1 × 1, σ a leaky ReLU of 0.2.

    Initialised as in fix-up (Zhang et al., 2019, arXiv 1901.09321): W3 is 0, so that a block starts
    as the identity, and the others have a gain of sqrt(2 / 1.04) · L ** (-1 / 4) in a network of L
    blocks. There is no normalisation.

    Args:
        expanded: channels between the 1 × 1 convolutions.
        channels: channels of inputs and outputs.
        groups: of the 3 × 3 convolution.
        gain: of the initial weights of W1 and W2.
        seeds: of the initial weights of W1 and W2; None draws anew.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels).
    """

    def __init__(
        self,
        expanded: int,
        channels: int,
        *,
        groups: int,
        gain: float,
        seeds: tuple[int | None, int | None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy.name
        self.expand = keras.layers.Conv2D(
            expanded,
            1,
            kernel_initializer=fan_in_normal(channels, gain, seeds[0]),
            dtype=dtype,
            name="expand",
        )
        self.grouped = GroupedConv2D(
            expanded,
            groups=groups,
            kernel_initializer=fan_in_normal(9 * expanded // groups, gain, seeds[1]),
            dtype=dtype,
            name="grouped",
        )
        self.contract = keras.layers.Conv2D(
            channels, 1, use_bias=False, kernel_initializer="zeros", dtype=dtype, name="contract"
        )

    def build(self, input_shape: Any) -> None:
        between = (*input_shape[:-1], self.expand.filters)
        self.expand.build(input_shape)
        self.grouped.build(between)
        self.contract.build(between)
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        hidden = tf.nn.leaky_relu(self.expand(inputs), LEAK)
        hidden = tf.nn.leaky_relu(self.grouped(hidden), LEAK)
        return inputs + self.contract(hidden)


class GenerativeBasis(keras.layers.Layer):
    """Vectors to maps of 4 × 4: a linear map, times one learned 4 × 4 pattern a channel.

    The patterns start as N(0, 1).

    Args:
        channels: of the maps.
        side: their height and width.
        seeds: of the linear map's initial weights, and of the patterns'.

    Call arguments:
        inputs: floats of shape (batch, length).
    """

    def __init__(
        self, channels: int, side: int, *, seeds: tuple[int | None, int | None], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.side = side
        self._seeds = seeds

    def build(self, input_shape: Any) -> None:
        initial = {
            "kernel": fan_in_normal(input_shape[-1], 1.0, self._seeds[0]),
            "basis": fan_in_normal(1, 1.0, self._seeds[1]),
        }
        shapes = {
            "kernel": (input_shape[-1], self.channels),
            "basis": (self.side, self.side, self.channels),
        }
        for name, shape in shapes.items():
            weight = _keras.add_weight(
                self, name, shape, dtype=self.variable_dtype, initializer=initial[name]
            )
            setattr(self, name, weight)
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel, basis = (
            tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)
            for weight in (self.kernel, self.basis)
        )
        strengths = tf.matmul(tf.cast(inputs, self.compute_dtype), kernel)
        return strengths[:, None, None, :] * basis


class DiscriminativeBasis(keras.layers.Layer):
    """Maps to vectors: each channel's product with one learned pattern as large as the map.

    The patterns start as N(0, 1 / pixels).

    Args:
        seed: of the initial weights.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels).

    Returns floats of shape (batch, channels).
    """

    def __init__(self, *, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._seed = seed

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[1:])
        self.basis = _keras.add_weight(
            self,
            "basis",
            shape,
            dtype=self.variable_dtype,
            initializer=fan_in_normal(shape[0] * shape[1], 1.0, self._seed),
        )
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        basis = tf.cast(tf.convert_to_tensor(self.basis), self.compute_dtype)
        return tf.reduce_sum(tf.cast(inputs, self.compute_dtype) * basis, axis=(1, 2))
