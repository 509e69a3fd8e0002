"""A grouped convolution that has gradients on every device.

TensorFlow's `Conv2D` takes a kernel of fewer input channels than the images have, and GPUs, TPUs
and XLA differentiate it. On a CPU its gradients exist in oneDNN alone: in float32 and bfloat16,
where TensorFlow was built with it and `TF_ENABLE_ONEDNN_OPTS` is not 0. Anything else ends in
"Gradients for grouped convolutions are not supported on CPU" (tensorflow issues 51825, 53631).
There the channels are split, neighbours joined, and each part is a dense convolution of its own.

`benchmarks/grouped_convolution.py` holds both beside other forms.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

# Groups are joined up to as many channels: a dense kernel of blocks and zeros.
JOINED_CHANNELS = 32


@keras.saving.register_keras_serializable(package="tf_diffaug")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with `groups`, differentiable as often as one likes on CPU, GPU, TPU.

    Each group of the output's channels sees one group of the input's. The kernel has the shape
    (height, width, channels / groups, filters), as Keras has it.

    Args:
        filters: output channels, a multiple of `groups`.
        kernel_size: height and width of the kernel.
        groups: how many groups; the input's channels are a multiple of it too.
        padding: "same" or "valid".
        **kwargs: as of `keras.layers.Conv2D`.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels).

    Raises:
        ValueError: if channels or filters are no multiple of `groups`, or for channels_first.

    Example:

    >>> import tensorflow as tf
    >>> GroupedConv2D(6, groups=3)(tf.ones((2, 8, 8, 9))).shape
    TensorShape([2, 8, 8, 6])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any = 3,
        *,
        groups: int,
        padding: str = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, groups=groups, padding=padding, **kwargs)
        if self.data_format != "channels_last":
            raise ValueError(
                "GroupedConv2D takes images with their channels last. "
                f"Received: data_format={self.data_format!r}."
            )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # Keras 2 compiles the convolution by XLA where there are groups, which a CPU pays for.
        outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias:
            bias = tf.cast(tf.convert_to_tensor(self.bias), outputs.dtype)
            outputs = tf.nn.bias_add(outputs, bias)
        return outputs if self.activation is None else self.activation(outputs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        inputs, kernel = tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel)
        convolve = functools.partial(
            tf.nn.conv2d,
            strides=self.strides,
            padding=self.padding.upper(),
            dilations=self.dilation_rate,
        )
        if self.groups == 1 or _is_differentiable(inputs):
            return convolve(inputs, kernel)
        return separately(inputs, kernel, self.groups, convolve=convolve)


def separately(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    groups: int,
    *,
    convolve: Any,
    joined_channels: int = JOINED_CHANNELS,
) -> tf.Tensor:
    """A grouped convolution as several dense ones.

    Args:
        inputs: floats of shape (batch, height, width, channels).
        kernel: of shape (height, width, channels / groups, filters).
        groups: how many.
        convolve: a dense convolution of inputs and kernel.
        joined_channels: groups of fewer input channels are joined up to so many.
    """
    rows, cols, channels, filters = kernel.shape
    wanted = max(1, joined_channels // channels)
    joined = max(count for count in range(1, wanted + 1) if groups % count == 0)
    parts = groups // joined
    blocks = tf.reshape(kernel, (rows, cols, channels, parts, joined, filters // groups))
    # Between two groups of a part the kernel is 0.
    own = tf.eye(joined, dtype=kernel.dtype)
    dense = tf.einsum("hwcpjo,ij->phwicjo", blocks, own)
    dense = tf.reshape(dense, (parts, rows, cols, joined * channels, filters // parts))
    pairs = zip(tf.split(inputs, parts, axis=-1), tf.unstack(dense), strict=True)
    return tf.concat([convolve(one, own_kernel) for one, own_kernel in pairs], axis=-1)


def _is_differentiable(inputs: tf.Tensor) -> bool:
    """Whether the device that the inputs are for has the gradients of the one operation."""
    device = inputs.device or ("" if tf.config.list_logical_devices("GPU") else "CPU")
    return "CPU" not in device.upper() or _cpu_has_gradients(inputs.dtype.name)


@functools.cache
def _cpu_has_gradients(dtype: str) -> bool:
    """Tries it: which builds and settings of TensorFlow have them is nowhere to be asked."""
    with tf.init_scope(), tf.device("CPU"):
        try:
            # Not by a tape: inside an init_scope it records nothing.
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=(1, 3, 3, 4),
                filter=tf.ones((3, 3, 2, 4), dtype),
                out_backprop=tf.ones((1, 3, 3, 4), dtype),
                strides=(1, 1, 1, 1),
                padding="SAME",
            )
        # The first by TensorFlow 2.15, the second by 2.21.
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
            return False
    return True
