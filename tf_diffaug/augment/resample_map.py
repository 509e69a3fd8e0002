"""Zooms, crops and shifts by parts of a pixel as one matrix for each axis."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from tf_diffaug.augment.borders import INSIDE, check_fill
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

    @classmethod
    def window(
        cls,
        top: tf.Tensor | None,
        left: tf.Tensor | None,
        height: tf.Tensor | float,
        width: tf.Tensor | float,
        size: tuple[Size, Size],
        *,
        fill: str = "constant",
        fill_value: float = 0.0,
        shrink: float = 1.0,
    ) -> ResampleMap:
        """Resizes a window of each image to the whole: bilinear, antialiased where it shrinks.

        Args:
            top: the window's upper end as a fraction of the height, float32 (N,); below 0 or past 1
                is outside the image. None leaves the rows as they are.
            left: its left end as a fraction of the width, likewise.
            height: its height as a fraction of the image's, a number or (N,).
            width: its width, likewise.
            size: the images' (H, W) in pixels.
            fill: what is outside the image: `constant`, `reflect` (mirrored, the edge pixel not
                repeated) or `nearest` (the edge pixel).
            fill_value: the constant.
            shrink: the largest height or width that is given.

        Raises:
            ValueError: if `fill` is none of these.
        """
        check_fill(fill)
        rows, columns = (
            None if start is None else _sampling(start, extent, side, fill, shrink)
            for start, extent, side in zip((top, left), (height, width), size, strict=True)
        )
        return cls(rows, columns, float(fill_value) if fill == "constant" else None)

    def then(self, following: Map) -> Map | None:
        if not isinstance(following, ResampleMap):
            return None
        if None not in (self.fill, following.fill) and self.fill != following.fill:
            return None
        # Exact: a map without a fill covers everything, so that only one fill is ever seen.
        return ResampleMap(
            _chained(self.rows, following.rows),
            _chained(self.columns, following.columns),
            self.fill if following.fill is None else following.fill,
        )

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


def _chained(first: tf.Tensor | None, second: tf.Tensor | None) -> tf.Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return tf.matmul(second, first)


def _sampling(
    start: tf.Tensor, extent: tf.Tensor | float, size: Size, fill: str, shrink: float
) -> tf.Tensor:
    """What each of `size` places across a window averages: float32 (N, size, size).

    The weights are a triangle around the place, as wide as two pixels or, where the window is
    larger than the side, as two of its own places.
    """
    start, extent = start[:, None], tf.convert_to_tensor(extent, tf.float32)[..., None]
    side = tf.cast(size, tf.float32)
    centers = (tf.cast(tf.range(size), tf.float32) + 0.5) * extent + start * side - 0.5
    first = tf.floor(centers)
    radius = max(math.ceil(shrink), 1)
    places = [first + float(offset) for offset in range(1 - radius, radius + 1)]
    reach = tf.maximum(extent, 1.0)
    weights = [tf.maximum(1.0 - tf.abs(place - centers) / reach, 0.0) for place in places]
    total = tf.add_n(weights)
    matrix = 0.0
    for place, weight in zip(places, weights, strict=True):
        index = tf.cast(place, tf.int32)
        if fill in INSIDE:
            index = INSIDE[fill](index, size)
        # A place outside the image that is not folded back is none of the columns.
        here = index[..., None] == tf.range(size)
        matrix += tf.where(here, (weight / total)[..., None], 0.0)
    return matrix
