"""Images between the ranges they live in, and sheets of them."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_diffaug.files import read_regular

_RANGE = "Images are uint8, or floats in [-1, 1]."
# What resizing may leave of [-1, 1]; images of another range go far beyond it.
_BRIGHTEST = 1.5


def to_float(images: tf.Tensor) -> tf.Tensor:
    """Images as float32 in [-1, 1]: uint8 by scaling, floats as they are.

    Raises:
        ValueError: for another dtype.
    """
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 127.5 - 1.0
    if not images.dtype.is_floating:
        raise ValueError(f"{_RANGE} Received: images of dtype={images.dtype.name}.")
    return tf.cast(images, tf.float32)


def check_range(images: Any) -> None:
    """Looks for images of another range, with which training goes wrong as if by itself.

    Floats of which none is below 0 and some are above are taken for [0, 1]. Real images in [-1, 1]
    of which a whole batch is brighter than the middle grey can be given as uint8.

    Raises:
        ValueError: if an array or tensor holds some; images of other kinds are not looked at.
    """
    if tf.is_tensor(images) and hasattr(images, "numpy"):
        images = images.numpy()
    if not isinstance(images, np.ndarray) or not images.size or images.dtype == np.uint8:
        return
    if not tf.as_dtype(images.dtype).is_floating:
        raise ValueError(f"{_RANGE} Received: images of dtype={images.dtype}.")
    low, high = float(images.min()), float(images.max())
    received = f"Received: {images.dtype} from {low:g} to {high:g}."
    if low >= 0 and _BRIGHTEST < high <= 255:
        raise ValueError(f"{_RANGE} Of 0 to 255, give `images / 127.5 - 1`, or uint8. {received}")
    if not -_BRIGHTEST <= low <= high <= _BRIGHTEST:
        raise ValueError(f"{_RANGE} {received}")
    if low >= 0 and 0 < high <= 1:
        raise ValueError(f"{_RANGE} Of [0, 1], give `images * 2 - 1`, or uint8. {received}")


def to_uint8(images: Any) -> tf.Tensor:
    """Rounds images in [-1, 1], any float type, to uint8; values outside are clipped.

    The published numbers are of rounded fakes (DiffAugment's evaluation code). Every uint8 image
    `u` comes back from `u / 127.5 - 1` unchanged.
    """
    scaled = tf.cast(images, tf.float32) * 127.5 + 127.5
    return tf.cast(tf.floor(tf.clip_by_value(scaled, 0.0, 255.0) + 0.5), tf.uint8)


def grid(images: np.ndarray, columns: int, *, gap: int = 2) -> np.ndarray:
    """Lays uint8 images (n, height, width, channels) out in rows, on white, `gap` pixels apart."""
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8
    )
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def as_picture(image: np.ndarray) -> Image.Image:
    """A uint8 image (height, width, channels) in Pillow's mode of its channels: L, RGB or RGBA."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def encode_png(image: np.ndarray, *, scale: int = 1) -> bytes:
    """A uint8 image (height, width, channels) as PNG, each pixel `scale` pixels wide."""
    picture = as_picture(image)
    if scale > 1:
        size = (picture.width * scale, picture.height * scale)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def read_png(path: str | os.PathLike) -> Image.Image:
    """A picture that this package wrote; a file of another format is no picture, whatever its name.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no PNG, is damaged, or has more pixels than Pillow allows.
    """
    content = io.BytesIO(read_regular(path))
    try:
        # Others can be more than pictures: Pillow hands PostScript to Ghostscript.
        picture = Image.open(content, formats=["PNG"])
        picture.load()
    except Exception as error:  # a damaged file raises whatever its decoder stumbles over
        raise ValueError(f"{path} is no PNG, or is damaged: remove it.") from error
    return picture
