"""Mirror images, to the bit."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.augment import placement
from tf_diffaug.augment.maps import image_shape


def mirror_columns(images: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Mirrors left and right the images (N, H, W, C) for which `mirrored`, bool (N,), is true."""

    @tf.custom_gradient
    def run(images: tf.Tensor) -> Any:
        # The map is its own transpose.
        return _mirrored(images, mirrored), lambda upstream: mirror_columns(upstream, mirrored)

    return run(images)


def _mirrored(images: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    if placement.accelerated() or placement.traced_for_xla():
        return tf.where(mirrored[:, None, None, None], tf.reverse(images, [2]), images)
    # On the CPU a reversal takes five times as long as looking each pixel up.
    batch, height, width, channels = image_shape(images)
    columns = tf.range(width)
    source = tf.where(mirrored[:, None], width - 1 - columns, columns)
    starts = tf.reshape(tf.range(batch * height) * width, [batch, height, 1])
    places = tf.reshape(starts + source[:, None, :], [-1, 1])
    flat = tf.reshape(images, [-1, channels])
    return tf.reshape(tf.gather_nd(flat, places), image_shape(images))
