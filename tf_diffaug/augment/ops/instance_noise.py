"""Normal noise."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.maps import FunctionMap, Map
from tf_diffaug.augment.noise import image_noise
from tf_diffaug.augment.op import CheckedOp, Params, Shape
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class InstanceNoiseOp(CheckedOp):
    """x + s·N(0, 1) in units of the value range, each number of each image its own.

    Our definition; the appendix of arXiv:2006.02595 was not readable. Its strengths are .02 to .1
    (Fig. 3). Drawn are the standard deviation `sigma` (N,), which is s, and a `seed` (N, 2) per
    image, two numbers in [0, 1): the noise is made from them when it is applied, so that a replay
    has the same noise. On images of another size the same draw is another noise. Alpha gets noise
    like a colour.
    """

    name: ClassVar[str] = "instance_noise"
    effect: ClassVar[str] = "x + s·N(0, 1) of the value range"
    draws: ClassVar[str] = "a seed per image"
    num_draws: ClassVar[int] = 2
    example: ClassVar[float] = 0.04
    strength: float

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        return {
            "sigma": tf.ones_like(uniform[0]) * self.strength,
            "seed": tf.transpose(uniform),
        }

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape
        sigma = tf.stop_gradient(params["sigma"]) * (value_range[1] - value_range[0])

        def add(images: tf.Tensor) -> tf.Tensor:
            return images + tf.cast(image_noise(params["seed"], sigma, images), images.dtype)

        return FunctionMap(add)
