"""Self-attention over the positions of a feature map (Zhang et al., 2019, arXiv 1805.08318).

The block as BigGAN has it (both the author's code and compare_gan): the keys and values are pooled
to a quarter of the positions, and no map has a bias.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug.layers._initializers import seeded
from tf_diffaug.layers.spectral_norm import SpectralNormalization
from tf_diffaug.random import derive_int


@keras.saving.register_keras_serializable(package="tf_diffaug")
class SelfAttention(keras.layers.Layer):
    """inputs + gain · o(softmax(theta · phiᵀ) · g), with a trained gain that starts at 0.

    theta and phi have channels / 8 channels, g has channels / 2 (at least one each). All four maps
    are 1 × 1 convolutions with spectral normalisation; phi and g are max-pooled, 2 × 2. The
    softmax is in float32 under mixed precision.

    Args:
        kernel_initializer: of the four maps.
        seed: seed of their initial values. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: floats of shape (batch, height, width, channels), of even height and width.

    Raises:
        ValueError: if height, width or channels are unknown, or the first two are not even.

    Example:

    >>> import tensorflow as tf
    >>> SelfAttention()(tf.ones((2, 8, 8, 16))).shape
    TensorShape([2, 8, 8, 16])
    """

    def __init__(
        self, *, kernel_initializer: Any = "orthogonal", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        _, *sizes, channels = tuple(input_shape)
        if channels is None or any(size is None or size % 2 for size in sizes):
            raise ValueError(
                "Height and width must be known and even, the number of channels known. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.theta = self._map(narrow, "theta", 0)
        self.phi = self._map(narrow, "phi", 2)
        self.g = self._map(half, "g", 4)
        self.o = self._map(channels, "o", 6)
        for layer in (self.theta, self.phi, self.g):
            layer.build((None, *sizes, channels))
        self.o.build((None, *sizes, half))
        dtype = "float64" if self.variable_dtype == "float64" else "float32"
        self.gain = _keras.add_weight(self, "gain", (), dtype=dtype, initializer="zeros")
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, rows, cols, _ = inputs.shape
        queries = _flat(self.theta(inputs))
        keys = _flat(tf.nn.max_pool2d(self.phi(inputs), 2, 2, "VALID"))
        values = _flat(tf.nn.max_pool2d(self.g(inputs), 2, 2, "VALID"))
        gain = tf.convert_to_tensor(self.gain)
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), gain.dtype)
        attended = tf.matmul(tf.cast(tf.nn.softmax(scores), values.dtype), values)
        outputs = self.o(tf.reshape(attended, (-1, rows, cols, values.shape[-1])))
        return inputs + tf.cast(gain, inputs.dtype) * outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }

    def _map(self, filters: int, name: str, index: int) -> SpectralNormalization:
        layer = keras.layers.Conv2D(
            filters,
            1,
            use_bias=False,
            kernel_initializer=seeded(self.kernel_initializer, self.seed, index),
            dtype=self.dtype_policy.name,
            name=name,
        )
        seed = derive_int(self.seed or 0, "init", index=index + 1)
        return SpectralNormalization(layer, seed=seed, name=name)


def _flat(maps: tf.Tensor) -> tf.Tensor:
    return tf.reshape(maps, (-1, maps.shape[1] * maps.shape[2], maps.shape[3]))
