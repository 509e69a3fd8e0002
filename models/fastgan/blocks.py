"""FastGAN's blocks (Liu et al., 2021, arXiv 2101.04775).

All convolutions are spectrally normalised and without a bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug.layers import BatchNorm

# Makes a spectrally normalised convolution from its class, filters, kernel size and name.
MakeConv = Callable[..., keras.layers.Layer]

# The authors' code: the leak of D's units, and the side of the map that an excitation squeezes.
LEAK = 0.2
SQUEEZED = 4


class GatedConv(keras.layers.Layer):
    """A convolution to twice the channels, noise if there is any, batch norm, gated linear units.

    Args:
        filters: output channels.
        kind: class of the convolution.
        size: height and width of its kernel.
        noisy: whether the same noise is added to all channels, times a weight that starts at 0.
        make_conv: makes a convolution.
        **options: of the convolution.

    Call arguments:
        hidden: floats (batch, height, width, channels).
        noise: floats (batch or 1, height, width, 1) as of the outputs, for a noisy one.
        training: as in `BatchNorm`.
    """

    def __init__(
        self,
        filters: int,
        kind: type,
        size: int,
        *,
        noisy: bool = False,
        make_conv: MakeConv,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.noisy = noisy
        self.conv = make_conv(kind, 2 * filters, size, name="conv", **(options or {}))
        self.norm = BatchNorm(dtype=self.dtype_policy.name, name="norm")

    def build_for(self, shape: Any) -> tuple[int | None, ...]:
        """Builds the layers, and returns the shape of the outputs."""
        self.conv.build(shape)
        if self.noisy:
            self.strength = _keras.add_weight(
                self, "strength", (), dtype=self.variable_dtype, initializer="zeros"
            )
        shape = tuple(self.conv.compute_output_shape(shape))
        self.norm.build(shape)
        self.built = True
        return (*shape[:-1], shape[-1] // 2)

    def call(
        self, hidden: tf.Tensor, noise: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        hidden = self.conv(hidden)
        if self.noisy:
            strength = tf.cast(tf.convert_to_tensor(self.strength), hidden.dtype)
            hidden += strength * tf.cast(noise, hidden.dtype)
        values, gates = tf.split(self.norm(hidden, training=training), 2, axis=-1)
        return values * tf.sigmoid(gates)


class SkipExcitation(keras.layers.Layer):
    """Skip-layer channel-wise excitation: a small map weighs a large one's channels.

    The small map is averaged to 4 × 4, a 4 × 4 convolution makes one pixel of it, then swish, a
    1 × 1 convolution and a sigmoid.

    Args:
        filters: channels of the large map.
        make_conv: makes a convolution.

    Call arguments:
        large: floats (batch, height, width, filters).
        small: floats (batch, side, side, channels), the side a multiple of 4.
    """

    def __init__(self, filters: int, *, make_conv: MakeConv, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.squeeze = make_conv(keras.layers.Conv2D, filters, SQUEEZED, name="squeeze")
        self.expand = make_conv(keras.layers.Conv2D, filters, 1, name="expand")

    def build_for(self, small_shape: Any) -> None:
        """Builds the layers."""
        self.squeeze.build((None, SQUEEZED, SQUEEZED, small_shape[-1]))
        self.expand.build((None, 1, 1, self.squeeze.layer.filters))
        self.built = True

    def call(self, large: tf.Tensor, small: tf.Tensor) -> tf.Tensor:
        factor = small.shape[1] // SQUEEZED
        if factor > 1:
            small = tf.nn.avg_pool2d(small, factor, factor, "VALID")
        return large * tf.sigmoid(self.expand(tf.nn.silu(self.squeeze(small))))


class LeakyConv(keras.layers.Layer):
    """A convolution, batch norm unless told otherwise, and leaky units.

    Args:
        filters: output channels.
        size: height and width of the kernel.
        stride: 1, or 2 to halve the map.
        norm: whether there is a batch norm.
        make_conv: makes a convolution.

    Call arguments:
        hidden: floats (batch, height, width, channels).
        training: as in `BatchNorm`.
    """

    def __init__(
        self,
        filters: int,
        size: int,
        stride: int = 1,
        *,
        norm: bool = True,
        make_conv: MakeConv,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conv = make_conv(
            keras.layers.Conv2D, filters, size, strides=stride, padding="same", name="conv"
        )
        self.norm = BatchNorm(dtype=self.dtype_policy.name, name="norm") if norm else None

    def build_for(self, shape: Any) -> tuple[int | None, ...]:
        """Builds the layers, and returns the shape of the outputs."""
        self.conv.build(shape)
        shape = tuple(self.conv.compute_output_shape(shape))
        if self.norm is not None:
            self.norm.build(shape)
        self.built = True
        return shape

    def call(self, hidden: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        hidden = self.conv(hidden)
        if self.norm is not None:
            hidden = self.norm(hidden, training=training)
        return tf.nn.leaky_relu(hidden, LEAK)


class ResidualDown(keras.layers.Layer):
    """Halves a map: the mean of two 4 × 4 and 3 × 3 convolutions and of a pooled 1 × 1 one.

    Args:
        filters: output channels.
        make_conv: makes a convolution.

    Call arguments: as of `LeakyConv`.
    """

    def __init__(self, filters: int, *, make_conv: MakeConv, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        common = {"make_conv": make_conv, "dtype": self.dtype_policy.name}
        self.down = LeakyConv(filters, 4, 2, name="down", **common)
        self.conv = LeakyConv(filters, 3, name="conv", **common)
        self.direct = LeakyConv(filters, 1, name="direct", **common)

    def build_for(self, shape: Any) -> tuple[int | None, ...]:
        """Builds the layers, and returns the shape of the outputs."""
        halved = self.down.build_for(shape)
        self.conv.build_for(halved)
        self.direct.build_for((*halved[:-1], shape[-1]))
        self.built = True
        return halved

    def call(self, hidden: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        outputs = self.conv(self.down(hidden, training=training), training=training)
        pooled = tf.nn.avg_pool2d(hidden, 2, 2, "VALID")
        return 0.5 * (outputs + self.direct(pooled, training=training))
