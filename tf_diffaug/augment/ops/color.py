"""The first paper's `color` and its three parts."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_diffaug.augment import functional
from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import CheckedOp, OneDrawOp, Op, Params, Shape, spread, unpack_shape
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class BrightnessOp(OneDrawOp):
    """x + b, with b ~ U(-s, s) in units of the value range.

    The paper's U(-.5, .5) on images in [-1, 1] is s = 0.25 (section 3.2 and Appendix).
    """

    name: ClassVar[str] = "brightness"
    effect: ClassVar[str] = "x + b"
    draws: ClassVar[str] = "b ~ U(-s, s) of the value range"
    param: ClassVar[str] = "delta"
    strength: float = 0.25

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape
        return ColorMap(offset=params["delta"] * (value_range[1] - value_range[0]))


@register
@dataclasses.dataclass(frozen=True)
class SaturationOp(OneDrawOp):
    """(x - g)·f + g with the pixel's grey value g and f ~ U(1 - s, 1 + s); the paper has s = 1."""

    name: ClassVar[str] = "saturation"
    effect: ClassVar[str] = "(x - g)·f + g"
    draws: ClassVar[str] = "f ~ U(1 - s, 1 + s)"
    param: ClassVar[str] = "saturation"
    center: ClassVar[float] = 1.0
    strength: float = 1.0

    def unseen_in(self, shape: Shape) -> tuple[str, ...]:
        # The one channel is its own grey value.
        return ("saturation",) if unpack_shape(shape)[3] == 1 else ()

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape, value_range
        return functional.saturation_map(params["saturation"])


@register
@dataclasses.dataclass(frozen=True)
class ContrastOp(OneDrawOp):
    """(x - m)·f + m with the image's mean m and f ~ U(1 - s, 1 + s); the paper has s = 0.5."""

    name: ClassVar[str] = "contrast"
    effect: ClassVar[str] = "(x - m)·f + m"
    draws: ClassVar[str] = "f ~ U(1 - s, 1 + s)"
    param: ClassVar[str] = "contrast"
    center: ClassVar[float] = 1.0
    strength: float = 0.5

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape, value_range
        return functional.contrast_map(params["contrast"])


@register
@dataclasses.dataclass(frozen=True)
class ColorOp(CheckedOp):
    """Brightness, saturation and contrast, in this order: the paper's `color`.

    `strength` multiplies the strengths of all three; 1 is the paper's.
    """

    name: ClassVar[str] = "color"
    effect: ClassVar[str] = "`brightness`, `saturation` and `contrast`, in this order"
    draws: ClassVar[str] = "as these, their strengths times s"
    num_draws: ClassVar[int] = 3
    strength: float = 1.0
    brightness: float = 0.25
    saturation: float = 1.0
    contrast: float = 0.5

    def _parts(self) -> tuple[Op, Op, Op]:
        return (
            BrightnessOp(self.strength * self.brightness),
            SaturationOp(self.strength * self.saturation),
            ContrastOp(self.strength * self.contrast),
        )

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        # All three in one step: on small batches each op of a graph counts.
        center = np.array([[0.0], [1.0], [1.0]])
        reach = np.array([[part.strength] for part in self._parts()])
        drawn = tf.unstack(spread(uniform, center - reach, center + reach))
        return dict(zip(("delta", "saturation", "contrast"), drawn, strict=True))

    def unseen_in(self, shape: Shape) -> tuple[str, ...]:
        return tuple(name for part in self._parts() for name in part.unseen_in(shape))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        first, second, third = (part.lower(params, shape, value_range) for part in self._parts())
        return first.then(second).then(third)
