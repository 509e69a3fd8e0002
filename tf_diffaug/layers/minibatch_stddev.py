"""Minibatch standard deviation (Karras et al., 2018, arXiv 1710.10196, section 3)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tf_diffaug")
class MinibatchStddev(keras.layers.Layer):
    """Appends how much each group of images varies, as constant feature maps.

    Per group: the standard deviation of every feature over the group, averaged over positions and
    channels. Groups are contiguous runs of the batch, where NVIDIA's code takes images a
    batch / group_size apart: so reals and fakes may share a batch without sharing a group, and
    replicas see what one would, as long as each part is a multiple of the group.

    A group is the largest number up to `group_size` that divides the batch. Statistics are float32
    (float64 for float64 inputs).

    Args:
        group_size: images of a group, 4 in StyleGAN2. 1 says that nothing varies.
        num_new_features: feature maps appended, each of its own run of the channels; 1 there.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels), the last three known.

    Returns floats of shape (batch, height, width, channels + num_new_features).

    Raises:
        ValueError: for a number below 1, or channels that `num_new_features` does not divide.

    Example:

    >>> import tensorflow as tf
    >>> MinibatchStddev()(tf.ones((8, 4, 4, 16))).shape
    TensorShape([8, 4, 4, 17])
    """

    # NVIDIA's networks_stylegan2.py, `minibatch_stddev_layer`.
    EPSILON = 1e-8

    def __init__(self, group_size: int = 4, *, num_new_features: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("group_size", group_size), ("num_new_features", num_new_features)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}.")
        self.group_size = group_size
        self.num_new_features = num_new_features

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] % self.num_new_features:
            raise ValueError(
                "`num_new_features` must divide the channels. Received: "
                f"num_new_features={self.num_new_features}, input_shape={input_shape}."
            )
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, channels = inputs.shape
        batch = inputs.shape[0] or tf.shape(inputs)[0]
        group = _largest_divisor(batch, self.group_size)
        maps = self.num_new_features
        values = tf.cast(inputs, tf.float64 if inputs.dtype == tf.float64 else tf.float32)
        # Groups come apart first, so that the batch is never the axis reduced over.
        values = tf.reshape(values, (-1, group, height * width, maps, channels // maps))
        variance = tf.math.reduce_variance(values, axis=1)
        spread = tf.reduce_mean(tf.sqrt(variance + self.EPSILON), axis=(1, 3))
        # Not tf.repeat: XLA can't take its gradient out of a condition.
        spread = tf.cast(spread, inputs.dtype)[:, None, None, None, :]
        spread = tf.broadcast_to(spread, (batch // group, group, height, width, maps))
        spread = tf.reshape(spread, (batch, height, width, maps))
        return tf.concat([inputs, spread], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape[:-1], input_shape[-1] + self.num_new_features)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group_size": self.group_size,
            "num_new_features": self.num_new_features,
        }


def _largest_divisor(batch: int | tf.Tensor, most: int) -> int | tf.Tensor:
    """The largest number up to `most` that divides a batch size."""
    if isinstance(batch, int):
        return max(size for size in range(1, most + 1) if batch % size == 0)
    sizes = tf.range(1, most + 1)
    return tf.reduce_max(tf.where(batch % sizes == 0, sizes, 1))
