"""SimCLR's colour distortion."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import (
    CheckedOp,
    Params,
    Shape,
    has_three_colors,
    spread,
    unpack_shape,
)
from tf_diffaug.augment.registry import register


@register
@dataclasses.dataclass(frozen=True)
class ColorJitterOp(CheckedOp):
    """SimCLR's colour distortion (arXiv:2002.05709, Appendix A), differentiable.

    With probability 0.8: black + b·(x - black), b ~ U(1 - .8s, 1 + .8s); contrast about the image's
    mean m and saturation about the pixel's grey value g, both ~ U(1 - .8s, 1 + .8s); and hue turned
    by ~ U(-.2s, .2s) of a full turn. Then, with probability 0.2, grey. Numbers are those of the
    authors' code, s = 0.5 that of their CIFAR-10 command (their ImageNet has 1). Unlike there:

    - Nothing is clipped. Without clipping the four commute, so there is no order to draw.
    - Grey is the mean of the channels, not luma; and m that over all channels, not of each.
    - Saturation scales x - g, and hue turns it about the grey axis (g stays, as does the distance
      to it; thirds of a turn permute the channels, as in HSV). Theirs go through HSV, which keeps
      the largest and the smallest channel and has kinks.

    A grey image of one channel has brightness and contrast only, and so have images of other than
    1, 3 or 4 channels but for saturation. `strength` multiplies the four.
    """

    name: ClassVar[str] = "color_jitter"
    effect: ClassVar[str] = (
        "black + b·(x - black); contrast and saturation about m and g; x - g turned by an angle "
        "about the grey axis; then perhaps grey"
    )
    draws: ClassVar[str] = (
        "b, f, f ~ U(1 - .8s, 1 + .8s); angle ~ U(-.2s, .2s) of a full turn; with probability .8 "
        "else none of it; grey with probability .2"
    )
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"hue": (0.0, 0.5)}
    num_draws: ClassVar[int] = 6
    strength: float = 0.5
    brightness: float = 0.8
    contrast: float = 0.8
    saturation: float = 0.8
    hue: float = 0.2
    probability: float = 0.8
    grayscale: float = 0.2

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        center = np.array([[1.0], [1.0], [1.0], [0.0]])
        reach = np.array([[self.brightness], [self.contrast], [self.saturation], [self.hue]])
        reach *= self.strength
        drawn = spread(uniform[:4], center - reach, center + reach)
        drawn = tf.where(uniform[4] < self.probability, drawn, tf.constant(center, drawn.dtype))
        brightness, contrast, saturation, hue = tf.unstack(drawn)
        # At the other end of the numbers than above, so that `params_at` can say neither or both.
        saturation = tf.where(uniform[5] < 1.0 - self.grayscale, saturation, 0.0)
        return {
            "brightness": brightness,
            "contrast": contrast,
            "saturation": saturation,
            "hue": hue,
        }

    def params_at(self, quantile: float, shape: Shape) -> Params:
        """The parameters at one quantile of the four; they are applied, and the image is not grey.

        Only a probability of 0 or a grayscale of 1 has it otherwise.
        """
        batch = unpack_shape(shape)[0]
        uniform = tf.concat([tf.fill([4, batch], float(quantile)), tf.zeros([2, batch])], axis=0)
        return self.params(uniform, shape)

    def unseen_in(self, shape: Shape) -> tuple[str, ...]:
        channels = unpack_shape(shape)[3]
        hue = () if has_three_colors(channels) else ("hue",)
        return ("saturation", *hue) if channels == 1 else hue

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        brightness, angle = params["brightness"], 2 * math.pi * params["hue"]
        level = brightness * params["contrast"]
        color, turn = level * params["saturation"], 0.0
        if has_three_colors(unpack_shape(shape)[3]):
            color, turn = color * tf.cos(angle), color * tf.sin(angle)
        black = float(value_range[0])
        offset = (1.0 - brightness) * black if black else 0.0
        return ColorMap(color=color, level=level, mean=brightness, offset=offset, turn=turn)
