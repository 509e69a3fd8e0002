"""Gaussian blur."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.maps import Map, Size
from tf_diffaug.augment.op import OneDrawOp, Params, Shape, unpack_shape
from tf_diffaug.augment.registry import register
from tf_diffaug.augment.resample_map import Matrices, ResampleMap


@register
@dataclasses.dataclass(frozen=True)
class BlurOp(OneDrawOp):
    """Averages with Gaussian weights of deviation d, a tenth of the side at most: d ~ U(0, s/10).

    Along height and width in turn, d being a part of each side; past the edges the image is
    mirrored. After SimCLR's (arXiv:2002.05709, Appendix A), which blurs half of the images, with
    0.1 to 2 pixels of 224: s = 0.09 reaches as far. Ours blurs all of them from 0 on, does not cut
    the weights off, and is a part of the side, so that a draw suits any size.
    """

    name: ClassVar[str] = "blur"
    effect: ClassVar[str] = "Gaussian blur, mirrored past the edges"
    draws: ClassVar[str] = "deviation ~ U(0, s) of a tenth of the side"
    param: ClassVar[str] = "deviation"
    reach: ClassVar[tuple[float, float]] = (0.0, 0.1)
    example: ClassVar[float] = 0.3
    strength: float

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del value_range
        _, height, width, _ = unpack_shape(shape)
        rows = Matrices(_gaussian(params["deviation"], height))
        square = isinstance(height, int) and height == width
        columns = rows if square else Matrices(_gaussian(params["deviation"], width))
        return ResampleMap(rows, columns)


def _gaussian(deviation: tf.Tensor, size: Size) -> tf.Tensor:
    """What each place of a side averages, float32 (N, size, size)."""
    places = tf.cast(tf.range(size), tf.float32)
    last = tf.cast(size - 1, tf.float32)
    # A pixel's mirror images: past the first, past the last. A tenth of the side reaches no more.
    first = places[:, None] + places
    second = 2.0 * last - first
    scale = 0.5 / tf.maximum(deviation * tf.cast(size, tf.float32), 1e-3)[:, None, None] ** 2
    weights = tf.exp(-scale * (places[:, None] - places) ** 2)
    weights += tf.where(places > 0.0, tf.exp(-scale * first**2), 0.0)
    weights += tf.where(places < last, tf.exp(-scale * second**2), 0.0)
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)
