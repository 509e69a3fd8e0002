"""BigGAN's residual blocks (Brock et al., 2019, arXiv 1809.11096, appendix B).

What the published code computes, with less arithmetic: a 1 × 1 shortcut commutes with nearest
upsampling and with average pooling, so that it runs at the lower resolution, and a 3 × 3
convolution at a resampled resolution is `UpsampledConv2D` or `DownsampledConv2D`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.layers import DownsampledConv2D, UpsampledConv2D

# Makes a spectrally normalised convolution from its class, filters, kernel size and name.
MakeConv = Callable[..., keras.layers.Layer]


class GeneratorBlock(keras.layers.Layer):
    """norm, ReLU, upsampling, 3 × 3, norm, ReLU, 3 × 3, beside an upsampled 1 × 1 shortcut.

    Args:
        filters: output channels.
        make_conv: makes a convolution.
        make_norm: makes a batch norm from its name, conditional or not.
        upsampling: of both branches, as in `UpsampledConv2D`.

    Call arguments:
        hidden: floats of shape (batch, height, width, channels).
        condition: what a conditional norm takes beside them, or None for a plain one.
        training: as in `BatchNorm`.

    Returns floats of shape (batch, 2 · height, 2 · width, filters).
    """

    def __init__(
        self,
        filters: int,
        *,
        make_conv: MakeConv,
        make_norm: Callable[[str], keras.layers.Layer],
        upsampling: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.upsampling = upsampling
        self.norm1 = make_norm("norm1")
        self.conv1 = make_conv(UpsampledConv2D, filters, 3, upsampling=upsampling, name="conv1")
        self.norm2 = make_norm("norm2")
        self.conv2 = make_conv(keras.layers.Conv2D, filters, 3, padding="same", name="conv2")
        if upsampling == "zeros":
            # Its bias stands on the zeros too, so that it does not commute with the upsampling.
            self.shortcut = make_conv(
                UpsampledConv2D, filters, 1, upsampling=upsampling, name="shortcut"
            )
        else:
            self.shortcut = make_conv(keras.layers.Conv2D, filters, 1, name="shortcut")

    def build_for(self, shape: Any, condition_shape: Any) -> tuple[int | None, ...]:
        """Builds the layers, and returns the shape of the outputs."""
        _build_norm(self.norm1, shape, condition_shape)
        self.conv1.build(shape)
        self.shortcut.build(shape)
        shape = tuple(self.conv1.compute_output_shape(shape))
        _build_norm(self.norm2, shape, condition_shape)
        self.conv2.build(shape)
        self.built = True
        return shape

    def call(
        self, hidden: tf.Tensor, condition: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        def norm(layer: keras.layers.Layer, x: tf.Tensor) -> tf.Tensor:
            return layer(x if condition is None else (x, condition), training=training)

        outputs = self.conv1(tf.nn.relu(norm(self.norm1, hidden)))
        outputs = self.conv2(tf.nn.relu(norm(self.norm2, outputs)))
        if self.upsampling == "zeros":
            return outputs + self.shortcut(hidden)
        return add_upsampled(outputs, self.shortcut(hidden))


class DiscriminatorBlock(keras.layers.Layer):
    """Perhaps ReLU, 3 × 3, ReLU, 3 × 3 and perhaps average pooling, beside a shortcut.

    A norm stands behind the convolution and, as the pooling is a part of that, behind the pooling.

    Args:
        filters: output channels, and those between the convolutions (the "wide" block).
        make_conv: makes a convolution.
        begins_with_relu: whether there is a ReLU before the first convolution.
        downsample: whether to halve the resolution.
        shortcut: "conv" (1 × 1), "identity", or "none": no residual connection at all.
        make_norm: makes what stands behind a convolution from its name, None for nothing.

    Call arguments:
        hidden: floats of shape (batch, height, width, channels).

    Returns floats of shape (batch, height, width, filters), or half of height and width.
    """

    def __init__(
        self,
        filters: int,
        *,
        make_conv: MakeConv,
        begins_with_relu: bool,
        downsample: bool,
        shortcut: str,
        make_norm: Callable[[str], keras.layers.Layer | None] = lambda name: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.begins_with_relu = begins_with_relu
        self.downsample = downsample
        self.shortcut_kind = shortcut
        self.conv1 = make_conv(keras.layers.Conv2D, filters, 3, padding="same", name="conv1")
        last = DownsampledConv2D if downsample else keras.layers.Conv2D
        self.conv2 = make_conv(last, filters, 3, padding="same", name="conv2")
        self.norm1, self.norm2 = make_norm("norm1"), make_norm("norm2")
        self.norm_shortcut = None
        if shortcut == "conv":
            self.shortcut = make_conv(keras.layers.Conv2D, filters, 1, name="shortcut")
            self.norm_shortcut = make_norm("norm_shortcut")

    def build_for(self, shape: Any) -> tuple[int | None, ...]:
        """Builds the layers, and returns the shape of the outputs."""
        self.conv1.build(shape)
        if self.shortcut_kind == "conv":
            self.shortcut.build(shape)
        shape = tuple(self.conv1.compute_output_shape(shape))
        self.conv2.build(shape)
        shape = tuple(self.conv2.compute_output_shape(shape))
        for norm in (self.norm1, self.norm2, self.norm_shortcut):
            if norm is not None:
                norm.build(shape)
        self.built = True
        return shape

    def call(self, hidden: tf.Tensor) -> tf.Tensor:
        outputs = tf.nn.relu(hidden) if self.begins_with_relu else hidden
        outputs = _maybe(self.norm1, self.conv1(outputs))
        outputs = _maybe(self.norm2, self.conv2(tf.nn.relu(outputs)))
        if self.shortcut_kind == "none":
            return outputs
        if self.downsample:
            hidden = tf.nn.avg_pool2d(hidden, 2, 2, "VALID")
        if self.shortcut_kind == "conv":
            hidden = _maybe(self.norm_shortcut, self.shortcut(hidden))
        return outputs + hidden


def add_upsampled(large: tf.Tensor, small: tf.Tensor) -> tf.Tensor:
    """Adds a map, each pixel repeated 2 × 2, to one of twice its height and width.

    Joining the channels with themselves repeats a pixel along the width, and broadcasting repeats
    the rows: the whole has derivatives of every order, which nearest resizing has not.
    """
    rows, cols, channels = small.shape[1:]
    pairs = tf.reshape(large, (-1, 2, 2 * cols * channels))
    repeated = tf.reshape(tf.concat([small, small], -1), (-1, 1, 2 * cols * channels))
    return tf.reshape(pairs + repeated, (-1, 2 * rows, 2 * cols, channels))


def _maybe(layer: keras.layers.Layer | None, hidden: tf.Tensor) -> tf.Tensor:
    return hidden if layer is None else layer(hidden)


def _build_norm(layer: keras.layers.Layer, shape: Any, condition_shape: Any) -> None:
    layer.build(shape if condition_shape is None else (shape, condition_shape))
