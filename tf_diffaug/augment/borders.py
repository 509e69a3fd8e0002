"""Which pixel of a side stands for a place outside it."""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.augment.maps import Size


def clamp(index: tf.Tensor, size: Size) -> tf.Tensor:
    """The edge pixel."""
    return tf.clip_by_value(index, 0, size - 1)


def mirror(index: tf.Tensor, size: Size) -> tf.Tensor:
    """The pixel as far from the edge on the inside; the edge pixel is not repeated."""
    last = tf.maximum(size - 1, 0)
    return last - tf.abs(tf.math.floormod(index, tf.maximum(2 * last, 1)) - last)


INSIDE = {"reflect": mirror, "nearest": clamp}


def check_fill(fill: str) -> None:
    """Refuses what is neither `constant` nor one of `INSIDE`."""
    if fill != "constant" and fill not in INSIDE:
        raise ValueError(f"fill is constant, reflect or nearest. Received: fill={fill!r}.")
