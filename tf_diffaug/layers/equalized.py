"""Dense and convolution layers with an equalised learning rate (arXiv 1710.10196, section 4.1).

Weights start as N(0, 1) and are scaled by 1 / sqrt(fan-in) where they are used, so that an
optimiser such as Adam moves all layers at one relative speed. StyleGAN2 uses no other kind.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug.layers.resample import blur, downsample

# NVIDIA's fused_bias_act.py, 'lrelu': the gain keeps the second moment of a unit normal near 1.
LEAK = 0.2
GAIN = math.sqrt(2.0)


class _Equalized(keras.layers.Layer):
    """A kernel and a bias; the output's factor and the activation's gain in one number."""

    def __init__(
        self,
        *,
        use_bias: bool,
        activate: bool,
        gain: float,
        lr_multiplier: float,
        bias_init: float,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if lr_multiplier <= 0.0:
            raise ValueError(
                f"`lr_multiplier` must be positive. Received: lr_multiplier={lr_multiplier}."
            )
        self.use_bias = use_bias
        self.activate = activate
        self.gain = gain
        self.lr_multiplier = lr_multiplier
        self.bias_init = bias_init
        self.seed = seed

    def _add_weights(self, kernel_shape: tuple[int, ...]) -> None:
        dtype = self.variable_dtype
        self.kernel = _keras.add_weight(
            self,
            "kernel",
            kernel_shape,
            dtype=dtype,
            initializer=keras.initializers.RandomNormal(
                stddev=1.0 / self.lr_multiplier, seed=self.seed
            ),
        )
        self.bias = None
        if self.use_bias:
            initial = keras.initializers.Constant(self.bias_init / self.lr_multiplier)
            self.bias = _keras.add_weight(
                self, "bias", kernel_shape[-1:], dtype=dtype, initializer=initial
            )
        # leaky_relu(g x) = g leaky_relu(x): the gain costs no pass over the activations.
        self._factor = self.gain * (GAIN if self.activate else 1.0)
        self._coefficient = (
            self._factor * self.lr_multiplier / math.sqrt(math.prod(kernel_shape[:-1]))
        )

    def _finish(self, outputs: tf.Tensor) -> tf.Tensor:
        if self.bias is not None:
            bias = tf.convert_to_tensor(self.bias) * (self._factor * self.lr_multiplier)
            outputs = tf.nn.bias_add(outputs, tf.cast(bias, outputs.dtype))
        return tf.nn.leaky_relu(outputs, LEAK) if self.activate else outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "activate": self.activate,
            "gain": self.gain,
            "lr_multiplier": self.lr_multiplier,
            "bias_init": self.bias_init,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="tf_diffaug")
class EqualizedDense(_Equalized):
    """`activation(x W c + b)` with c = lr_multiplier / sqrt(length of x).

    W starts as N(0, 1 / lr_multiplier²), and b as `bias_init`, stored divided by the multiplier.

    Args:
        units: length of the output.
        use_bias: whether there is a bias.
        activate: whether a leaky ReLU of slope 0.2 follows, times sqrt(2).
        gain: factor on the output.
        lr_multiplier: how fast kernel and bias learn, relative to others; 0.01 in the mapping
            network of StyleGAN2.
        bias_init: the bias that the layer starts with.
        seed: seed of the initial kernel. None draws anew each time.

    Call arguments:
        inputs: floats of shape (batch, length).

    Raises:
        ValueError: for a size below 1 or a multiplier that is not positive.

    Example:

    >>> import tensorflow as tf
    >>> EqualizedDense(4, activate=True)(tf.ones((2, 3))).shape
    TensorShape([2, 4])
    """

    def __init__(
        self,
        units: int,
        *,
        use_bias: bool = True,
        activate: bool = False,
        gain: float = 1.0,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            use_bias=use_bias,
            activate=activate,
            gain=gain,
            lr_multiplier=lr_multiplier,
            bias_init=bias_init,
            seed=seed,
            **kwargs,
        )
        if units < 1:
            raise ValueError(f"`units` must be at least 1. Received: units={units}.")
        self.units = units

    def build(self, input_shape: Any) -> None:
        self._add_weights((input_shape[-1], self.units))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), self.compute_dtype)
        outputs = tf.matmul(tf.cast(inputs, self.compute_dtype), kernel)
        return self._finish(outputs * self._coefficient)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tf_diffaug")
class EqualizedConv2D(_Equalized):
    """A convolution that keeps the size or, low-pass filtered first, halves it.

    The kernel is scaled by 1 / sqrt(kernel_size² · input channels). Padding is with zeros.

    Args:
        filters: channels of the output.
        kernel_size: height and width of the kernel, odd.
        down: whether the output has half the height and width (`conv_downsample_2d` of NVIDIA's
            upfirdn_2d.py): filtered by [1, 3, 3, 1], then convolved with stride 2.
        use_bias: whether there is a bias.
        activate: whether a leaky ReLU of slope 0.2 follows, times sqrt(2).
        gain: factor on the output.
        seed: seed of the initial kernel. None draws anew each time.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels); even height and width for `down`.

    Raises:
        ValueError: for a size below 1 or an even kernel.

    Example:

    >>> import tensorflow as tf
    >>> EqualizedConv2D(4, 3, down=True)(tf.ones((2, 8, 8, 3))).shape
    TensorShape([2, 4, 4, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        down: bool = False,
        use_bias: bool = True,
        activate: bool = False,
        gain: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            use_bias=use_bias,
            activate=activate,
            gain=gain,
            lr_multiplier=1.0,
            bias_init=0.0,
            seed=seed,
            **kwargs,
        )
        check_convolution(filters, kernel_size)
        self.filters = filters
        self.kernel_size = kernel_size
        self.down = down

    def build(self, input_shape: Any) -> None:
        self._add_weights((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernel) * self._coefficient
        kernel = tf.cast(kernel, self.compute_dtype)
        inputs = tf.cast(inputs, self.compute_dtype)
        if not self.down:
            outputs = tf.nn.conv2d(inputs, kernel, 1, "SAME")
        elif self.kernel_size == 1:
            # Only the pixels that the stride keeps are filtered.
            outputs = tf.nn.conv2d(downsample(inputs), kernel, 1, "VALID")
        else:
            side = (self.kernel_size - 1) // 2
            blurred = blur(inputs, padding=(1 + side, 1 + side))
            outputs = tf.nn.conv2d(blurred, kernel, 2, "VALID")
        return self._finish(outputs)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, *sizes, _ = input_shape
        return (batch, *(size // 2 if self.down else size for size in sizes), self.filters)

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "down": self.down,
        }
        del config["lr_multiplier"], config["bias_init"]
        return config


def check_convolution(filters: int, kernel_size: int) -> None:
    """Raises ValueError for fewer than one filter or a kernel that has no centre."""
    if filters < 1:
        raise ValueError(f"`filters` must be at least 1. Received: filters={filters}.")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}.")
