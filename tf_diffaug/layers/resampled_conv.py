"""Convolutions that double or halve the resolution without ever making the larger maps.

Repeating each pixel twice and convolving with a k × k kernel is one transposed convolution of
stride 2, and convolving and averaging 2 × 2 pixels is one convolution of stride 2, both with the
(k + 1) × (k + 1) kernel that the k × k kernel makes with a 2 × 2 box. For k = 3 that is 4/9 of the
multiplications, and one activation less to write and to keep for the backward pass. Putting zeros
between the pixels instead of repeating them leaves the kernel as it is: 1/4 of the multiplications.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class _ResampledConv2D(keras.layers.Conv2D):
    def __init__(
        self, filters: int, kernel_size: Any = 3, *, padding: str = "same", **kwargs: Any
    ) -> None:
        super().__init__(filters, kernel_size, padding=padding, **kwargs)
        needed = {
            "kernel_size": all(size % 2 for size in self.kernel_size),
            "padding": self.padding == "same",
            "strides": tuple(self.strides) == (1, 1),
            "dilation_rate": tuple(self.dilation_rate) == (1, 1),
            "groups": self.groups == 1,
            "data_format": self.data_format == "channels_last",
        }
        for name, is_met in needed.items():
            if not is_met:
                raise ValueError(
                    f"{type(self).__name__} takes odd kernels, padding='same', channels_last, and "
                    f"no strides, dilation or groups. Received: {name}={getattr(self, name)!r}."
                )


UPSAMPLINGS = ("nearest", "zeros")


@keras.saving.register_keras_serializable(package="tf_diffaug")
class UpsampledConv2D(_ResampledConv2D):
    """Upsampling by 2, then a convolution, as one transposed convolution.

    Args:
        filters: output channels.
        kernel_size: odd height and width of the kernel, which is that of the plain convolution.
        padding: only "same".
        upsampling: "nearest" repeats each pixel; "zeros" puts the pixels on the even rows and
            columns, counted from 0, and zeros on the others (compare_gan's `unpool`).
        **kwargs: as of `keras.layers.Conv2D`.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels).

    Returns floats of shape (batch, 2 · height, 2 · width, filters).

    Raises:
        ValueError: for an even kernel, strides, dilation, groups or another padding, format or
            `upsampling`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any = 3,
        *,
        padding: str = "same",
        upsampling: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, padding=padding, **kwargs)
        if upsampling not in UPSAMPLINGS:
            raise ValueError(
                f"`upsampling` must be one of {UPSAMPLINGS}. Received: upsampling={upsampling!r}."
            )
        self.upsampling = upsampling

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        batch, rows, cols, _ = tf.unstack(tf.shape(inputs))
        if self.upsampling == "nearest":
            kernel, padding = _boxed(kernel), "SAME"
        else:
            # "SAME" would put an odd kernel's middle on the odd rows and columns.
            halves = [size // 2 for size in kernel.shape[:2]]
            padding = [[0, 0], *([half, max(half - 1, 0)] for half in halves), [0, 0]]
        # A transposed convolution runs over its kernel backwards.
        kernel = tf.transpose(tf.reverse(kernel, [0, 1]), (0, 1, 3, 2))
        shape = [batch, 2 * rows, 2 * cols, kernel.shape[2]]
        outputs = tf.nn.conv2d_transpose(inputs, kernel, shape, strides=2, padding=padding)
        # Known without an op: TensorFlow Lite has none that checks shapes.
        outputs.set_shape(self.compute_output_shape(inputs.shape))
        return outputs

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, rows, cols, _ = tuple(input_shape)
        doubled = (size if size is None else 2 * size for size in (rows, cols))
        return (batch, *doubled, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "upsampling": self.upsampling}


@keras.saving.register_keras_serializable(package="tf_diffaug")
class DownsampledConv2D(_ResampledConv2D):
    """A convolution, then the mean of each 2 × 2 pixels, as one convolution of stride 2.

    Args:
        filters: output channels.
        kernel_size: odd height and width of the kernel, which is that of the plain convolution.
        padding: only "same".
        **kwargs: as of `keras.layers.Conv2D`.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels), of even height and width.

    Returns floats of shape (batch, height / 2, width / 2, filters).

    Raises:
        ValueError: for an even kernel, strides, dilation, groups or another padding or format, or
            an odd height or width.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(inputs, 0.25 * _boxed(kernel), strides=2, padding="SAME")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, rows, cols, _ = tuple(input_shape)
        for size in (rows, cols):
            if size is not None and size % 2:
                raise ValueError(
                    f"Height and width must be even. Received: input_shape={tuple(input_shape)}."
                )
        halved = (size if size is None else size // 2 for size in (rows, cols))
        return (batch, *halved, self.filters)

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        super().build(input_shape)


def _boxed(kernel: tf.Tensor) -> tf.Tensor:
    """The full convolution of each k × k plane with a 2 × 2 box of ones."""
    rows, cols = (np.eye(size + 1, size) + np.eye(size + 1, size, -1) for size in kernel.shape[:2])
    # As a product of matrices it is one pass over the kernel, forward and backward.
    box = tf.constant(np.kron(rows, cols), kernel.dtype)
    planes = tf.reshape(kernel, (box.shape[1], -1))
    return tf.reshape(tf.matmul(box, planes), (rows.shape[0], cols.shape[0], *kernel.shape[2:]))
