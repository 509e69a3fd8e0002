"""Colour ops as one affine map of pixel, grey value and mean."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tf_diffaug.augment import placement
from tf_diffaug.augment.maps import Map, image_shape

# Pixels side by side in one row of the colour product: a wide innermost dimension is what makes the
# reductions and products fast on the CPU.
_PIXELS_PER_ROW = 4
# Rows that one dot product of the mean takes together: all of an image of 32 x 32 pixels.
_ROWS_PER_SUM = 256
# A quarter turn of red, green and blue about the grey axis; it takes grey to 0.
_QUARTER_TURN = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3.0)


def _is(part, number):
    return isinstance(part, float) and part == number


def _add(a, b):
    if _is(a, 0.0):
        return b
    return a if _is(b, 0.0) else a + b


def _sub(a, b):
    return 0.0 if a is b else a - b


def _neg(a):
    return 0.0 if _is(a, 0.0) else -a


def _mul(a, b):
    if _is(a, 0.0) or _is(b, 0.0):
        return 0.0
    if _is(a, 1.0):
        return b
    return a if _is(b, 1.0) else a * b


@dataclasses.dataclass(frozen=True)
class ColorMap:
    """color·(x - g) + turn·Qx + level·(g - m) + mean·m + offset + tint, coefficients per image.

    g(x) is a pixel's mean over the colour channels, m(x) the mean over all pixels and colour
    channels. x - g, g - m and m are projections of the image onto parts that have nothing in
    common, so that one map after the other multiplies the coefficients. Q turns x - g by a quarter
    about the grey axis: color and turn are one complex number, r·cos and r·sin of an angle. The
    fourth of four channels is alpha, which stays as it is. A coefficient is a float32 tensor of
    shape (N,) or a Python float; the defaults cost nothing. `turn` and `tint`, a float32 tensor of
    shape (N, 3) whose rows have mean 0, are for images of three colour channels only.
    """

    color: tf.Tensor | float = 1.0
    level: tf.Tensor | float = 1.0
    mean: tf.Tensor | float = 1.0
    offset: tf.Tensor | float = 0.0
    turn: tf.Tensor | float = 0.0
    tint: tf.Tensor | float = 0.0

    def then(self, following: Map) -> Map | None:
        if not isinstance(following, ColorMap):
            return None
        color, turn = _turned(following, self.color, self.turn)
        return ColorMap(
            color=color,
            level=_mul(following.level, self.level),
            mean=_mul(following.mean, self.mean),
            offset=_add(_mul(following.mean, self.offset), following.offset),
            turn=turn,
            tint=_add(_tint_through(following, self.tint), following.tint),
        )

    def only(self, applied: tf.Tensor) -> Map:
        parts = {}
        for field in dataclasses.fields(self):
            part, where = getattr(self, field.name), applied
            if not _is(part, field.default):
                if field.name == "tint":
                    where = applied[:, None]
                parts[field.name] = tf.where(where, part, field.default)
        return dataclasses.replace(self, **parts)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        adjoint = dataclasses.replace(self, offset=0.0, turn=_neg(self.turn), tint=0.0)

        @tf.custom_gradient
        def run(images):
            return _run_color(self, images), lambda upstream: adjoint(upstream)

        return run(images)


def _turned(following: ColorMap, color, turn):
    """color + i·turn after the map that follows."""
    real = _add(_mul(following.color, color), _neg(_mul(following.turn, turn)))
    return real, _add(_mul(following.color, turn), _mul(following.turn, color))


def _tint_through(following: ColorMap, tint):
    """A tint (N, 3) after the map that follows."""
    if _is(tint, 0.0):
        return 0.0
    color, turn = (
        part if isinstance(part, float) else part[:, None]
        for part in (following.color, following.turn)
    )
    turned = 0.0 if _is(turn, 0.0) else turn * _quarter_turn(tint)
    return _add(_mul(color, tint), turned)


def _quarter_turn(colors: tf.Tensor) -> tf.Tensor:
    """Q of colours along the last axis, in full precision on every device."""
    return (tf.roll(colors, 1, -1) - tf.roll(colors, -1, -1)) / np.sqrt(3.0)


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
    # The same map as pixel·x + grey·g + mean·m + bias.
    grey, mean = _sub(color.level, color.color), _sub(color.mean, color.level)
    parts = (color.color, grey, mean, color.offset, color.turn, color.tint)
    pixel, grey, mean, bias, turn, tint = (_coefficient(part, compute) for part in parts)
    mask = np.ones(channels)
    mask[3:] = 0.0 if channels == 4 else 1.0
    if not _is(mean, 0.0):
        bias = _add(mean * _mean(rows, mask, k), bias)
    mixed = _mix(rows, pixel, grey, turn, _shift(bias, tint, mask, k), mask, k)
    return tf.reshape(tf.cast(mixed, dtype), image_shape(images))


def _coefficient(part, dtype):
    """A coefficient in the dtype of the computation, which gets no gradient."""
    return part if isinstance(part, float) else tf.stop_gradient(tf.cast(part, dtype))


def _per_row(part):
    """A coefficient against rows (N, P, k·C)."""
    return part if isinstance(part, float) else part[:, None, None]


def _mean(rows: tf.Tensor, mask: np.ndarray, k: int) -> tf.Tensor:
    """The mean over pixels and colour channels, (N,), from (N, HW / k, k·C)."""
    if not (placement.accelerated() or placement.traced_for_xla()):
        return _mean_by_product(rows, mask, k)
    # In two steps: XLA's reduction to one number a batch entry is slow on the CPU.
    means = tf.reduce_mean(rows, axis=1)
    if mask.all():
        return tf.reduce_mean(means, axis=1)
    weights = np.tile(mask, k) / (mask.sum() * k)
    return tf.reduce_sum(means * tf.constant(weights, rows.dtype), axis=1)


def _mean_by_product(rows: tf.Tensor, mask: np.ndarray, k: int) -> tf.Tensor:
    """`_mean` as a product, which on the CPU takes a fraction of the time of a reduction."""
    count = rows.shape[1] or 1
    joined = max(i for i in range(1, _ROWS_PER_SUM + 1) if count % i == 0)
    weights = np.tile(mask, joined * k) / (mask.sum() * joined * k)
    parts = tf.reshape(rows, [-1, len(weights)])
    means = tf.matmul(parts, tf.constant(weights[:, None], rows.dtype))
    if joined == rows.shape[1]:
        return tf.reshape(means, [-1])
    shape = tf.shape(rows)
    # No -1 here, which an empty batch leaves open.
    means = tf.reshape(means, tf.stack([shape[0], shape[1] // joined]))
    return tf.reduce_mean(means, axis=1)


def _shift(bias, tint, mask: np.ndarray, k: int):
    """What is added to rows (N, P, k·C), the tint included; alpha still gets the bias alone."""
    if _is(tint, 0.0):
        return _per_row(bias)
    tint = tf.pad(tint, [[0, 0], [0, len(mask) - 3]])
    tint = tf.tile(tint, [1, k])[:, None, :]
    return _add(_per_row(bias), tint)


def _mix(rows: tf.Tensor, pixel, grey, turn, shift, mask: np.ndarray, k: int) -> tf.Tensor:
    """pixel·x + grey·g(x) + turn·Qx + shift on rows of k pixels; channels outside the mask stay."""
    if mask.sum() == 1:
        pixel, grey = _add(pixel, grey), 0.0
    mixes = not (_is(grey, 0.0) and _is(turn, 0.0))
    # XLA makes one loop of it; accelerators round the factors of a product to fewer bits.
    if mixes and (placement.accelerated() or placement.traced_for_xla()):
        parts = (_per_row(part) for part in (pixel, grey, turn))
        return _mix_by_channels(rows, *parts, shift, mask, k)
    mixed = _mix_by_product(rows, pixel, grey, turn, mask, k)
    if _is(shift, 0.0):
        return mixed
    return mixed + (shift if mask.all() else shift * tf.constant(np.tile(mask, k), rows.dtype))


def _mix_by_product(rows, pixel, grey, turn, mask, k):
    wide = np.tile(mask, k)
    if _is(grey, 0.0) and _is(turn, 0.0):
        if _is(pixel, 1.0):
            return rows
        pixel = _per_row(pixel)
        if mask.all():
            return rows * pixel
        return rows * (pixel * tf.constant(wide, rows.dtype) + tf.constant(1 - wide, rows.dtype))
    averages = np.kron(np.eye(k), np.outer(mask, mask) / mask.sum())
    constant = np.diag(1 - wide)
    terms = [(pixel, np.diag(wide)), (grey, averages)]
    if not _is(turn, 0.0):
        quarter = np.zeros([len(mask)] * 2)
        quarter[:3, :3] = _QUARTER_TURN.T  # pixels are rows
        terms.append((turn, np.kron(np.eye(k), quarter)))
    # One small product makes all matrices: a sum of scaled constants is several passes over them.
    scales = tf.stack([c for c, _ in terms if not isinstance(c, float)], axis=1)
    basis = np.stack([b.ravel() for c, b in terms if not isinstance(c, float)])
    constant += sum(c * b for c, b in terms if isinstance(c, float))
    matrices = tf.matmul(scales, tf.constant(basis, rows.dtype))
    if constant.any():
        matrices += tf.constant(constant.ravel(), rows.dtype)
    return tf.matmul(rows, tf.reshape(matrices, [-1, *constant.shape]))


def _mix_by_channels(rows, pixel, grey, turn, shift, mask, k):
    """`_mix` as a sum over channels, of which there are a few."""
    shape = tf.shape(rows)
    pixels = tf.reshape(rows, [shape[0], shape[1] * k, len(mask)])
    channels = [pixels[..., c : c + 1] for c in np.flatnonzero(mask)]
    if not isinstance(shift, float) and shift.shape[-1] != 1:
        shift = shift[..., : len(mask)]
    common = shift
    if not _is(grey, 0.0):
        common = _add(grey * (tf.add_n(channels) / len(channels)), shift)
    if not _is(turn, 0.0):
        turned = _quarter_turn(pixels[..., :3])
        turned = tf.concat([turned, pixels[..., 3:]], axis=-1)  # alpha is masked below
        common = _add(common, turn * turned)
    if mask.all():
        # Before the reshape, or XLA makes two loops of it.
        return tf.reshape(pixels * pixel + common, shape)
    mask = tf.constant(mask, rows.dtype)
    return tf.reshape(pixels * (pixel * mask + (1 - mask)) + common * mask, shape)
