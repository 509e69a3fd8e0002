"""Turns colours about the grey axis."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import OneDrawOp, Params, Shape, has_three_colors, unpack_shape
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class HueOp(OneDrawOp):
    """Turns x - g about the grey axis by an angle ~ U(-s, s) of a full turn; s is at most 1/2.

    The hue of `color_jitter` alone: a pixel keeps its grey value g and its distance to it, and a
    third of a turn permutes the channels. Images of other than 3 or 4 channels have no hue and
    stay; alpha stays.
    """

    name: ClassVar[str] = "hue"
    effect: ClassVar[str] = "x - g turned by an angle about the grey axis"
    draws: ClassVar[str] = "U(-s, s) of a full turn, s at most 0.5"
    param: ClassVar[str] = "hue"
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"strength": (0.0, 0.5)}
    example: ClassVar[float] = 0.1
    strength: float

    def unseen_in(self, shape: Shape) -> tuple[str, ...]:
        return () if has_three_colors(unpack_shape(shape)[3]) else ("hue",)

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del value_range
        if not has_three_colors(unpack_shape(shape)[3]):
            return ColorMap()
        angle = 2 * math.pi * params["hue"]
        return ColorMap(color=tf.cos(angle), turn=tf.sin(angle))
