"""Ops that turn or mirror the image."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment import ops
from tf_diffaug.augment.maps import FunctionMap, Map
from tf_diffaug.augment.transforms.base import (
    FILLS,
    Op,
    Params,
    Shape,
    border,
    fill_value,
    spread,
)

_LARGEST_BELOW_ONE = 1 - 2.0**-24  # in float32


@dataclasses.dataclass(frozen=True)
class FlipOp(Op):
    """Mirrors left and right with probability s; 1/2 is usual."""

    name: ClassVar[str] = "flip"
    num_draws: ClassVar[int] = 1
    strength: float = 0.5

    def __post_init__(self) -> None:
        self._check("strength", 0.0, 1.0)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        # The quantile 1 is no exception: a probability of 0 never flips.
        mirrored = tf.minimum(uniform[0], _LARGEST_BELOW_ONE) >= 1.0 - self.strength
        return {"mirrored": tf.cast(mirrored, tf.float32)}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape, value_range
        return FunctionMap(lambda images: ops.flip(images, params["mirrored"]))


@dataclasses.dataclass(frozen=True)
class RotationOp(Op):
    """Turns about the centre by an angle ~ U(-s, s) of half a turn: 1 is every angle.

    Bilinear. Our definition, after the rotation of ADA (arXiv:2006.06676), which is s = 1.
    """

    name: ClassVar[str] = "rotation"
    num_draws: ClassVar[int] = 1
    example: ClassVar[float] = 0.1
    strength: float
    fill: str = "reflect"

    def __post_init__(self) -> None:
        self._check("strength", 0.0, 1.0)
        self._check_choice("fill", FILLS)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        limit = self.strength * math.pi
        return {"angle": spread(uniform[0], -limit, limit)}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape
        value = fill_value(self.fill, value_range)
        return FunctionMap(
            lambda images: ops.rotate(
                images, params["angle"], fill=border(self.fill), fill_value=value
            )
        )
