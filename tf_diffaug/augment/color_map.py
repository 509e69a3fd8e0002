"""Colour ops as one affine map of pixel, grey value and mean."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tf_diffaug.augment import placement
from tf_diffaug.augment.maps import Map, image_shape

# Pixels side by side in one row of the colour product: a wide innermost dimension is what makes the
# reductions and products fast on the CPU.
_PIXELS_PER_ROW = 8


def _add(a, b):
    if isinstance(a, float) and a == 0.0:
        return b
    return a if isinstance(b, float) and b == 0.0 else a + b


def _mul(a, b):
    for x, y in ((a, b), (b, a)):
        if isinstance(x, float) and x in (0.0, 1.0):
            return y if x else 0.0
    return a * b


@dataclasses.dataclass(frozen=True)
class ColorMap:
    """pixel·x + grey·g(x) + mean·m(x) + offset, with coefficients per image.

    g is a pixel's mean over the colour channels, m the mean over all pixels and colour channels.
    The fourth of four channels is alpha, which stays as it is. A coefficient is a float32 tensor of
    shape (N,) or a Python float; a Python 0.0 leaves its term out.
    """

    pixel: tf.Tensor | float = 1.0
    grey: tf.Tensor | float = 0.0
    mean: tf.Tensor | float = 0.0
    offset: tf.Tensor | float = 0.0

    def then(self, following: Map) -> Map | None:
        if not isinstance(following, ColorMap):
            return None
        a, b = self, following
        # g and m are projections that commute: g of this map's output has coefficients
        # (pixel + grey) of g, mean of m; its m has (pixel + grey + mean) of m.
        of_grey = _add(a.pixel, a.grey)
        of_mean = _add(of_grey, a.mean)
        return ColorMap(
            pixel=_mul(b.pixel, a.pixel),
            grey=_add(_mul(b.pixel, a.grey), _mul(b.grey, of_grey)),
            mean=_add(_mul(_add(b.pixel, b.grey), a.mean), _mul(b.mean, of_mean)),
            offset=_add(_mul(_add(_add(b.pixel, b.grey), b.mean), a.offset), b.offset),
        )

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        linear = dataclasses.replace(self, offset=0.0)

        @tf.custom_gradient
        def run(images):
            return _run_color(self, images), lambda upstream: linear(upstream)

        return run(images)


def _run_color(color: ColorMap, images: tf.Tensor) -> tf.Tensor:
    *_, height, width, channels = image_shape(images)
    dtype = images.dtype
    compute = tf.float64 if dtype == tf.float64 else tf.float32
    k = 1
    if isinstance(height, int) and isinstance(width, int):
        k = max(i for i in range(1, _PIXELS_PER_ROW + 1) if (height * width) % i == 0)
        rows = tf.reshape(images, [-1, height * width // k, k * channels])
    else:
        rows = tf.reshape(images, [image_shape(images)[0], -1, channels])
    rows = tf.cast(rows, compute)
    parts = (color.pixel, color.grey, color.mean, color.offset)
    color = ColorMap(*(_column(part, compute) for part in parts))
    mask = np.ones(channels)
    mask[3:] = 0.0 if channels == 4 else 1.0
    bias = color.offset
    if not isinstance(color.mean, float):
        bias = _add(color.mean * _mean(rows, mask, k), bias)
    mixed = _mix(rows, color, bias, mask, k)
    return tf.reshape(tf.cast(mixed, dtype), image_shape(images))


def _column(part, dtype):
    """A coefficient as (N, 1, 1), which gets no gradient."""
    if isinstance(part, float):
        return part
    return tf.stop_gradient(tf.cast(part, dtype))[:, None, None]


def _mean(rows: tf.Tensor, mask: np.ndarray, k: int) -> tf.Tensor:
    """The mean over pixels and colour channels, (N, 1, 1), from (N, HW / k, k·C)."""
    # In two steps: XLA's reduction to one number a batch entry is slow on the CPU.
    means = tf.reduce_mean(rows, axis=1, keepdims=True)
    if mask.all():
        return tf.reduce_mean(means, axis=2, keepdims=True)
    weights = np.tile(mask, k) / (mask.sum() * k)
    return tf.reduce_sum(means * tf.constant(weights, rows.dtype), axis=2, keepdims=True)


def _mix(rows: tf.Tensor, color: ColorMap, bias, mask: np.ndarray, k: int) -> tf.Tensor:
    """pixel·x + grey·g(x) + bias on rows of k pixels; channels outside the mask stay."""
    pixel, grey = color.pixel, color.grey
    if mask.sum() == 1:
        pixel, grey = _add(pixel, grey), 0.0
    has_grey = not isinstance(grey, float) or grey != 0.0
    # XLA makes one loop of it; accelerators round the factors of a product to fewer bits.
    if has_grey and (placement.accelerated() or placement.traced_for_xla()):
        return _mix_by_channels(rows, pixel, grey, bias, mask, k)
    mixed = _mix_by_product(rows, pixel, grey, mask, k)
    if isinstance(bias, float) and bias == 0.0:
        return mixed
    return mixed + (bias if mask.all() else bias * tf.constant(np.tile(mask, k), rows.dtype))


def _mix_by_product(rows, pixel, grey, mask, k):
    wide = np.tile(mask, k)
    if isinstance(grey, float) and grey == 0.0:
        if isinstance(pixel, float) and pixel == 1.0:
            return rows
        if mask.all():
            return rows * pixel
        return rows * (pixel * tf.constant(wide, rows.dtype) + tf.constant(1 - wide, rows.dtype))
    averages = np.kron(np.eye(k), np.outer(mask, mask) / mask.sum())
    constant = np.diag(1 - wide)
    terms = ((pixel, np.diag(wide)), (grey, averages))
    # One small product makes all matrices: a sum of scaled constants is several passes over them.
    scales = tf.concat([c[:, 0] for c, _ in terms if not isinstance(c, float)], axis=1)
    basis = np.stack([b.ravel() for c, b in terms if not isinstance(c, float)])
    constant += sum(c * b for c, b in terms if isinstance(c, float))
    matrices = tf.matmul(scales, tf.constant(basis, rows.dtype))
    if constant.any():
        matrices += tf.constant(constant.ravel(), rows.dtype)
    return tf.matmul(rows, tf.reshape(matrices, [-1, *constant.shape]))


def _mix_by_channels(rows, pixel, grey, bias, mask, k):
    """`_mix` as a sum over channels, of which there are a few."""
    shape = tf.shape(rows)
    pixels = tf.reshape(rows, [shape[0], shape[1] * k, len(mask)])
    channels = [pixels[..., c : c + 1] for c in np.flatnonzero(mask)]
    common = _add(grey * (tf.add_n(channels) / len(channels)), bias)
    if mask.all():
        # Before the reshape, or XLA makes two loops of it.
        return tf.reshape(pixels * pixel + common, shape)
    mask = tf.constant(mask, rows.dtype)
    return tf.reshape(pixels * (pixel * mask + (1 - mask)) + common * mask, shape)
