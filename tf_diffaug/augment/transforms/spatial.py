"""Ops that move pixels or cover them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment import ops
from tf_diffaug.augment.maps import FunctionMap, Map
from tf_diffaug.augment.pixel_map import PixelMap, Window
from tf_diffaug.augment.resample_map import ResampleMap
from tf_diffaug.augment.transforms.base import (
    FILLS,
    Op,
    Params,
    Shape,
    border,
    column,
    fill_value,
    pixels,
    rounded,
    spread,
    unpack_shape,
    whole,
)


class _ShiftOp(Op):
    """Moves along some axes; subclasses are dataclasses of the fields below."""

    axes: ClassVar[tuple[str, ...]]
    ratio: float
    fill: str
    continuous: bool

    def __post_init__(self) -> None:
        self._check("ratio", 0.0, 1.0)
        self._check_choice("fill", FILLS)
        self._check_flag("continuous")

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        keys = [f"d{axis}" for axis in self.axes]
        if self.continuous:
            shifts = spread(uniform, -self.ratio, self.ratio)
        else:
            _, height, width, _ = unpack_shape(shape)
            sides = [{"y": height, "x": width}[axis] for axis in self.axes]
            limits = column(*(rounded(side, self.ratio) for side in sides))
            shifts = whole(uniform, -limits, limits) / column(*sides)
        return dict(zip(keys, tf.unstack(shifts), strict=True))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        fill, value = border(self.fill), fill_value(self.fill, value_range)
        if self.continuous:
            top, left = (-params[key] if key in params else None for key in ("dy", "dx"))
            return ResampleMap.window(
                top, left, 1.0, 1.0, (height, width), fill=fill, fill_value=value
            )
        none = tf.zeros_like(params[f"d{self.axes[0]}"])
        dy, dx = pixels(params.get("dy", none), height), pixels(params.get("dx", none), width)
        if fill == "constant":
            return PixelMap.translation(dy, dx, height, width, value)
        return FunctionMap(lambda images: ops.translate(images, dy, dx, fill=fill))


@dataclasses.dataclass(frozen=True)
class TranslationOp(_ShiftOp):
    """Moves by whole pixels, each axis by one of -s, ..., s with s = int(side·ratio + 0.5).

    The paper's ratio is 1/8 and its fill the tensor's zero, which on [-1, 1] is mid-grey. `black`
    is the lower end of the value range; `reflect` mirrors without repeating the edge pixel.
    `continuous` moves by U(-ratio, ratio) of the side, bilinearly: our definition of the second
    paper's, with `reflect`, whose appendix was not readable.
    """

    name: ClassVar[str] = "translation"
    num_draws: ClassVar[int] = 2
    axes: ClassVar[tuple[str, ...]] = ("y", "x")
    ratio: float = 0.125
    fill: str = "zero"
    continuous: bool = False


@dataclasses.dataclass(frozen=True)
class TranslationXOp(_ShiftOp):
    """`translation` from left to right only; mirrored, as in the second paper's Fig. 1.

    The formula is our definition; the paper's appendix was not readable.
    """

    name: ClassVar[str] = "translationx"
    num_draws: ClassVar[int] = 1
    axes: ClassVar[tuple[str, ...]] = ("x",)
    ratio: float
    fill: str = "reflect"
    continuous: bool = False


@dataclasses.dataclass(frozen=True)
class TranslationYOp(_ShiftOp):
    """`translation` up and down only; mirrored, as in the second paper's Fig. 1.

    The formula is our definition; the paper's appendix was not readable.
    """

    name: ClassVar[str] = "translationy"
    num_draws: ClassVar[int] = 1
    axes: ClassVar[tuple[str, ...]] = ("y",)
    ratio: float
    fill: str = "reflect"
    continuous: bool = False


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
