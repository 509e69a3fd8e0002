"""The ops a policy can name: what each draws, and the map it becomes.

An op is a frozen dataclass of its settings. It turns uniform numbers into parameters, which are
relative (fractions of the image's height and width, brightness in units of the value range), so
that a draw can be replayed on other images of another size; and parameters into a map of images.

Defaults are those of "Differentiable Augmentation for Data-Efficient GAN Training"
(arXiv:2006.10738), in the authors' code; strengths `s` are the lambda of "Image Augmentations for
GAN Training" (arXiv:2006.02595).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import ops
from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.maps import FunctionMap, Map, Size
from tf_diffaug.augment.pixel_map import PixelMap, Window

Params = dict[str, tf.Tensor]
Shape = Sequence[Size] | tf.Tensor


def unpack_shape(shape: Shape) -> tuple[Size, Size, Size, Size]:
    """(N, H, W, C) from a sequence of sizes or an integer tensor of shape (4,).

    Raises:
        ValueError: if there are not four.
    """
    sizes = tuple(tf.unstack(shape) if isinstance(shape, tf.Tensor) else shape)
    if len(sizes) != 4:
        raise ValueError(f"A shape is (batch, height, width, channels). Received: shape={shape}.")
    return sizes


def rounded(size: Size, ratio: float) -> Size:
    """int(size·ratio + 0.5), the papers' rounding of a fraction of a side."""
    if isinstance(size, int):
        return int(size * ratio + 0.5)
    # In the precision of the Python above, or sizes would differ by a pixel between the two.
    return tf.cast(tf.cast(size, tf.float64) * ratio + 0.5, tf.int32)


def pixels(fraction: tf.Tensor, size: Size) -> tf.Tensor:
    """A fraction of a side as whole pixels, int32."""
    return tf.cast(tf.round(fraction * tf.cast(size, tf.float32)), tf.int32)


def spread(uniform: tf.Tensor, low: float | np.ndarray, high: float | np.ndarray) -> tf.Tensor:
    """Uniform numbers in [0, 1) taken to [low, high)."""
    return low + (high - low) * uniform


def column(vertical: Size, horizontal: Size) -> tf.Tensor:
    """A size along each axis as float32 (2, 1), against draws of shape (2, N)."""
    return tf.cast(tf.stack([vertical, horizontal]), tf.float32)[:, None]


def whole(uniform: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """A uniform number in [0, 1] taken to one of the integers low, ..., high, as float32."""
    return tf.minimum(low + tf.floor(uniform * (high - low + 1.0)), high)


@dataclasses.dataclass(frozen=True)
class Op:
    """One entry of a policy. Subclasses are frozen dataclasses whose first field is the strength.

    A subclass states `name`, `num_draws`, and `params` and `lower`; or, if its parameters are not a
    function of a few uniform numbers an image, `sample` and `params_at` in place of the first two.
    """

    name: ClassVar[str]
    num_draws: ClassVar[int]
    example: ClassVar[float] = 0.4  # shown where a strength without a default is missing

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        """Parameters from uniform numbers of shape (num_draws, N), each in [0, 1]."""
        raise NotImplementedError

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        """The map of images of the given shape (N, H, W, C) and value range."""
        raise NotImplementedError

    def sample(self, shape: Shape, seed: tf.Tensor) -> Params:
        """Draws parameters for a batch of the given shape (N, H, W, C), each image its own.

        Args:
            shape: Python integers or an integer tensor of shape (4,).
            seed: int32 tensor of shape (2,).

        Returns:
            A dict of float32 tensors with leading dimension N.
        """
        batch = unpack_shape(shape)[0]
        return self.params(random.uniform([self.num_draws, batch], seed), shape)

    @property
    def samples_itself(self) -> bool:
        """Whether `sample` is its own, so that it needs a seed and not uniform numbers."""
        return type(self).sample is not Op.sample

    def params_at(self, quantile: float, shape: Shape) -> Params:
        """The parameters at one quantile of every draw: 0 and 1 are the ends, 0.5 the middle."""
        batch = unpack_shape(shape)[0]
        return self.params(tf.fill([self.num_draws, batch], float(quantile)), shape)

    def _check(self, field: str, low: float, high: float) -> None:
        value = getattr(self, field)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and low <= value <= high):
            raise ValueError(
                f"{self.name}: {field} is a number from {low:g} to {high:g}. "
                f"Received: {field}={value!r}."
            )
        object.__setattr__(self, field, float(value))

    def _check_choice(self, field: str, choices: Sequence[str]) -> None:
        value = getattr(self, field)
        if value not in choices:
            raise ValueError(
                f"{self.name}: {field} is one of {', '.join(choices)}. Received: {field}={value!r}."
            )


def _fill_value(fill: str, value_range: tuple[float, float]) -> float:
    return float(value_range[0]) if fill == "black" else 0.0


