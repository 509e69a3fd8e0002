"""Moves along one axis or both."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment import functional
from tf_diffaug.augment.affine_map import AffineMap
from tf_diffaug.augment.maps import FunctionMap, Map
from tf_diffaug.augment.op import (
    CheckedOp,
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
from tf_diffaug.augment.pixel_map import PixelMap
from tf_diffaug.augment.registry import register


class _ShiftOp(CheckedOp):
    """Moves along some axes; subclasses are dataclasses of the fields below."""

    axes: ClassVar[tuple[str, ...]]
    strength: float
    fill: str
    continuous: bool

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        keys = [f"d{axis}" for axis in self.axes]
        if self.continuous:
            shifts = spread(uniform, -self.strength, self.strength)
        else:
            _, height, width, _ = unpack_shape(shape)
            sides = [{"y": height, "x": width}[axis] for axis in self.axes]
            limits = column(*(rounded(side, self.strength) for side in sides))
            shifts = whole(uniform, -limits, limits) / column(*sides)
        return dict(zip(keys, tf.unstack(shifts), strict=True))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        fill, value = border(self.fill), fill_value(self.fill, value_range)
        if self.continuous:
            top, left = (-params[key] if key in params else None for key in ("dy", "dx"))
            return AffineMap.window(top, left, 1.0, 1.0, (height, width), border=fill, fill=value)
        none = tf.zeros_like(params[f"d{self.axes[0]}"])
        dy, dx = pixels(params.get("dy", none), height), pixels(params.get("dx", none), width)
        if fill == "constant":
            return PixelMap.translation(dy, dx, height, width, value)
        return FunctionMap(lambda images: functional.translate(images, dy, dx, fill=fill))


@register
@dataclasses.dataclass(frozen=True)
class TranslationOp(_ShiftOp):
    """Moves by whole pixels, each axis by one of -s, ..., s with s = int(side·strength + 0.5).

    The paper's strength is 1/8 and its fill the tensor's zero, which on [-1, 1] is mid-grey.
    `black` is the lower end of the value range; `reflect` mirrors without repeating the edge pixel.
    `continuous` moves by U(-strength, strength) of the side, bilinearly: our definition of the
    second paper's, with `reflect`, whose appendix was not readable.
    """

    name: ClassVar[str] = "translation"
    effect: ClassVar[str] = (
        "moves by whole pixels on each axis; with `continuous` by any part of the side, bilinearly"
    )
    draws: ClassVar[str] = "one of -k, ..., k, k = int(side·s + 0.5); or U(-s, s) of the side"
    cases: ClassVar[tuple[str, ...]] = (
        "translation(0.3, fill=black)",
        "translation(0.4, fill=reflect)",
        "translation(0.4, fill=nearest)",
        "translation(0.4, continuous=True)",
    )
    num_draws: ClassVar[int] = 2
    axes: ClassVar[tuple[str, ...]] = ("y", "x")
    strength: float = 0.125
    fill: str = "zero"
    continuous: bool = False


@register
@dataclasses.dataclass(frozen=True)
class TranslationXOp(_ShiftOp):
    """`translation` from left to right only; mirrored, as in the second paper's Fig. 1.

    The formula is our definition; the paper's appendix was not readable.
    """

    name: ClassVar[str] = "translationx"
    effect: ClassVar[str] = "`translation`, left and right only"
    draws: ClassVar[str] = "as `translation`"
    num_draws: ClassVar[int] = 1
    axes: ClassVar[tuple[str, ...]] = ("x",)
    strength: float
    fill: str = "reflect"
    continuous: bool = False


@register
@dataclasses.dataclass(frozen=True)
class TranslationYOp(_ShiftOp):
    """`translation` up and down only; mirrored, as in the second paper's Fig. 1.

    The formula is our definition; the paper's appendix was not readable.
    """

    name: ClassVar[str] = "translationy"
    effect: ClassVar[str] = "`translation`, up and down only"
    draws: ClassVar[str] = "as `translation`"
    cases: ClassVar[tuple[str, ...]] = ("translationy(0.4, continuous=True)",)
    num_draws: ClassVar[int] = 1
    axes: ClassVar[tuple[str, ...]] = ("y",)
    strength: float
    fill: str = "reflect"
    continuous: bool = False
