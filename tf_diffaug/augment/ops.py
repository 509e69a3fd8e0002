"""Differentiable image ops with the parameters given: the deterministic half of DiffAugment.

Images are floating tensors of shape (N, H, W, C), of any value range; shape and dtype stay. Nothing
is clipped, so that ops chain and gradients pass: outputs may leave the range of the inputs. Of four
channels the fourth is alpha, which the colour ops leave alone; with any other number every channel
is a colour. A parameter is one number per image, shape (N,), or one for all. Gradients of any order
pass to the images, and none to the parameters.

The formulas are those of "Differentiable Augmentation for Data-Efficient GAN Training"
(arXiv:2006.10738), read off the authors' code.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.maps import Size, image_shape
from tf_diffaug.augment.pixel_map import PixelMap, Window


def _per_image(value: Any, images: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    return tf.broadcast_to(tf.cast(value, dtype), [image_shape(images)[0]])


def adjust_brightness(images: tf.Tensor, delta: Any) -> tf.Tensor:
    """x + delta.

    Args:
        images: floating tensor (N, H, W, C).
        delta: in the units of the images.
    """
    images = tf.convert_to_tensor(images)
    return ColorMap(offset=_per_image(delta, images))(images)


def adjust_saturation(images: tf.Tensor, factor: Any) -> tf.Tensor:
    """(x - g)·factor + g, with g a pixel's mean over the colour channels.

    Args:
        images: floating tensor (N, H, W, C). One channel is its own mean: the op is the identity.
        factor: 0 is grey, 1 the image.
    """
    images = tf.convert_to_tensor(images)
    return saturation_map(_per_image(factor, images))(images)


def adjust_contrast(images: tf.Tensor, factor: Any) -> tf.Tensor:
    """(x - m)·factor + m, with m the image's mean over height, width and colour channels.

    Args:
        images: floating tensor (N, H, W, C). The mean is taken in float32 at least.
        factor: 0 is flat, 1 the image.
    """
    images = tf.convert_to_tensor(images)
    return contrast_map(_per_image(factor, images))(images)


def saturation_map(factor: tf.Tensor) -> ColorMap:
    """`adjust_saturation` as a map that composes."""
    return ColorMap(color=factor)


def contrast_map(factor: tf.Tensor) -> ColorMap:
    """`adjust_contrast` as a map that composes."""
    return ColorMap(color=factor, level=factor)


def translate(
    images: tf.Tensor, dy: Any, dx: Any, *, fill: str = "constant", fill_value: float = 0.0
) -> tf.Tensor:
    """Moves each image by whole pixels: output[y, x] = images[y - dy, x - dx].

    Args:
        images: floating tensor (N, H, W, C).
        dy: rows to move down by, integers; a move of H or more leaves none of the image.
        dx: columns to move to the right by.
        fill: what the move uncovers: `constant`, `reflect` (mirrored, the edge pixel not
            repeated) or `nearest` (the edge pixel).
        fill_value: the constant.

    Raises:
        ValueError: if `fill` is none of these.
    """
    images = tf.convert_to_tensor(images)
    dy, dx = (_per_image(d, images, tf.int32) for d in (dy, dx))
    _, height, width, _ = image_shape(images)
    if fill == "constant":
        return PixelMap.translation(dy, dx, height, width, fill_value)(images)
    if fill not in ("reflect", "nearest"):
        raise ValueError(f"fill is constant, reflect or nearest. Received: fill={fill!r}.")
    inside = _mirror if fill == "reflect" else _clamp
    rows = inside(tf.range(height) - dy[:, None], height)
    columns = inside(tf.range(width) - dx[:, None], width)
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def _clamp(index: tf.Tensor, size: Size) -> tf.Tensor:
    return tf.clip_by_value(index, 0, size - 1)


def _mirror(index: tf.Tensor, size: Size) -> tf.Tensor:
    last = tf.maximum(size - 1, 0)
    return last - tf.abs(tf.math.floormod(index, tf.maximum(2 * last, 1)) - last)


def cutout_window(center: Any, size: Size) -> tuple[tf.Tensor, tf.Tensor]:
    """The first place of a box along one axis and the first past it; it may leave the image."""
    start = center - size // 2
    return start, start + size


def cutout(
    images: tf.Tensor,
    center_y: Any,
    center_x: Any,
    *,
    size_y: Size,
    size_x: Size,
    fill_value: float = 0.0,
) -> tf.Tensor:
    """Fills the box of rows c - s // 2 to c - s // 2 + s - 1, and columns likewise.

    Args:
        images: floating tensor (N, H, W, C).
        center_y: the row c, an integer; the part of the box outside the image is dropped.
        center_x: the column.
        size_y: the box's height s in pixels.
        size_x: the box's width.
        fill_value: what the box becomes, in every channel.
    """
    images = tf.convert_to_tensor(images)
    top, bottom = cutout_window(_per_image(center_y, images, tf.int32), size_y)
    left, right = cutout_window(_per_image(center_x, images, tf.int32), size_x)
    return PixelMap(holes=(Window(top, bottom, left, right),), fill=fill_value)(images)
