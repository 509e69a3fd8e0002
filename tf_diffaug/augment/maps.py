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
from typing import Protocol

import numpy as np
import tensorflow as tf

from tf_diffaug.augment import placement

Size = int | tf.Tensor

# Pixels side by side in one row of the colour product: a wide innermost dimension is what makes the
# reductions and products fast on the CPU.
_PIXELS_PER_ROW = 8


class Map(Protocol):
    """A function of a batch of images of shape (N, H, W, C)."""

    def then(self, following: Map) -> Map | None:
        """The one map that does this map and then `following`; None if they do not compose."""

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Maps the images; shape and dtype stay."""


def image_shape(images: tf.Tensor) -> tuple[Size, Size, Size, int]:
    """(N, H, W, C) of the images, each a Python int where it is known."""
    static = images.shape.as_list()
    dynamic = tf.shape(images) if None in static else None
    return tuple(dynamic[i] if size is None else size for i, size in enumerate(static))


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
    mixed = _mix(rows, color, mask, k)
    bias = color.offset
    if not isinstance(color.mean, float):
        bias = _add(color.mean * _mean(rows, mask, k), bias)
    if not isinstance(bias, float) or bias != 0.0:
        mixed += bias if mask.all() else bias * tf.constant(np.tile(mask, k), compute)
    return tf.reshape(tf.cast(mixed, dtype), tf.shape(images))


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


def _mix(rows: tf.Tensor, color: ColorMap, mask: np.ndarray, k: int) -> tf.Tensor:
    """pixel·x + grey·g(x) on rows of k pixels; channels outside the mask stay."""
    pixel, grey = color.pixel, color.grey
    if mask.sum() == 1:
        pixel, grey = _add(pixel, grey), 0.0
    wide = np.tile(mask, k)
    if isinstance(grey, float) and grey == 0.0:
        if isinstance(pixel, float) and pixel == 1.0:
            return rows
        if mask.all():
            return rows * pixel
        return rows * (pixel * tf.constant(wide, rows.dtype) + tf.constant(1 - wide, rows.dtype))
    averages = np.kron(np.eye(k), np.outer(mask, mask) / mask.sum())
    if placement.accelerated():
        # Accelerators round the factors of a float32 product to fewer bits.
        return _mix_by_sums(rows, pixel, grey, mask, k)
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


def _mix_by_sums(rows, pixel, grey, mask, k):
    shape = tf.shape(rows)
    pixels = tf.reshape(rows, [shape[0], shape[1] * k, len(mask)])
    if mask.all():
        mixed = pixels * pixel + tf.reduce_mean(pixels, axis=2, keepdims=True) * grey
        return tf.reshape(mixed, shape)
    mask = tf.constant(mask, rows.dtype)
    means = tf.reduce_sum(pixels * mask, axis=2, keepdims=True) / tf.reduce_sum(mask)
    mixed = pixels * (pixel * mask + (1 - mask)) + grey * means * mask
    return tf.reshape(mixed, shape)


@dataclasses.dataclass(frozen=True)
class Window:
    """Rows top <= y < bottom, columns left <= x < right; int32 tensors of shape (N,)."""

    top: tf.Tensor
    bottom: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor

    def moved(self, dy: tf.Tensor, dx: tf.Tensor) -> Window:
        return Window(self.top + dy, self.bottom + dy, self.left + dx, self.right + dx)

    def overlap(self, other: Window) -> Window:
        return Window(
            tf.maximum(self.top, other.top),
            tf.minimum(self.bottom, other.bottom),
            tf.maximum(self.left, other.left),
            tf.minimum(self.right, other.right),
        )

    def along_axes(self, rows: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Which of the rows (H,) and which of the columns (V,) lie inside: (N, H) and (N, V)."""
        inside_y = (rows >= self.top[:, None]) & (rows < self.bottom[:, None])
        inside_x = (columns >= self.left[:, None]) & (columns < self.right[:, None])
        return inside_y, inside_x

    def contains(self, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """Which places of the grid lie inside: (N, H, V)."""
        inside_y, inside_x = self.along_axes(rows, columns)
        return inside_y[:, :, None] & inside_x[:, None, :]


@dataclasses.dataclass(frozen=True)
class PixelMap:
    """Moves each image by whole pixels, keeps a window and cuts holes; the rest is `fill`.

    The windows are places of the output. `shift` is (dy, dx), int32 tensors of shape (N,), positive
    down and to the right; it comes with a window to keep, that of the pixels that have a source.
    """

    shift: tuple[tf.Tensor, tf.Tensor] | None = None
    keep: Window | None = None
    holes: tuple[Window, ...] = ()
    fill: float = 0.0

    @classmethod
    def translation(
        cls, dy: tf.Tensor, dx: tf.Tensor, height: Size, width: Size, fill: float = 0.0
    ) -> PixelMap:
        """Content moves by (dy, dx); what it uncovers is filled."""
        return cls((dy, dx), Window(dy, dy + height, dx, dx + width), (), fill)

    def then(self, following: Map) -> Map | None:
        if not isinstance(following, PixelMap) or following.fill != self.fill:
            return None
        if following.shift is None:
            return dataclasses.replace(self, holes=self.holes + following.holes)
        dy, dx = following.shift
        moved = self.moved(dy, dx)
        return dataclasses.replace(
            moved,
            shift=(dy, dx) if self.shift is None else (self.shift[0] + dy, self.shift[1] + dx),
            keep=following.keep if moved.keep is None else moved.keep.overlap(following.keep),
            holes=moved.holes + following.holes,
        )

    def moved(self, dy: tf.Tensor, dx: tf.Tensor) -> PixelMap:
        """The same map with its windows moved."""
        return dataclasses.replace(
            self,
            keep=None if self.keep is None else self.keep.moved(dy, dx),
            holes=tuple(hole.moved(dy, dx) for hole in self.holes),
        )

    def adjoint(self, height: Size, width: Size) -> PixelMap:
        """The transposed map: what goes into the gradient with respect to the images."""
        if self.shift is None:
            return dataclasses.replace(self, fill=0.0)
        dy, dx = -self.shift[0], -self.shift[1]
        back = PixelMap.translation(dy, dx, height, width)
        moved = self.moved(dy, dx)
        return dataclasses.replace(back, keep=back.keep.overlap(moved.keep), holes=moved.holes)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        _, height, width, _ = image_shape(images)

        @tf.custom_gradient
        def run(images):
            output = _mask(self, images) if self.shift is None else _look_up(self, images)
            return output, lambda upstream: self.adjoint(height, width)(upstream)

        return run(images)


def _mask(pixels: PixelMap, images: tf.Tensor) -> tf.Tensor:
    batch, height, width, channels = image_shape(images)
    rows, columns = tf.range(height), tf.range(width * channels) // channels
    output = tf.reshape(images, [batch, height, width * channels])
    for hole in pixels.holes:
        output = tf.where(hole.contains(rows, columns), tf.cast(pixels.fill, images.dtype), output)
    return tf.reshape(output, tf.shape(images))


def _select(pixels: PixelMap, images: tf.Tensor) -> tf.Tensor:
    """`_look_up` for XLA, which fuses the choice between the fill and a pixel with the rest."""
    _, height, width, _ = image_shape(images)
    rows, columns = tf.range(height), tf.range(width)
    dy, dx = (shift[:, None] for shift in pixels.shift)
    output = tf.gather(images, tf.clip_by_value(rows - dy, 0, height - 1), batch_dims=1)
    source = tf.clip_by_value(columns - dx, 0, width - 1)
    output = tf.gather(output, source, axis=2, batch_dims=1)
    covered = pixels.keep.contains(rows, columns)
    for hole in pixels.holes:
        covered &= ~hole.contains(rows, columns)
    return tf.where(covered[..., None], output, tf.cast(pixels.fill, images.dtype))


def _look_up(pixels: PixelMap, images: tf.Tensor) -> tf.Tensor:
    if placement.traced_for_xla():
        return _select(pixels, images)
    batch, height, width, channels = image_shape(images)
    rows, columns = tf.range(height), tf.range(width)
    dy, dx = (shift[:, None] for shift in pixels.shift)
    # One pixel past the last holds the fill, so that filling costs no pass of its own.
    past = batch * height * width
    keep_rows, keep_columns = pixels.keep.along_axes(rows, columns)
    starts = (tf.range(batch) * height)[:, None] + rows - dy
    starts = tf.where(keep_rows, starts * width, past)[:, :, None]
    offsets = tf.where(keep_columns, columns - dx, past)[:, None, :]
    source = tf.minimum(starts + offsets, past)
    for hole in pixels.holes:
        source = tf.where(hole.contains(rows, columns), past, source)
    flat = tf.reshape(images, [-1, channels])
    padded = tf.concat([flat, tf.fill([1, channels], tf.cast(pixels.fill, images.dtype))], axis=0)
    return tf.reshape(tf.gather_nd(padded, tf.reshape(source, [-1, 1])), tf.shape(images))


@dataclasses.dataclass(frozen=True)
class FunctionMap:
    """Any function of the images; it composes with nothing."""

    function: Callable[[tf.Tensor], tf.Tensor]

    def then(self, following: Map) -> Map | None:
        del following
        return None

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return self.function(images)
