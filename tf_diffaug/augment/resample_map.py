"""Averages along each axis, as one matrix an axis."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from tf_diffaug.augment.borders import INSIDE
from tf_diffaug.augment.maps import Map, Size, chosen, image_shape


@dataclasses.dataclass(frozen=True)
class ResampleMap:
    """rows·X·columnsᵀ + fill·(1 - coverage) for each channel X, with matrices per image.

    The matrices are float32 of shape (N, H, H) and (N, W, W); None is the identity. A row sums to
    one, or to less where part of what it averages lies outside the image; the coverage of a place
    is the product of the sums of its row and its column. With `fill` None all rows sum to one.
    """

    rows: tf.Tensor | None = None
    columns: tf.Tensor | None = None
    fill: float | None = None

    def then(self, following: Map) -> Map | None:
        del following
        return None

    def only(self, applied: tf.Tensor) -> Map:
        # Not by identity matrices, whose products some accelerators round.
        return chosen(self, applied)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        dtype = images.dtype
        compute = tf.float64 if dtype == tf.float64 else tf.float32
        rows, columns = (
            None if matrices is None else tf.stop_gradient(tf.cast(matrices, compute))
            for matrices in (self.rows, self.columns)
        )
        output = _along_height(rows, tf.cast(images, compute))
        # Two transposes and one wide product take less than a narrow product for each row.
        if columns is not None:
            output = tf.transpose(output, [0, 2, 1, 3])
            output = tf.transpose(_along_height(columns, output), [0, 2, 1, 3])
        if self.fill:
            outside = 1.0 - _coverage(rows, 2) * _coverage(columns, 1)
            output += self.fill * outside[..., None]
        return tf.cast(output, dtype)


def _along_height(matrices: tf.Tensor | None, images: tf.Tensor) -> tf.Tensor:
    if matrices is None:
        return images
    shape = batch, height, width, channels = image_shape(images)
    lines = tf.reshape(images, [batch, height, width * channels])
    return tf.reshape(tf.matmul(matrices, lines), shape)


def _coverage(matrices: tf.Tensor | None, axis: int) -> tf.Tensor | float:
    """The rows' sums (N, side), with an axis for the other side."""
    return 1.0 if matrices is None else tf.expand_dims(tf.reduce_sum(matrices, axis=2), axis)


def pixels_across(shrink: float) -> int:
    """How many pixels there are to a place where the image shrinks by a factor."""
    return max(math.ceil(shrink - 1e-6), 1)  # a product may be an ulp above a whole number


def sampling(
    centers: tf.Tensor, extent: tf.Tensor, size: Size, border: str, shrink: float
) -> tf.Tensor:
    """What each of `size` places averages, of a side of as many pixels: float32 (N, size, size).

    The weights are a triangle around the place, as wide as two pixels or, where the image shrinks,
    as two of the places.

    Args:
        centers: the places in pixels, float32 (N, size).
        extent: how far they are apart, float32 (N, 1); negative where the image is mirrored.
        size: the side.
        border: what is outside the image, as for `sample_bilinear`.
        shrink: the largest extent that there can be.
    """
    first = tf.floor(centers)
    radius = pixels_across(shrink)
    places = [first + float(offset) for offset in range(1 - radius, radius + 1)]
    reach = tf.maximum(tf.abs(extent), 1.0)
    weights = [tf.maximum(1.0 - tf.abs(place - centers) / reach, 0.0) for place in places]
    total = tf.add_n(weights)
    matrix = 0.0
    for place, weight in zip(places, weights, strict=True):
        index = tf.cast(place, tf.int32)
        if border in INSIDE:
            index = INSIDE[border](index, size)
        # A place outside the image that is not folded back is none of the columns.
        here = index[..., None] == tf.range(size)
        matrix += tf.where(here, (weight / total)[..., None], 0.0)
    return matrix
