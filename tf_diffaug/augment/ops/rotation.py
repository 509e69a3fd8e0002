"""Turns about the centre."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from tf_diffaug.augment.affine_map import AffineMap
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import OneDrawOp, Params, Shape, border, fill_value, unpack_shape
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class RotationOp(OneDrawOp):
    """Turns about the centre by an angle ~ U(-s, s) of half a turn: 1 is every angle.

    Bilinear. Our definition, after the rotation of ADA (arXiv:2006.06676), which is s = 1.
    """

    name: ClassVar[str] = "rotation"
    effect: ClassVar[str] = "turns about the centre by an angle"
    draws: ClassVar[str] = "U(-s, s) of half a turn"
    cases: ClassVar[tuple[str, ...]] = ("rotation(1, fill=black)",)
    param: ClassVar[str] = "angle"
    reach: ClassVar[tuple[float, float]] = (-math.pi, math.pi)
    example: ClassVar[float] = 0.1
    strength: float
    fill: str = "reflect"

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        value = fill_value(self.fill, value_range)
        return AffineMap.rotation(
            params["angle"], (height, width), border=border(self.fill), fill=value
        )
