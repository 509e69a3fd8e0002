"""What the ops of a policy become once their parameters are known: maps of images that compose.

Neighbouring ops whose maps compose run as one pass over the images. Colour ops are affine in the
pixel, its grey value and the image's mean, and shifts and boxes filled with a constant are one
look-up by index. Both kinds are linear up to a constant, so that the gradient is a map of the same
kind (the same colour map without its offset, the opposite shift): it needs no scatter, and
gradients of any order pass. No map passes a gradient to its parameters.

Images are NHWC throughout.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

Size = int | tf.Tensor


class Map(Protocol):
    """A function of a batch of images of shape (N, H, W, C)."""

    def then(self, following: Map) -> Map | None:
        """The one map that does this map and then `following`; None if they do not compose."""

    def only(self, applied: tf.Tensor) -> Map:
        """This map for the images where `applied`, bool (N,), and for the others none."""

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Maps the images; shape and dtype stay."""


def image_shape(images: tf.Tensor) -> tuple[Size, Size, Size, int]:
    """(N, H, W, C) of the images, each a Python int where it is known."""
    static = images.shape.as_list()
    dynamic = tf.shape(images) if None in static else None
    return tuple(dynamic[i] if size is None else size for i, size in enumerate(static))


def checked_images(
    images: Any,
    taker: str,
    *,
    value_range: tuple[float, float] = (-1.0, 1.0),
    channels_axis: int = -1,
) -> tf.Tensor:
    """The images as a tensor, if ops can take them.

    Args:
        images: what was given.
        taker: who takes them, for errors.
        value_range: their black and white.
        channels_axis: where the channels are.

    Raises:
        ValueError: if they are not floating, not a batch (rank 4) or one image (rank 3), or have an
            unknown number of channels.
    """
    images = tf.convert_to_tensor(images)
    check_dtype(images.dtype, taker, value_range)
    if images.shape.rank not in (3, 4):
        raise ValueError(
            f"{taker} takes images of shape (N, H, W, C) or one of (H, W, C). "
            f"Received: images.shape={images.shape}."
        )
    if images.shape[channels_axis] is None:
        raise ValueError(
            f"{taker} has to know the number of channels: state it with tf.ensure_shape, or where "
            "the data is read, as in decode_png(..., channels=3). "
            f"Received: images.shape={images.shape}."
        )
    return images


def check_dtype(dtype: Any, taker: str, value_range: tuple[float, float] = (-1.0, 1.0)) -> None:
    """Refuses images whose values are no floats, which would wrap around or be cut.

    Raises:
        ValueError: if the dtype is not floating; says how to scale.
    """
    dtype, (low, high) = tf.as_dtype(dtype), value_range
    if not dtype.is_floating:
        way = f"keras.layers.Rescaling(1 / {255 / (high - low):g}, offset={low:g})"
        raise ValueError(
            f"{taker} takes floating images; {way} makes them of uint8. "
            f"Received: images.dtype={dtype.name}."
        )


@dataclasses.dataclass(frozen=True)
class FunctionMap:
    """Any function of the images; it composes with nothing."""

    function: Callable[[tf.Tensor], tf.Tensor]

    def then(self, following: Map) -> Map | None:
        del following
        return None

    def only(self, applied: tf.Tensor) -> Map:
        return chosen(self, applied)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return self.function(images)


def chosen(mapping: Map, applied: tf.Tensor) -> FunctionMap:
    """The map for the images where `applied`, bool (N,); the others stay to the bit."""
    applied = applied[:, None, None, None]
    return FunctionMap(lambda images: tf.where(applied, mapping(images), images))
