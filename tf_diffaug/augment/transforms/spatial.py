"""Ops that move pixels or cover them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment import ops
from tf_diffaug.augment.maps import FunctionMap, Map
from tf_diffaug.augment.pixel_map import PixelMap, Window
from tf_diffaug.augment.transforms.base import (
    Op,
    Params,
    Shape,
    column,
    fill_value,
    pixels,
    rounded,
    unpack_shape,
    whole,
)


@dataclasses.dataclass(frozen=True)
class TranslationOp(Op):
    """Moves by whole pixels, each axis by one of -s, ..., s with s = int(side·ratio + 0.5).

    The paper's ratio is 1/8 and its fill the tensor's zero, which on [-1, 1] is mid-grey. `black`
    is the lower end of the value range; `reflect` mirrors without repeating the edge pixel.
    """

    name: ClassVar[str] = "translation"
    num_draws: ClassVar[int] = 2
    ratio: float = 0.125
    fill: str = "zero"

    def __post_init__(self) -> None:
        self._check("ratio", 0.0, 1.0)
        self._check_choice("fill", ("zero", "black", "reflect", "nearest"))

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        _, height, width, _ = unpack_shape(shape)
        limits = column(rounded(height, self.ratio), rounded(width, self.ratio))
        shifts = whole(uniform, -limits, limits) / column(height, width)
        return dict(zip(("dy", "dx"), tf.unstack(shifts), strict=True))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        dy, dx = pixels(params["dy"], height), pixels(params["dx"], width)
        if self.fill in ("zero", "black"):
            value = fill_value(self.fill, value_range)
            return PixelMap.translation(dy, dx, height, width, value)
        return FunctionMap(lambda images: ops.translate(images, dy, dx, fill=self.fill))


@dataclasses.dataclass(frozen=True)
class CutoutOp(Op):
    """Fills one box of sides int(side·ratio + 0.5) whose centre is anywhere in the image.

    The centre's row is one of 0, ..., H - s mod 2 for a box of height s, likewise its column, and
    the part of the box outside is dropped. The paper's ratio is 1/2 and its fill the tensor's zero;
    `black` is the lower end of the value range.
    """

    name: ClassVar[str] = "cutout"
    num_draws: ClassVar[int] = 2
    ratio: float = 0.5
    fill: str = "zero"

    def __post_init__(self) -> None:
        self._check("ratio", 0.0, 1.0)
        self._check_choice("fill", ("zero", "black"))

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        _, height, width, _ = unpack_shape(shape)
        last = [size - rounded(size, self.ratio) % 2 for size in (height, width)]
        centers = whole(uniform, column(0, 0), column(*last)) / column(height, width)
        return dict(zip(("center_y", "center_x"), tf.unstack(centers), strict=True))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        sides = []
        for axis, size in (("y", height), ("x", width)):
            center = pixels(params[f"center_{axis}"], size)
            sides += ops.cutout_window(center, rounded(size, self.ratio))
        return PixelMap(holes=(Window(*sides),), fill=fill_value(self.fill, value_range))
