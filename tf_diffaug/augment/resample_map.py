"""Averages along each axis: a few pixels a place, or a matrix."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Protocol

import tensorflow as tf

from tf_diffaug.augment import placement
from tf_diffaug.augment.borders import INSIDE, clamp
from tf_diffaug.augment.look_up import Tap, look_up
from tf_diffaug.augment.maps import Map, Size, chosen, image_shape

# From this side on a CPU looks pixels up in less time than it multiplies by matrices; measured
# from 32 to 1024 pixels, both ways take as long at 64 (two pixels a place) to 128 (four).
LARGE = 128


class Average(Protocol):
    """What each place of a side averages; it sums to one, or to less at places partly outside."""

    def along_height(self, images: tf.Tensor) -> tf.Tensor:
        """The averages of images (N, H, W, C), float32 or float64, along their height."""

    def sums(self) -> tf.Tensor:
        """What each place's weights sum to, float32 (N, H)."""


@dataclasses.dataclass(frozen=True)
class Matrices:
    """One matrix an image, float32 (N, side, side)."""

    values: tf.Tensor

    def along_height(self, images: tf.Tensor) -> tf.Tensor:
        shape = batch, height, width, channels = image_shape(images)
        lines = tf.reshape(images, [batch, height, width * channels])
        matrices = tf.stop_gradient(tf.cast(self.values, images.dtype))
        return tf.reshape(tf.matmul(matrices, lines), shape)

    def sums(self) -> tf.Tensor:
        return tf.reduce_sum(self.values, axis=2)


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """A few pixels a place: each an index of the side, int32, and a weight, float32 (N, side).

    A large side is looked up. Elsewhere, on accelerators and under XLA the same weights are a
    matrix, whose gradient is a product too: it adds nothing up in an order that may vary.
    """

    pixels: tuple[tuple[tf.Tensor, tf.Tensor], ...]

    @tf.autograph.experimental.do_not_convert  # which knows no generators
    def along_height(self, images: tf.Tensor) -> tf.Tensor:
        shape = batch, height, width, channels = image_shape(images)
        small = isinstance(height, int) and height < LARGE
        if small or placement.accelerated() or placement.traced_for_xla():
            return self.matrices(height).along_height(images)

        def taps() -> Iterator[Tap]:
            starts = (tf.range(batch) * height)[:, None]
            for index, weight in self.pixels:
                weight = tf.stop_gradient(tf.cast(weight, images.dtype))
                yield tf.reshape(starts + index, [-1]), tf.reshape(weight, [-1])

        lines = tf.reshape(images, [batch * height, width * channels])
        return tf.reshape(look_up(lines, taps), shape)

    def matrices(self, size: Size) -> Matrices:
        """The same as matrices, of a side of `size` pixels."""
        matrix = 0.0
        for index, weight in self.pixels:
            matrix += tf.where(index[..., None] == tf.range(size), weight[..., None], 0.0)
        return Matrices(matrix)

    def sums(self) -> tf.Tensor:
        return tf.add_n([weight for _, weight in self.pixels])


@dataclasses.dataclass(frozen=True)
class ResampleMap:
    """rows·X·columnsᵀ + fill·(1 - coverage) for each channel X, with averages per image.

    None is the identity. The coverage of a place is the product of the sums of its row and its
    column. With `fill` None all sum to one.
    """

    rows: Average | None = None
    columns: Average | None = None
    fill: float | None = None

    def then(self, following: Map) -> Map | None:
        del following
        return None

    def only(self, applied: tf.Tensor) -> Map:
        # Not by identity matrices, whose products some accelerators round.
        return chosen(self, applied)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        dtype = images.dtype
        output = images if dtype == tf.float64 else tf.cast(images, tf.float32)
        if self.rows is not None:
            output = self.rows.along_height(output)
        # Two transposes and whole rows take less than a narrow product or look for each row.
        if self.columns is not None:
            output = tf.transpose(output, [0, 2, 1, 3])
            output = tf.transpose(self.columns.along_height(output), [0, 2, 1, 3])
        if self.fill:
            outside = 1.0 - _coverage(self.rows, 2) * _coverage(self.columns, 1)
            output += self.fill * tf.cast(outside, output.dtype)[..., None]
        return tf.cast(output, dtype)


def _coverage(average: Average | None, axis: int) -> tf.Tensor | float:
    """The sums (N, side), with an axis for the other side."""
    return 1.0 if average is None else tf.expand_dims(tf.stop_gradient(average.sums()), axis)


def pixels_across(shrink: float) -> int:
    """How many pixels there are to a place where the image shrinks by a factor."""
    return max(math.ceil(shrink - 1e-6), 1)  # a product may be an ulp above a whole number


def sampling(
    centers: tf.Tensor, extent: tf.Tensor, size: Size, border: str, shrink: float
) -> Neighbours:
    """What each of `size` places averages, of a side of as many pixels.

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
    pixels = []
    for place, weight in zip(places, weights, strict=True):
        index = tf.cast(place, tf.int32)
        share = weight / total
        if border not in INSIDE:
            share = tf.where((index >= 0) & (index < size), share, 0.0)
        pixels.append((INSIDE.get(border, clamp)(index, size), share))
    return Neighbours(tuple(pixels))
