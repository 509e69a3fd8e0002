"""Images between the ranges they live in, and sheets of them."""

from __future__ import annotations

import io

import numpy as np
import tensorflow as tf
from PIL import Image


def to_float(images: tf.Tensor) -> tf.Tensor:
    """uint8 images as float32 in [-1, 1]; floats pass as they are."""
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 127.5 - 1.0
    return images


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] as uint8: rounded, and clipped only here."""
    return np.clip(np.rint((np.asarray(images, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


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


def encode_png(image: np.ndarray, *, scale: int = 1) -> bytes:
    """A uint8 image (height, width, channels) as PNG, each pixel `scale` pixels wide."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if scale > 1:
        size = (picture.width * scale, picture.height * scale)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
