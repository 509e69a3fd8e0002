"""Boxes of another image of the batch."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.maps import FunctionMap, Map, Size
from tf_diffaug.augment.op import (
    CheckedOp,
    Params,
    Shape,
    column,
    pixels,
    rounded,
    unpack_shape,
    whole,
)
from tf_diffaug.augment.partners import partners, take
from tf_diffaug.augment.pixel_map import Window
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class CutMixOp(CheckedOp):
    """Pastes a box of another image of the batch, of sides int(side·s + 0.5), at the same place.

    The box lies inside the image, every such place equally likely. Our definition ("a square box
    at a random place"); the appendix of arXiv:2006.02595 was not readable. Its strengths are .1 to
    .5 (Fig. 3).
    """

    name: ClassVar[str] = "cutmix"
    effect: ClassVar[str] = (
        "pastes a box of another image, of sides k = int(side·s + 0.5), in its place"
    )
    draws: ClassVar[str] = "every place inside the image; the other image as in `mixup`"
    num_draws: ClassVar[int] = 3
    mixes: ClassVar[bool] = True
    unseen: ClassVar[tuple[str, ...]] = ("partner",)
    example: ClassVar[float] = 0.3
    strength: float

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        _, height, width, _ = unpack_shape(shape)
        last = column(*(size - rounded(size, self.strength) for size in (height, width)))
        top, left = tf.unstack(whole(uniform[:2], column(0, 0), last) / column(height, width))
        return {"top": top, "left": left, "partner": uniform[2]}

    def neutral_params(self, shape: Shape) -> Params:
        """The middle of its own places: a box without sides has others, past these."""
        return self.params_at(0.5, shape)

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
