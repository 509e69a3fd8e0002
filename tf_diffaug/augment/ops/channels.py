"""Ops that raise or lower one channel."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import OneDrawOp, Params, Shape, has_three_colors, unpack_shape
from tf_diffaug.augment.registry import register


@dataclasses.dataclass(frozen=True)
class _ChannelOp(OneDrawOp):
    """x + a in one channel, with a ~ U(-s, s) in units of the value range."""

    channel: ClassVar[int]
    param: ClassVar[str] = "delta"
    example: ClassVar[float] = 0.1
    strength: float

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        channels = unpack_shape(shape)[3]
        delta = params["delta"] * (value_range[1] - value_range[0])
        if channels == 1:
            return ColorMap(offset=delta)
        if not has_three_colors(channels):
            raise ValueError(
                f"{self.name} takes images of 1, 3 or 4 channels. Received: shape={shape}."
            )
        direction = np.full(3, -1 / 3)
        direction[self.channel] += 1.0
        return ColorMap(
            offset=delta / 3.0, tint=delta[:, None] * tf.constant(direction, delta.dtype)
        )


@register
@dataclasses.dataclass(frozen=True)
class RednessOp(_ChannelOp):
    """Red + a, with a ~ U(-s, s) in units of the value range.

    Our definition; the appendix of arXiv:2006.02595 was not readable. Its strengths are .02 to .3
    (Figs. 3 and 5). A grey image of one channel is its own red, green and blue; alpha stays.
    """

    name: ClassVar[str] = "redness"
    effect: ClassVar[str] = "red + a"
    draws: ClassVar[str] = "a ~ U(-s, s) of the value range"
    channel: ClassVar[int] = 0


@register
@dataclasses.dataclass(frozen=True)
class GreennessOp(_ChannelOp):
    """Green + a, with a ~ U(-s, s) in units of the value range; otherwise as `RednessOp`."""

    name: ClassVar[str] = "greenness"
    effect: ClassVar[str] = "green + a"
    draws: ClassVar[str] = "a ~ U(-s, s) of the value range"
    channel: ClassVar[int] = 1


@register
@dataclasses.dataclass(frozen=True)
class BluenessOp(_ChannelOp):
    """Blue + a, with a ~ U(-s, s) in units of the value range; otherwise as `RednessOp`."""

    name: ClassVar[str] = "blueness"
    effect: ClassVar[str] = "blue + a"
    draws: ClassVar[str] = "a ~ U(-s, s) of the value range"
    channel: ClassVar[int] = 2
