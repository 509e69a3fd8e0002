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
    corners_y, corners_x = tf.constant([0, 0, 1, 1]), tf.constant([0, 1, 0, 1])
    row, row_weight = _neighbours(rows, corners_y)
    column, column_weight = _neighbours(columns, corners_x)
    weights = tf.cast(row_weight * column_weight, compute)
    if fill == "constant":
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        weights = tf.where(inside, weights, 0.0)
    fold = INSIDE.get(fill, INSIDE["nearest"])
    index = fold(row, height) * width + fold(column, width)
    # Before the look-up, so that the gradient adds up in the dtype of the computation.
    flat = tf.reshape(tf.cast(images, compute), [batch, height * width, channels])
    found = tf.gather(flat, tf.reshape(index, [batch, 4 * height * width]), batch_dims=1)
    found = tf.reshape(found, [batch, 4, height, width, channels])
    output = tf.reduce_sum(found * weights[..., None], axis=1)
    if fill == "constant" and fill_value:
        output += fill_value * (1.0 - tf.reduce_sum(weights, axis=1))[..., None]
    return tf.reshape(tf.cast(output, images.dtype), shape)


def _neighbours(places: tf.Tensor, corners: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The neighbours (N, 4, H, W) of places (N, H, W) along one axis, and their weights."""
    first = tf.floor(places)
    beyond = (places - first)[:, None]
    corners = corners[:, None, None]
    weights = tf.where(corners == 1, beyond, 1.0 - beyond)
    return tf.cast(first, tf.int32)[:, None] + corners, weights
