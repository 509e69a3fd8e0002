"""Mirror images."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.affine_map import AffineMap
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import CheckedOp, Params, Shape, unpack_shape
from tf_diffaug.augment.registry import register

_LARGEST_BELOW_ONE = 1 - 2.0**-24  # in float32


@register
@dataclasses.dataclass(frozen=True)
class FlipOp(CheckedOp):
    """Mirrors left and right with probability s; 1/2 is usual."""

    name: ClassVar[str] = "flip"
    effect: ClassVar[str] = "mirrors left and right"
    draws: ClassVar[str] = "with probability s"
    num_draws: ClassVar[int] = 1
    strength: float = 0.5

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        # The quantile 1 is no exception: a probability of 0 never flips.
        mirrored = tf.minimum(uniform[0], _LARGEST_BELOW_ONE) >= 1.0 - self.strength
        return {"mirrored": tf.cast(mirrored, tf.float32)}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del value_range
        _, height, width, _ = unpack_shape(shape)
        return AffineMap.flip(tf.cast(params["mirrored"], tf.bool), (height, width))
