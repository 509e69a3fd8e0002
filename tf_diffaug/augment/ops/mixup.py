"""Averages with another image of the batch."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.maps import FunctionMap, Map
from tf_diffaug.augment.op import CheckedOp, Params, Shape
from tf_diffaug.augment.partners import partners, take
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class MixUpOp(CheckedOp):
    """(1 - a)·x + a·partner, with a ~ U(0, s).

    Our definition; the appendix of arXiv:2006.02595 was not readable. Its strengths are .02 to .3
    (Figs. 3 and 5), and .1 to .9 for the contrastive loss (Fig. 6).
    """

    name: ClassVar[str] = "mixup"
    effect: ClassVar[str] = "(1 - a)·x + a·another image"
    draws: ClassVar[str] = "a ~ U(0, s); every other image of the batch equally likely"
    num_draws: ClassVar[int] = 2
    mixes: ClassVar[bool] = True
    unseen: ClassVar[tuple[str, ...]] = ("partner",)
    example: ClassVar[float] = 0.1
    strength: float

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        return {"share": self.strength * uniform[0], "partner": uniform[1]}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del value_range
        partner = partners(params["partner"], shape)

        def blend(images: tf.Tensor) -> tf.Tensor:
            compute = tf.float64 if images.dtype == tf.float64 else tf.float32
            share = tf.cast(tf.stop_gradient(params["share"]), compute)[:, None, None, None]
            own = tf.cast(images, compute)
            return tf.cast(own + share * (take(own, partner) - own), images.dtype)

        return FunctionMap(blend)
