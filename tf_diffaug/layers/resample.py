"""Low-pass filtering, up- and downsampling by 2 as StyleGAN2 does them (arXiv 1912.04958).

The filter is [1, 3, 3, 1] on each axis, normalised to sum to 1 (`resample_kernel` in NVIDIA's code,
there in `upfirdn_2d.py`). Pixels outside the image are zero. Each function is linear and its
gradient is another of them, so that derivatives of any order exist and none takes a gradient with
respect to the filter.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

FILTER = np.array([1.0, 3.0, 3.0, 1.0]) / 8.0
TAPS = len(FILTER)

_is_dense = contextvars.ContextVar("is_dense", default=False)


@contextlib.contextmanager
def dense_upsampling() -> Iterator[None]:
    """Inside, `upsample` is a transposed convolution over all channels, mostly zeros.

    The numbers are the same but for rounding. It is slower here; TensorFlow Lite and ONNX have no
    transposed convolution channel by channel. The choice is made when a graph is traced.
    """
    token = _is_dense.set(True)
    try:
        yield
    finally:
        _is_dense.reset(token)


def blur(images: tf.Tensor, *, padding: tuple[int, int], gain: float = 1.0) -> tf.Tensor:
    """Filters each channel.

    Args:
        images: floats of shape (batch, height, width, channels), the last three known.
        padding: rows of zeros before and after, 0 to 3 of each; columns alike.
        gain: factor on the result.

    Returns:
        Images of the same dtype, sum(padding) - 3 higher and wider.

    Raises:
        ValueError: for padding outside [0, 3].
    """
    before, after = padding
    if not (0 <= before < TAPS and 0 <= after < TAPS):
        raise ValueError(f"`padding` must be in [0, 3]. Received: padding={padding}.")
    opposite = (TAPS - 1 - before, TAPS - 1 - after)

    @tf.custom_gradient
    def filtered(x: tf.Tensor):
        pads = [[0, 0], [before, after], [before, after], [0, 0]]
        outputs = tf.nn.depthwise_conv2d(x, _filter(x, gain), [1, 1, 1, 1], pads)
        return outputs, lambda upstream: blur(upstream, padding=opposite, gain=gain)

    return filtered(tf.convert_to_tensor(images))


def downsample(images: tf.Tensor, *, gain: float = 1.0) -> tf.Tensor:
    """Filters and keeps every second row and column; a constant keeps its value inside.

    Args:
        images: floats of shape (batch, height, width, channels), height and width known and even.
        gain: factor on the result.

    Returns:
        Images of shape (batch, height / 2, width / 2, channels) and the same dtype.

    Raises:
        ValueError: for an odd height or width.
    """
    _check_even(images.shape)

    @tf.custom_gradient
    def filtered(x: tf.Tensor):
        # Of an even size, SAME pads one on each side.
        outputs = tf.nn.depthwise_conv2d(x, _filter(x, gain), [1, 2, 2, 1], "SAME")
        return outputs, lambda upstream: upsample(upstream, gain=gain / 4.0)

    return filtered(tf.convert_to_tensor(images))


def upsample(images: tf.Tensor, *, gain: float = 1.0) -> tf.Tensor:
    """Doubles height and width: zeros between the pixels, filtered; a constant stays one inside.

    Args:
        images: floats of shape (batch, height, width, channels), the last three known.
        gain: factor on the result, on top of the 4 that makes up for the zeros.

    Returns:
        Images of shape (batch, 2 · height, 2 · width, channels) and the same dtype.
    """

    @tf.custom_gradient
    def filtered(x: tf.Tensor):
        # TensorFlow's CPU kernel takes bfloat16 20 times as long as float32.
        wide = tf.cast(x, tf.float32) if x.dtype == tf.bfloat16 else x
        _, height, width, channels = x.shape
        sizes = tf.stack([tf.shape(x)[0], 2 * height, 2 * width, channels])
        kernel = _filter(wide, 4.0 * gain)
        if _is_dense.get():
            kernel *= tf.eye(channels, dtype=kernel.dtype)
            outputs = tf.nn.conv2d_transpose(wide, kernel, sizes, 2, "SAME")
        else:
            outputs = tf.nn.depthwise_conv2d_backprop_input(
                sizes, kernel, wide, [1, 2, 2, 1], "SAME"
            )
        outputs.set_shape((x.shape[0], 2 * height, 2 * width, channels))
        return tf.cast(outputs, x.dtype), lambda upstream: downsample(upstream, gain=4.0 * gain)

    return filtered(tf.convert_to_tensor(images))


def _filter(images: tf.Tensor, gain: float) -> tf.Tensor:
    kernel = gain * np.outer(FILTER, FILTER)[:, :, None, None]
    return tf.constant(np.tile(kernel, (1, 1, images.shape[-1], 1)), images.dtype)


def _check_even(shape: tf.TensorShape) -> None:
    if shape[1] % 2 or shape[2] % 2:
        raise ValueError(f"Height and width must be even. Received: shape={tuple(shape)}.")
