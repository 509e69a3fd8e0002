"""Ops that mix an image with another of its batch.

Call them on images of one kind: on reals and fakes in one batch they would show the discriminator
half-real images, which is not the papers' method. Labels stay the base image's. The partner is
drawn as a fraction u of the others: that of image i of N is (i + 1 + floor(u·(N - 1))) mod N, so
that every other image is equally likely, and the draw can be replayed on a batch of another size;
an image alone is its own partner. Gradients pass to both images.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.maps import FunctionMap, Map, Size, image_shape
from tf_diffaug.augment.pixel_map import Window
from tf_diffaug.augment.transforms.base import (
    Op,
    Params,
    Shape,
    column,
    pixels,
    rounded,
    unpack_shape,
    whole,
)


@dataclasses.dataclass(frozen=True)
class CutMixOp(Op):
    """Pastes a box of another image of the batch, of sides int(side·s + 0.5), at the same place.

    The box lies inside the image, every such place equally likely. Our definition ("a square box
    at a random place"); the appendix of arXiv:2006.02595 was not readable. Its strengths are .1 to
    .5 (Fig. 3).
    """

    name: ClassVar[str] = "cutmix"
    num_draws: ClassVar[int] = 3
    mixes: ClassVar[bool] = True
    example: ClassVar[float] = 0.3
    strength: float

    def __post_init__(self) -> None:
        self._check("strength", 0.0, 1.0)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        _, height, width, _ = unpack_shape(shape)
        last = column(*(size - rounded(size, self.strength) for size in (height, width)))
        top, left = tf.unstack(whole(uniform[:2], column(0, 0), last) / column(height, width))
        return {"top": top, "left": left, "partner": uniform[2]}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del value_range
        _, height, width, _ = unpack_shape(shape)
        top, bottom = self._sides(params["top"], height)
        left, right = self._sides(params["left"], width)
        box = Window(top, bottom, left, right)
        partner = partners(params["partner"], shape)

        def paste(images: tf.Tensor) -> tf.Tensor:
            inside = box.contains(tf.range(height), tf.range(width))[..., None]
            return tf.where(inside, take(images, partner), images)

        return FunctionMap(paste)

    def _sides(self, start: tf.Tensor, size: Size) -> tuple[tf.Tensor, tf.Tensor]:
        side = rounded(size, self.strength)
        # On images of another size rounding may take the box over the edge.
        first = tf.minimum(pixels(start, size), size - side)
        return first, first + side


@dataclasses.dataclass(frozen=True)
class MixUpOp(Op):
    """(1 - a)·x + a·partner, with a ~ U(0, s).

    Our definition; the appendix of arXiv:2006.02595 was not readable. Its strengths are .02 to .3
    (Figs. 3 and 5), and .1 to .9 for the contrastive loss (Fig. 6).
    """

    name: ClassVar[str] = "mixup"
    num_draws: ClassVar[int] = 2
    mixes: ClassVar[bool] = True
    example: ClassVar[float] = 0.1
    strength: float

    def __post_init__(self) -> None:
        self._check("strength", 0.0, 1.0)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        return {"share": self.strength * uniform[0], "partner": uniform[1]}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del value_range
        partner = partners(params["partner"], shape)

        def blend(images: tf.Tensor) -> tf.Tensor:
            compute = tf.float64 if images.dtype == tf.float64 else tf.float32
            share = tf.cast(tf.stop_gradient(params["share"]), compute)[:, None, None, None]
            own = tf.cast(images, compute)
            return tf.cast(own + share * (take(own, partner) - own), images.dtype)

        return FunctionMap(blend)


def partners(fraction: tf.Tensor, shape: Shape) -> tf.Tensor:
    """The index of each image's partner, int32 (N,), from a fraction in [0, 1] of the others."""
    batch = unpack_shape(shape)[0]
    others = tf.maximum(batch - 1, 0)
    steps = tf.cast(tf.floor(fraction * tf.cast(others, fraction.dtype)), tf.int32)
    steps = tf.minimum(steps, tf.maximum(others - 1, 0))
    return (tf.range(batch) + 1 + steps) % tf.maximum(batch, 1)


def take(images: tf.Tensor, partner: tf.Tensor) -> tf.Tensor:
    """images[partner], whose gradient is the sum over who took an image, of any order and dense."""
    batch, *_ = image_shape(images)

    @tf.custom_gradient
    def gather(images):
        return tf.gather(images, partner), give

    @tf.custom_gradient
    def give(upstream):
        return tf.math.unsorted_segment_sum(upstream, partner, batch), gather

    return gather(images)
