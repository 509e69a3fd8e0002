"""Looking up places between pixels."""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.augment.borders import INSIDE, check_fill
from tf_diffaug.augment.maps import image_shape


def sample_bilinear(
    images: tf.Tensor,
    rows: tf.Tensor,
    columns: tf.Tensor,
    *,
    fill: str = "constant",
    fill_value: float = 0.0,
) -> tf.Tensor:
    """Averages the four pixels around each place.

    Args:
        images: floating tensor (N, H, W, C).
        rows: where to look, in pixels, float32 (N, H, W).
        columns: likewise.
        fill: what is outside the image: `constant`, `reflect` (mirrored, the edge pixel not
            repeated) or `nearest` (the edge pixel).
        fill_value: the constant.

    Raises:
        ValueError: if `fill` is none of these.
    """
    check_fill(fill)
    batch, height, width, channels = shape = image_shape(images)
    compute = tf.float64 if images.dtype == tf.float64 else tf.float32
    # Before the look-up, so that the gradient adds up in the dtype of the computation.
    flat = tf.reshape(tf.cast(images, compute), [batch, height * width, channels])
    fold = INSIDE.get(fill, INSIDE["nearest"])
    output, inside = 0.0, 0.0
    # One corner after the other: all four at once are eight times the images.
    for row, row_weight in _neighbours(rows):
        for column, column_weight in _neighbours(columns):
            weight = tf.cast(row_weight * column_weight, compute)
            if fill == "constant":
                here = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                weight = tf.where(here, weight, 0.0)
                inside += weight
            place = fold(row, height) * width + fold(column, width)
            found = tf.gather(flat, tf.reshape(place, [batch, height * width]), batch_dims=1)
            output += tf.reshape(found, shape) * weight[..., None]
    if fill == "constant" and fill_value:
        output += fill_value * (1.0 - inside)[..., None]
    return tf.reshape(tf.cast(output, images.dtype), shape)


def _neighbours(places: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], ...]:
    """The two pixels (N, H, W) around places along one axis, and their weights."""
    first = tf.floor(places)
    beyond = places - first
    index = tf.cast(first, tf.int32)
    return (index, 1.0 - beyond), (index + 1, beyond)
