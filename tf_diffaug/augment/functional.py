"""Differentiable image ops with the parameters given: the deterministic half of DiffAugment.

Images are floating tensors of shape (N, H, W, C), or one of (H, W, C), of any value range; shape
and dtype stay, and images of other dtypes are refused with a `ValueError`. Nothing is clipped, so
that ops chain and gradients pass: outputs may leave the range of the inputs. Of four channels the
fourth is alpha, which the colour ops leave alone; with any other number every channel is a colour.
A parameter is one number per image, shape (N,), or one for all. Gradients of any order pass to the
images, and none to the parameters.

The formulas of all but `flip` and `rotate` are those of "Differentiable Augmentation for
Data-Efficient GAN Training" (arXiv:2006.10738), read off the authors' code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_diffaug.augment.affine_map import AffineMap
from tf_diffaug.augment.borders import INSIDE, check_fill
from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.maps import Size, checked_images, image_shape
from tf_diffaug.augment.mirror import mirror_columns
from tf_diffaug.augment.pixel_map import PixelMap, Window


def _on_images(op: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Looks at the images, and takes one image as a batch of its own."""

    @functools.wraps(op)
    def run(images: Any, *args: Any, **kwargs: Any) -> tf.Tensor:
        images = checked_images(images, op.__name__)
        if images.shape.rank == 3:
            return op(images[None], *args, **kwargs)[0]
        return op(images, *args, **kwargs)

    return run


def _per_image(value: Any, images: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    return tf.broadcast_to(tf.cast(value, dtype), [image_shape(images)[0]])


@_on_images
def adjust_brightness(images: tf.Tensor, delta: Any) -> tf.Tensor:
    """x + delta.

    Args:
        images: floating tensor (N, H, W, C).
        delta: in the units of the images.
    """
    return ColorMap(offset=_per_image(delta, images))(images)


@_on_images
def adjust_saturation(images: tf.Tensor, factor: Any) -> tf.Tensor:
    """(x - g)·factor + g, with g a pixel's mean over the colour channels.

    Args:
        images: floating tensor (N, H, W, C). One channel is its own mean: the op is the identity.
        factor: 0 is grey, 1 the image.
    """
    return saturation_map(_per_image(factor, images))(images)


@_on_images
def adjust_contrast(images: tf.Tensor, factor: Any) -> tf.Tensor:
    """(x - m)·factor + m, with m the image's mean over height, width and colour channels.

    Args:
        images: floating tensor (N, H, W, C). The mean is taken in float32 at least.
        factor: 0 is flat, 1 the image.
    """
    return contrast_map(_per_image(factor, images))(images)


def saturation_map(factor: tf.Tensor) -> ColorMap:
    """`adjust_saturation` as a map that composes."""
    return ColorMap(color=factor)


def contrast_map(factor: tf.Tensor) -> ColorMap:
    """`adjust_contrast` as a map that composes."""
    return ColorMap(color=factor, level=factor)


@_on_images
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
    check_fill(fill)
    dy, dx = (_per_image(d, images, tf.int32) for d in (dy, dx))
    _, height, width, _ = image_shape(images)
    if fill == "constant":
        return PixelMap.translation(dy, dx, height, width, fill_value)(images)
    inside = INSIDE[fill]
    rows = inside(tf.range(height) - dy[:, None], height)
    columns = inside(tf.range(width) - dx[:, None], width)
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)


@_on_images
def flip(images: tf.Tensor, mirrored: Any) -> tf.Tensor:
    """Mirrors left and right the images for which `mirrored` is true, or 1.

    Args:
        images: floating tensor (N, H, W, C).
        mirrored: booleans, or numbers that are 0 or 1.
    """
    mirrored = tf.cast(_per_image(mirrored, images), tf.bool)
    return mirror_columns(images, mirrored)


@_on_images
def rotate(
    images: tf.Tensor, angle: Any, *, fill: str = "constant", fill_value: float = 0.0
) -> tf.Tensor:
    """Turns each image about its centre, counter-clockwise; bilinear.

    Args:
        images: floating tensor (N, H, W, C).
        angle: in radians.
        fill: what is outside the image, as in `translate`.
        fill_value: the constant.

    Raises:
        ValueError: if `fill` is none of these.
    """
    _, height, width, _ = image_shape(images)
    turn = AffineMap.rotation(
        _per_image(angle, images), (height, width), border=fill, fill=fill_value
    )
    return turn(images)


def cutout_window(center: Any, size: Size) -> tuple[tf.Tensor, tf.Tensor]:
    """The first place of a box along one axis and the first past it; it may leave the image."""
    start = center - size // 2
    return start, start + size


@_on_images
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
    top, bottom = cutout_window(_per_image(center_y, images, tf.int32), size_y)
    left, right = cutout_window(_per_image(center_x, images, tf.int32), size_x)
    return PixelMap(holes=(Window(top, bottom, left, right),), fill=fill_value)(images)
