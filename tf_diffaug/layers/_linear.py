"""Keras' linear layers with a kernel that is handed to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def bias_format(layer: keras.layers.Layer) -> str:
    """Where the channels of a layer's outputs are, in the words of `tf.nn.bias_add`."""
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    return "NC..." if channels_first else "N...C"


def _dense(layer: keras.layers.Layer, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    del layer
    if inputs.shape.rank == 2:
        return tf.matmul(inputs, kernel)
    return tf.tensordot(inputs, kernel, [[-1], [0]])


def _convolution(layer: keras.layers.Layer, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return layer.convolution_op(inputs, kernel)


def _transposed(layer: keras.layers.Layer, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`tf.nn.conv2d_transpose` with the output size that Keras gives."""
    shape = tf.shape(inputs)
    first = layer.data_format == "channels_first"
    rows_cols = (2, 3) if first else (1, 2)
    sizes = [
        shape[axis] * stride + (max(size - stride, 0) if layer.padding == "valid" else 0)
        for axis, stride, size in zip(rows_cols, layer.strides, layer.kernel_size, strict=True)
    ]
    channels = [layer.filters]
    return tf.nn.conv2d_transpose(
        inputs,
        kernel,
        [shape[0], *channels, *sizes] if first else [shape[0], *sizes, *channels],
        strides=layer.strides,
        padding=layer.padding.upper(),
        data_format="NCHW" if first else "NHWC",
    )


# In this order: the first is a subclass of the second in Keras 2.
_KINDS = (
    (keras.layers.Conv2DTranspose, _transposed, -2),
    (keras.layers.Conv1D, _convolution, -1),
    (keras.layers.Conv2D, _convolution, -1),
    (keras.layers.Conv3D, _convolution, -1),
    (keras.layers.Dense, _dense, -1),
    (keras.layers.Embedding, None, -1),
)


def linear_part(layer: Any) -> tuple[Callable | None, int]:
    """The function that applies a kernel as `layer` would, and the kernel's output axis.

    Raises:
        ValueError: for a layer of another kind, or with an option that the function has not.
    """
    kinds = [
        (product, out_axis)
        for kind, product, out_axis in _KINDS
        if isinstance(layer, kind) and type(layer).call is kind.call
    ]
    if not kinds:
        names = ", ".join(kind.__name__ for kind, *_ in _KINDS)
        raise ValueError(f"The wrapped layer must be one of {names}. Received: layer={layer!r}.")
    product, out_axis = kinds[0]
    unsupported = {
        "activity_regularizer": getattr(layer, "activity_regularizer", None) is not None,
        "padding": getattr(layer, "padding", None) == "causal",
        "output_padding": getattr(layer, "output_padding", None) is not None,
        "dilation_rate": product is _transposed and set(layer.dilation_rate) != {1},
        "mask_zero": getattr(layer, "mask_zero", False),
    }
    for name, used in unsupported.items():
        if used:
            raise ValueError(
                f"`{name}` of the wrapped layer is not supported. "
                f"Received: {name}={getattr(layer, name)!r}."
            )
    return product, out_axis
