"""Modulated convolution (StyleGAN2, arXiv 1912.04958, section 2.2)."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug.layers.equalized import EqualizedDense, check_convolution
from tf_diffaug.layers.resample import blur
from tf_diffaug.random import derive_int

# NVIDIA's networks_stylegan2.py, `modulated_conv2d_layer`.
EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="tf_diffaug")
class ModulatedConv2D(keras.layers.Layer):
    """A convolution whose kernel each image scales by input channel and, demodulated, by output.

    Image b is convolved with w_b[i, o] = d_b[o] s_b[i] w[i, o], where s_b is an affine function of
    its style that starts at 1 + N(0, |style|² / length) and d_b[o] = 1 / |s_b w[:, o]|: outputs
    have unit variance if inputs have. It is computed by scaling the activations on the way in and
    out, which equals the convolution with w_b and needs no grouped convolution, of which CPUs have
    none. Styles and their scales are float32 under mixed precision.

    There is no bias and no activation: in StyleGAN2 the noise comes before them.

    Args:
        filters: channels of the output.
        kernel_size: height and width of the kernel, odd; 3 with `up`.
        up: whether the output has twice the height and width (`upsample_conv_2d` of NVIDIA's
            upfirdn_2d.py): a transposed convolution of stride 2, then the [1, 3, 3, 1] filter.
        demodulate: whether outputs are scaled back to unit variance.
        gain: factor on the output.
        seed: seed of the initial weights, of which there are two. None draws anew each time.

    Call arguments:
        inputs: a pair, of images, floats of shape (batch, height, width, channels) of which the
            last three are known, and styles, floats of shape (batch, length).

    Raises:
        ValueError: for a size below 1, an even kernel, or `up` with a kernel other than 3.

    Example:

    >>> import tensorflow as tf
    >>> ModulatedConv2D(4, 3, up=True)((tf.ones((2, 8, 8, 3)), tf.ones((2, 5)))).shape
    TensorShape([2, 16, 16, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        up: bool = False,
        demodulate: bool = True,
        gain: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Styles keep their own precision; inputs are cast below.
        super().__init__(autocast=False, **kwargs)
        check_convolution(filters, kernel_size)
        if up and kernel_size != 3:
            raise ValueError(f"`up` needs a kernel of 3. Received: kernel_size={kernel_size}.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.up = up
        self.demodulate = demodulate
        self.gain = gain
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        images_shape, styles_shape = input_shape
        channels, size = images_shape[-1], self.kernel_size
        # A transposed convolution takes its kernel with the output's channels first.
        ends = (self.filters, channels) if self.up else (channels, self.filters)
        self.kernel = _keras.add_weight(
            self,
            "kernel",
            (size, size, *ends),
            dtype=self.variable_dtype,
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self._seed_of(0)),
        )
        self.affine = EqualizedDense(
            channels, bias_init=1.0, seed=self._seed_of(1), dtype=self.variable_dtype, name="affine"
        )
        self.affine.build((None, styles_shape[-1]))
        self._coefficient = 1.0 / math.sqrt(size**2 * channels)
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        images, styles = inputs
        kernel = tf.convert_to_tensor(self.kernel)
        scales = self.affine(tf.cast(styles, kernel.dtype)) * self._coefficient
        outputs = self._convolve(
            _scale(tf.cast(images, self.compute_dtype), scales),
            tf.cast(kernel, self.compute_dtype),
        )
        if self.demodulate:
            squares = _sum_of_squares(kernel)
            variances = tf.matmul(scales**2, squares, transpose_b=self.up)
            return _scale(outputs, tf.math.rsqrt(variances + EPSILON) * self.gain)
        return outputs if self.gain == 1.0 else outputs * self.gain

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, *sizes, _ = input_shape[0]
        return (batch, *(2 * size if self.up else size for size in sizes), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "up": self.up,
            "demodulate": self.demodulate,
            "gain": self.gain,
            "seed": self.seed,
        }

    def _seed_of(self, index: int) -> int | None:
        return None if self.seed is None else derive_int(self.seed, "init", index=index)

    def _convolve(self, images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        if not self.up:
            return tf.nn.conv2d(images, kernel, 1, "SAME")
        _, height, width, _ = images.shape
        sizes = tf.stack([tf.shape(images)[0], 2 * height + 1, 2 * width + 1, self.filters])
        outputs = tf.nn.conv2d_transpose(images, kernel, sizes, 2, "VALID")
        outputs.set_shape((images.shape[0], 2 * height + 1, 2 * width + 1, self.filters))
        return blur(outputs, padding=(1, 1), gain=4.0)


def _scale(images: tf.Tensor, scales: tf.Tensor) -> tf.Tensor:
    return images * tf.cast(scales, images.dtype)[:, None, None, :]


def _sum_of_squares(kernel: tf.Tensor) -> tf.Tensor:
    """Over height and width. Its gradient takes one pass over the kernel, not four."""

    @tf.custom_gradient
    def summed(values: tf.Tensor):
        return tf.reduce_sum(values**2, axis=(0, 1)), lambda upstream: values * (2.0 * upstream)

    return summed(kernel)
