"""Ops that resize a window of the image to the whole.

Each draws a window as fractions of the image's height and width, which may reach outside the image,
and samples it bilinearly, antialiased where it shrinks.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

from tf_diffaug.augment.affine_map import AffineMap
from tf_diffaug.augment.maps import Map
from tf_diffaug.augment.op import (
    CheckedOp,
    Params,
    Shape,
    border,
    fill_value,
    spread,
    unpack_shape,
)
from tf_diffaug.augment.registry import register


class _WindowOp(CheckedOp):
    """Resizes the window of `top`, `left`, `height`, `width`; subclasses draw it."""

    fill = None  # the window lies inside

    @property
    def shrink(self) -> float:
        """The largest window's side."""
        return 1.0

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        return AffineMap.window(
            params["top"],
            params["left"],
            params["height"],
            params["width"],
            (height, width),
            border=None if self.fill is None else border(self.fill),
            fill=fill_value(self.fill, value_range),
            shrink=self.shrink,
        )


def _window(height: tf.Tensor, width: tf.Tensor, place: tf.Tensor) -> Params:
    """A window of the given sides whose room, 1 - side, is parted as `place` (2, N) says."""
    return {
        "top": place[0] * (1.0 - height),
        "left": place[1] * (1.0 - width),
        "height": height,
        "width": width,
    }


@register
@dataclasses.dataclass(frozen=True)
class ZoomInOp(_WindowOp):
    """Resizes a window of sides 1 - a, a ~ U(0, s), at a uniform place, to the whole image.

    The formula is our definition; the paper's appendix was not readable. Half a pixel past the
    image's edge, where the first place of a window may lie, is the edge pixel.
    """

    name: ClassVar[str] = "zoomin"
    effect: ClassVar[str] = "resizes a window of sides 1 - a to the whole"
    draws: ClassVar[str] = "a ~ U(0, s); place uniform within the image"
    num_draws: ClassVar[int] = 3
    strength: float

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        side = 1.0 - self.strength * uniform[0]
        return _window(side, side, uniform[1:])


@register
@dataclasses.dataclass(frozen=True)
class ZoomOutOp(_WindowOp):
    """Resizes a canvas of sides 1 + a, a ~ U(0, s), with the image at a uniform place, to 1.

    What the canvas shows around the image is mirrored, as in the paper's Fig. 1. The formula is our
    definition; the paper's appendix was not readable.
    """

    name: ClassVar[str] = "zoomout"
    effect: ClassVar[str] = (
        "resizes a canvas of sides 1 + a, with the image in it, to the image's size"
    )
    draws: ClassVar[str] = "a ~ U(0, s); place of the image uniform within the canvas"
    cases: ClassVar[tuple[str, ...]] = ("zoomout(0.4, fill=black)", "zoomout(1, fill=nearest)")
    num_draws: ClassVar[int] = 3
    strength: float
    fill: str = "reflect"

    @property
    def shrink(self) -> float:
        return 1.0 + self.strength

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        side = 1.0 + self.strength * uniform[0]
        return _window(side, side, uniform[1:])


@register
@dataclasses.dataclass(frozen=True)
class CropResizeOp(_WindowOp):
    """Resizes a window of area A ~ U(1 - s, 1) and aspect r, at a uniform place, to the whole.

    Its height is (A / r)^0.5 and its width (A·r)^0.5, in fractions of the image's, with
    log r ~ U(-l, l) for l = min(log aspect, -log A), so that every window fits. SimCLR
    (arXiv:2002.05709, Appendix A and `data_util.py`) has areas from 0.08 to 1 and aspects from 3/4
    to 4/3; where a window does not fit it draws area and aspect anew, and it resizes bicubically.
    """

    name: ClassVar[str] = "crop_resize"
    effect: ClassVar[str] = "resizes a window of height (A/r)^½ and width (A·r)^½ to the whole"
    draws: ClassVar[str] = (
        "A ~ U(1 - s, 1); log r ~ U(-l, l), l = min(log `aspect`, -log A); place uniform within "
        "the image"
    )
    bounds: ClassVar[dict[str, tuple[float, float]]] = {"aspect": (1.0, 10.0)}
    num_draws: ClassVar[int] = 4
    strength: float = 0.92
    aspect: float = 4 / 3

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        area = 1.0 - self.strength * uniform[0]
        limit = tf.minimum(math.log(self.aspect), -tf.math.log(area))
        aspect = tf.exp(spread(uniform[1], -limit, limit))
        # Rounding may take the side past 1.
        height, width = (tf.minimum(tf.sqrt(a), 1.0) for a in (area / aspect, area * aspect))
        return _window(height, width, uniform[2:])


@register
@dataclasses.dataclass(frozen=True)
class ScaleOp(_WindowOp):
    """Enlarges about the centre by f, log2 f ~ U(-s, s), as much in height as in width.

    Our definition, after the isotropic scaling of ADA (arXiv:2006.06676), whose log2 f is
    N(0, 0.2^2).
    """

    name: ClassVar[str] = "scale"
    effect: ClassVar[str] = "enlarges about the centre by f, as much in height as in width"
    draws: ClassVar[str] = "log2 f ~ U(-s, s)"
    cases: ClassVar[tuple[str, ...]] = ("scale(1, fill=zero)",)
    num_draws: ClassVar[int] = 1
    example: ClassVar[float] = 0.2
    strength: float
    fill: str = "reflect"

    @property
    def shrink(self) -> float:
        return 2.0**self.strength

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        side = tf.pow(2.0, -spread(uniform[0], -self.strength, self.strength))
        return _window(side, side, tf.fill([2, 1], 0.5))