@dataclasses.dataclass(frozen=True)
class BrightnessOp(Op):
    """x + b, with b ~ U(-s, s) in units of the value range.

    The paper's U(-.5, .5) on images in [-1, 1] is s = 0.25 (section 3.2 and Appendix).
    """

    name: ClassVar[str] = "brightness"
    num_draws: ClassVar[int] = 1
    strength: float = 0.25

    def __post_init__(self) -> None:
        self._check("strength", 0.0, 1.0)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        return {"delta": spread(uniform[0], -self.strength, self.strength)}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape
        return ColorMap(offset=params["delta"] * (value_range[1] - value_range[0]))


@dataclasses.dataclass(frozen=True)
class SaturationOp(Op):
    """(x - g)·f + g with the pixel's grey value g and f ~ U(1 - s, 1 + s); the paper has s = 1."""

    name: ClassVar[str] = "saturation"
    num_draws: ClassVar[int] = 1
    strength: float = 1.0

    def __post_init__(self) -> None:
        self._check("strength", 0.0, 1.0)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        return {"saturation": spread(uniform[0], 1 - self.strength, 1 + self.strength)}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape, value_range
        return ops.saturation_map(params["saturation"])


@dataclasses.dataclass(frozen=True)
class ContrastOp(Op):
    """(x - m)·f + m with the image's mean m and f ~ U(1 - s, 1 + s); the paper has s = 0.5."""

    name: ClassVar[str] = "contrast"
    num_draws: ClassVar[int] = 1
    strength: float = 0.5

    def __post_init__(self) -> None:
        self._check("strength", 0.0, 1.0)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        return {"contrast": spread(uniform[0], 1 - self.strength, 1 + self.strength)}

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        del shape, value_range
        return ops.contrast_map(params["contrast"])


@dataclasses.dataclass(frozen=True)
class ColorOp(Op):
    """Brightness, saturation and contrast, in this order: the paper's `color`.

    `strength` multiplies the strengths of all three; 1 is the paper's.
    """

    name: ClassVar[str] = "color"
    num_draws: ClassVar[int] = 3
    strength: float = 1.0
    brightness: float = 0.25
    saturation: float = 1.0
    contrast: float = 0.5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self._check(field.name, 0.0, 1.0)

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

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        first, second, third = (part.lower(params, shape, value_range) for part in self._parts())
        return first.then(second).then(third)


@dataclasses.dataclass(frozen=True)
class TranslationOp(Op):
    """Moves by whole pixels, each axis by one of -s, ..., s with s = int(side·ratio + 0.5).

    The paper's ratio is 1/8 and its fill the tensor's zero, which on [-1, 1] is mid-grey. `black`
    is the lower end of the value range; `reflect` mirrors without repeating the edge pixel.
    """

    name: ClassVar[str] = "translation"
    num_draws: ClassVar[int] = 2
    ratio: float = 0.125
    fill: str = "zero"

    def __post_init__(self) -> None:
        self._check("ratio", 0.0, 1.0)
        self._check_choice("fill", ("zero", "black", "reflect", "nearest"))

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        _, height, width, _ = unpack_shape(shape)
        limits = column(rounded(height, self.ratio), rounded(width, self.ratio))
        shifts = whole(uniform, -limits, limits) / column(height, width)
        return dict(zip(("dy", "dx"), tf.unstack(shifts), strict=True))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        dy, dx = pixels(params["dy"], height), pixels(params["dx"], width)
        if self.fill in ("zero", "black"):
            value = _fill_value(self.fill, value_range)
            return PixelMap.translation(dy, dx, height, width, value)
        return FunctionMap(lambda images: ops.translate(images, dy, dx, fill=self.fill))


@dataclasses.dataclass(frozen=True)
class CutoutOp(Op):
    """Fills one box of sides int(side·ratio + 0.5) whose centre is anywhere in the image.

    The centre's row is one of 0, ..., H - s mod 2 for a box of height s, likewise its column, and
    the part of the box outside is dropped. The paper's ratio is 1/2 and its fill the tensor's zero;
    `black` is the lower end of the value range.
    """

    name: ClassVar[str] = "cutout"
    num_draws: ClassVar[int] = 2
    ratio: float = 0.5
    fill: str = "zero"

    def __post_init__(self) -> None:
        self._check("ratio", 0.0, 1.0)
        self._check_choice("fill", ("zero", "black"))

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        _, height, width, _ = unpack_shape(shape)
        last = [size - rounded(size, self.ratio) % 2 for size in (height, width)]
        centers = whole(uniform, column(0, 0), column(*last)) / column(height, width)
        return dict(zip(("center_y", "center_x"), tf.unstack(centers), strict=True))

    def lower(self, params: Params, shape: Shape, value_range: tuple[float, float]) -> Map:
        _, height, width, _ = unpack_shape(shape)
        sides = []
        for axis, size in (("y", height), ("x", width)):
            center = pixels(params[f"center_{axis}"], size)
            sides += ops.cutout_window(center, rounded(size, self.ratio))
        return PixelMap(holes=(Window(*sides),), fill=_fill_value(self.fill, value_range))
