"""A box that is filled."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment import functional
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import (
    CheckedOp,
    Params,
    Shape,
    column,
    fill_value,
    pixels,
    rounded,
    unpack_shape,
    whole,
)
from tf_diffaug.augment.pixel_map import PixelMap, Window
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class CutoutOp(CheckedOp):
    """Fills one box of sides int(side·strength + 0.5) whose centre is anywhere in the image.

    The centre's row is one of 0, ..., H - s mod 2 for a box of height s, likewise its column, and
    the part of the box outside is dropped. The paper's strength is 1/2 and its fill the tensor's
    zero; `black` is the lower end of the value range.
    """

    name: ClassVar[str] = "cutout"
    effect: ClassVar[str] = "fills a box of sides k = int(side·s + 0.5)"
    draws: ClassVar[str] = "centre one of 0, ..., side - k mod 2 on each axis"
    cases: ClassVar[tuple[str, ...]] = ("cutout(0.25, fill=black)",)
    fills: ClassVar[tuple[str, ...]] = ("zero", "black")
    num_draws: ClassVar[int] = 2
    strength: float = 0.5
    fill: str = "zero"

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        _, height, width, _ = unpack_shape(shape)
        last = [size - rounded(size, self.strength) % 2 for size in (height, width)]
        centers = whole(uniform, column(0, 0), column(*last)) / column(height, width)
        return dict(zip(("center_y", "center_x"), tf.unstack(centers), strict=True))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        sides = []
        for axis, size in (("y", height), ("x", width)):
            center = pixels(params[f"center_{axis}"], size)
            sides += functional.cutout_window(center, rounded(size, self.strength))
        return PixelMap(holes=(Window(*sides),), fill=fill_value(self.fill, value_range))
