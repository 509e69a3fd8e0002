"""The parts of StyleGAN2's generator (Karras et al., 2020, arXiv 1912.04958)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug.labels import class_weights
from tf_diffaug.layers.equalized import GAIN, LEAK, EqualizedDense
from tf_diffaug.layers.modulated import ModulatedConv2D
from tf_diffaug.layers.resample import upsample

# All four from NVIDIA's networks_stylegan2.py: `G_mapping` and `G_main`.
MAPPING_LR_MULTIPLIER = 0.01
W_AVG_DECAY = 0.995
NORM_EPSILON = 1e-8
EMBEDDING_STDDEV = 1.0


class Mapping(keras.layers.Layer):
    """Latents to w: normalised, and through dense layers that learn at a hundredth of the rate.

    Labels are embedded in as many numbers as a latent has, N(0, 1) at first, and the two
    normalised together, as in NVIDIA's code. (DiffAugment's lets the embedding learn at a hundredth
    of the rate too.) All in float32 under mixed precision.

    Args:
        w_dim: length of w, and of all hidden layers.
        num_layers: how many dense layers.
        num_classes: number of classes, or None.
        seeds: a seed for each dense layer and one for the embedding; None draws anew.

    Call arguments:
        latents: of shape (batch, latent_dim).
        labels: int (batch,), if there are classes, or floats (batch, num_classes), the weight of
            each class.
        training: whether `w_avg`, the running mean of w over the global batch, moves.

    Returns w of shape (batch, w_dim).
    """

    def __init__(
        self,
        w_dim: int,
        num_layers: int,
        *,
        num_classes: int | None = None,
        seeds: list[int | None],
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.w_dim = w_dim
        self.num_classes = num_classes
        self._embedding_seed = seeds[num_layers]
        self.num_layers = num_layers
        for index, seed in enumerate(seeds[:num_layers]):
            layer = EqualizedDense(
                w_dim,
                activate=True,
                lr_multiplier=MAPPING_LR_MULTIPLIER,
                seed=seed,
                dtype=self.variable_dtype,
                name=f"dense{index}",
            )
            # Not a list: the checkpoints of Keras 3 do not see layers in one.
            setattr(self, layer.name, layer)

    def _dense(self) -> list[EqualizedDense]:
        return [getattr(self, f"dense{index}") for index in range(self.num_layers)]

    def build(self, input_shape: Any) -> None:
        latent_dim = length = input_shape[-1]
        if self.num_classes is not None:
            self.embedding = _keras.add_weight(
                self,
                "embedding",
                (self.num_classes, latent_dim),
                dtype=self.variable_dtype,
                initializer=keras.initializers.RandomNormal(
                    stddev=EMBEDDING_STDDEV, seed=self._embedding_seed
                ),
            )
            length = 2 * latent_dim
        for layer in self._dense():
            layer.build((None, length))
            length = self.w_dim
        self.w_avg = _keras.add_state_weight(
            self, "w_avg", (self.w_dim,), dtype=self.variable_dtype, initializer="zeros"
        )
        self.built = True

    def call(
        self,
        latents: tf.Tensor,
        labels: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        hidden = tf.cast(latents, self.variable_dtype)
        if labels is not None:
            # Not a gather, whose gradient is sparse.
            weights = class_weights(labels, self.num_classes, dtype=hidden.dtype)
            embedded = tf.matmul(weights, tf.convert_to_tensor(self.embedding))
            hidden = tf.concat([hidden, embedded], axis=1)
        square = tf.reduce_mean(hidden**2, axis=1, keepdims=True)
        hidden *= tf.math.rsqrt(square + NORM_EPSILON)
        for layer in self._dense():
            hidden = layer(hidden)
        if training:
            previous = tf.convert_to_tensor(self.w_avg)
            mean = _global_mean(tf.stop_gradient(hidden))
            self.w_avg.assign(previous + (1.0 - W_AVG_DECAY) * (mean - previous))
        return hidden


class StyledConv(keras.layers.Layer):
    """A modulated convolution, noise, a bias and a leaky ReLU times sqrt(2).

    The noise's strength is one number, learned and 0 at first.

    Call arguments:
        inputs: images (batch, height, width, channels), w (batch, w_dim) and noise of shape
            (batch or 1, height, width, 1) of the output.
    """

    def __init__(self, filters: int, *, up: bool = False, seed: int | None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        # leaky_relu(g x) = g leaky_relu(x): the gain costs no pass over the activations.
        self.conv = ModulatedConv2D(
            filters, 3, up=up, gain=GAIN, seed=seed, dtype=_policy(self), name="conv"
        )

    def build(self, input_shape: Any) -> None:
        self.conv.build(input_shape[:2])
        for name, shape in (("strength", ()), ("bias", (self.conv.filters,))):
            weight = _keras.add_weight(
                self, name, shape, dtype=self.variable_dtype, initializer="zeros"
            )
            setattr(self, name, weight)
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        images, w, noise = inputs
        outputs = self.conv((images, w))
        strength = tf.convert_to_tensor(self.strength) * GAIN
        outputs += tf.cast(noise * strength, outputs.dtype)
        bias = tf.cast(tf.convert_to_tensor(self.bias) * GAIN, outputs.dtype)
        return tf.nn.leaky_relu(tf.nn.bias_add(outputs, bias), LEAK)


class ToImage(keras.layers.Layer):
    """Features to image channels by a modulated 1x1 convolution, on top of a smaller image.

    Images are float32 under mixed precision, so that their sum over resolutions is.

    Call arguments:
        inputs: features (batch, height, width, channels) and w (batch, w_dim).
        smaller: images of half the size to double and add to, or None.
    """

    def __init__(self, channels: int, *, seed: int | None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.conv = ModulatedConv2D(
            channels, 1, demodulate=False, seed=seed, dtype=_policy(self), name="conv"
        )

    def build(self, input_shape: Any) -> None:
        self.conv.build(input_shape)
        self.bias = _keras.add_weight(
            self, "bias", (self.conv.filters,), dtype=self.variable_dtype, initializer="zeros"
        )
        self.built = True

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor], smaller: tf.Tensor | None = None
    ) -> tf.Tensor:
        images = tf.cast(self.conv(inputs), self.variable_dtype)
        images = tf.nn.bias_add(images, tf.convert_to_tensor(self.bias))
        return images if smaller is None else images + upsample(smaller)


def _policy(layer: keras.layers.Layer) -> str:
    return layer.dtype_policy.name


def _global_mean(values: tf.Tensor) -> tf.Tensor:
    """The mean over the batches of all replicas, which may differ in size."""
    count = tf.cast(tf.shape(values)[0], values.dtype)
    sums = tf.concat([tf.reduce_sum(values, axis=0), [count]], axis=0)
    replica = tf.distribute.get_replica_context()
    if replica is not None and replica.num_replicas_in_sync > 1:
        sums = replica.all_reduce(tf.distribute.ReduceOp.SUM, sums)
    return sums[:-1] / sums[-1]
