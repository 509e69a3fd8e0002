"""Inverts what is bright."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_diffaug.augment.maps import FunctionMap, Map, image_shape
from tf_diffaug.augment.op import OneDrawOp, Params, Shape
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class SolarizeOp(OneDrawOp):
    """Inverts values above a threshold, white - a·(white - black) with a ~ U(0, s).

    x becomes black + white - x where it lies above, as in AutoAugment (arXiv:1805.09501),
    whose threshold is one number per magnitude; the draw is our definition. The gradient is that of
    the pieces, 1 or -1: none goes to the threshold. Alpha stays.
    """

    name: ClassVar[str] = "solarize"
    effect: ClassVar[str] = "black + white - x where x is above a threshold"
    draws: ClassVar[str] = "threshold white - a·(white - black), a ~ U(0, s)"
    param: ClassVar[str] = "depth"
    reach: ClassVar[tuple[float, float]] = (0.0, 1.0)
    example: ClassVar[float] = 0.3
    strength: float

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape
        black, white = value_range
        threshold = white - tf.stop_gradient(params["depth"]) * (white - black)

        def invert(images: tf.Tensor) -> tf.Tensor:
            # In float32 at least: half floats would take the threshold past some values.
            wide = images if images.dtype == tf.float64 else tf.cast(images, tf.float32)
            bright = wide > tf.cast(threshold, wide.dtype)[:, None, None, None]
            channels = image_shape(images)[3]
            if channels == 4:
                bright &= tf.constant(np.arange(channels) < 3)
            return tf.cast(tf.where(bright, black + white - wide, wide), images.dtype)

        return FunctionMap(invert)
