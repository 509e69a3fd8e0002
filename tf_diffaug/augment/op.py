"""What an op of a policy is, and the arithmetic that ops share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment.maps import Map, Size
from tf_diffaug.naming import unknown

Params = dict[str, tf.Tensor]
Shape = Sequence[Size] | tf.Tensor
Bound = float | np.ndarray | tf.Tensor
FILLS = ("zero", "black", "reflect", "nearest")


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


def spread(uniform: tf.Tensor, low: Bound, high: Bound) -> tf.Tensor:
    """Uniform numbers in [0, 1) taken to [low, high)."""
    return low + (high - low) * uniform


def column(*sizes: Size) -> tf.Tensor:
    """One size for each of K draws as float32 (K, 1), against draws of shape (K, N)."""
    return tf.cast(tf.stack(sizes), tf.float32)[:, None]


def whole(uniform: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """A uniform number in [0, 1] taken to one of the integers low, ..., high, as float32."""
    return tf.minimum(low + tf.floor(uniform * (high - low + 1.0)), high)


@dataclasses.dataclass(frozen=True)
class Op:
    """One entry of a policy. Subclasses are frozen dataclasses whose first field is `strength`.

    A subclass states `name`, `num_draws`, and `params` and `lower`; or, if its parameters are not a
    function of a few uniform numbers an image, `sample` and `params_at` in place of the first two.
    Parameters are relative (fractions of the image's height and width, brightness in units of the
    value range), so that a draw can be replayed on images of another size. `register` makes it part
    of the policy language, of the layers and of the table of ops.
    """

    name: ClassVar[str]
    num_draws: ClassVar[int]
    example: ClassVar[float] = 0.4  # shown where a strength without a default is missing
    mixes: ClassVar[bool] = False  # whether an image's output holds others of its batch
    # Whether `params` (or `sample`) takes a `level`, from 0 for the weakest to 1, its default, for
    # the op at its strength: a scalar that a regularizer of training sets.
    has_level: ClassVar[bool] = False
    # Parameters that nobody can read off an image, such as which other image went into it.
    unseen: ClassVar[tuple[str, ...]] = ()
    # Its line in the table of docs/policy.md; without `effect`, its docstring's first line.
    effect: ClassVar[str] = ""
    draws: ClassVar[str] = ""
    # Other settings that the conformance checks go through, as policies of this one op.
    cases: ClassVar[tuple[str, ...]] = ()

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

    def neutral_params(self, shape: Shape) -> Params:
        """Parameters of images that are left as they are: those without strength, in the middle."""
        return dataclasses.replace(self, strength=0.0).params_at(0.5, shape)

    def unseen_in(self, shape: Shape) -> tuple[str, ...]:
        """The parameters that nobody can read off an image of this shape, `unseen` among them."""
        del shape
        return self.unseen

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
            raise ValueError(f"{self.name}: {unknown(field, value, choices)}")

    def _check_flag(self, field: str) -> None:
        value = getattr(self, field)
        if not isinstance(value, bool):
            raise ValueError(f"{self.name}: {field} is True or False. Received: {field}={value!r}.")


class CheckedOp(Op):
    """An op that refuses fields out of range: numbers, `fill` and flags.

    Attributes:
        bounds: the least and the largest number of a field, by name; of the others 0 and 1.
        fills: the choices of `fill`.
    """

    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {}
    fills: ClassVar[tuple[str, ...]] = FILLS

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name == "fill":
                self._check_choice("fill", self.fills)
            elif field.type in (bool, "bool"):
                self._check_flag(field.name)
            else:
                self._check(field.name, *self.bounds.get(field.name, (0.0, 1.0)))


class OneDrawOp(CheckedOp):
    """An op of one uniform number an image.

    Attributes:
        param: its name.
        center: what it is without strength.
        reach: how far it goes to either side, in strengths.
    """

    num_draws: ClassVar[int] = 1
    param: ClassVar[str]
    center: ClassVar[float] = 0.0
    reach: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def params(self, uniform: tf.Tensor, shape: Shape) -> Params:
        del shape
        low, high = (self.center + self.strength * part for part in self.reach)
        return {self.param: spread(uniform[0], low, high)}


def border(fill: str) -> str:
    """A fill as the functions of `functional.py` name it, which take the constant apart from it."""
    return "constant" if fill in ("zero", "black") else fill


def fill_value(fill: str, value_range: tuple[float, float]) -> float:
    """The number that a fill of `zero` or `black` is."""
    return float(value_range[0]) if fill == "black" else 0.0


def has_three_colors(channels: Size) -> bool:
    """Red, green and blue, or these and alpha."""
    return channels in (3, 4)
