"""Batch normalisation over the global batch (Ioffe & Szegedy, 2015, arXiv 1502.03167)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug.layers.spectral_norm import hold_power_iteration


@keras.saving.register_keras_serializable(package="tf_diffaug")
class BatchNorm(keras.layers.Layer):
    """Normalises each channel by the mean and variance of the whole batch, over all replicas.

    Statistics and weights are float32 under mixed precision (float64 for float64 variables).
    One replica uses TensorFlow's fused kernel. Several in sync all-reduce their sums, so that two
    replicas compute, forward and backward, what one would on the concatenated batch; replicas may
    hold different numbers of images, at least one of them some.

    The images are divided by the batch's biased variance; the moving variance averages the
    unbiased one (n / (n - 1) times it, n = the global batch times the positions), for every rank
    and every number of replicas. `trainable = False` freezes `gamma` and `beta` and nothing else.

    Args:
        momentum: of the moving averages; 0.9 in compare_gan's SNDCGAN.
        epsilon: added to the variance; 1e-5 there.
        affine: whether there are a trained gain `gamma` and bias `beta`, or none (1 and 0).

    Call arguments:
        inputs: floats of shape (batch, ..., channels), of rank 2 or more.
        training: True uses the batch's statistics and moves the averages, False uses the averages.
            Inside `batch_statistics` both use the batch's and move nothing. Inside
            `standing_statistics` the averages are over the batches seen there.

    Example:

    >>> import tensorflow as tf
    >>> layer = BatchNorm()
    >>> layer(tf.random.stateless_normal((8, 4, 4, 3), seed=(0, 1)), training=True).shape
    TensorShape([8, 4, 4, 3])
    """

    def __init__(
        self,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        *,
        affine: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"`momentum` must be in [0, 1]. Received: momentum={momentum}.")
        if epsilon <= 0.0:
            raise ValueError(f"`epsilon` must be positive. Received: epsilon={epsilon}.")
        self.momentum = momentum
        self.epsilon = epsilon
        self.affine = affine
        # A count, not a flag: replicas enter and leave the context one after the other.
        self._batch_statistics_uses = 0
        self._standing = _Standing()

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                f"The number of channels must be known. Received: input_shape={input_shape}."
            )
        dtype = "float64" if self.variable_dtype == "float64" else "float32"
        shape = (channels,)
        if self.affine:
            self.gamma = _keras.add_weight(self, "gamma", shape, dtype=dtype, initializer="ones")
            self.beta = _keras.add_weight(self, "beta", shape, dtype=dtype, initializer="zeros")
        self.moving_mean = _keras.add_state_weight(
            self, "moving_mean", shape, dtype=dtype, initializer="zeros"
        )
        self.moving_variance = _keras.add_state_weight(
            self, "moving_variance", shape, dtype=dtype, initializer="ones"
        )
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        gamma, beta = self._gain_and_bias()
        frozen = self._batch_statistics_uses > 0
        if not training and not frozen:
            mean = tf.convert_to_tensor(self.moving_mean)
            variance = tf.convert_to_tensor(self.moving_variance)
            return _normalize(inputs, mean, variance, gamma, beta, self.epsilon)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            mean, variance, count = _global_moments(inputs, gamma.dtype, replica)
            outputs = _normalize(inputs, mean, variance, gamma, beta, self.epsilon)
            variance *= count / tf.maximum(count - 1.0, 1.0)
        else:
            outputs, mean, variance = _fused(inputs, gamma, beta, self.epsilon)
        if not frozen:
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "affine": self.affine,
        }

    def _gain_and_bias(self) -> tuple[tf.Tensor, tf.Tensor]:
        if self.affine:
            return tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        mean = tf.convert_to_tensor(self.moving_mean)
        return tf.ones(mean.shape, mean.dtype), tf.zeros(mean.shape, mean.dtype)

    def _move(self, average: tf.Variable, value: tf.Tensor) -> None:
        previous = tf.convert_to_tensor(average)
        rate = 1.0 - self.momentum
        if self._standing.indices:
            rate = 1.0 / (tf.cast(self._standing.indices[-1], previous.dtype) + 1.0)
        average.assign(previous + rate * (tf.stop_gradient(value) - previous))


class _Standing:
    """The batch numbers of the `standing_statistics` that a layer is in.

    A class of its own, since Keras wraps a list. Replicas enter and leave one after the other, with
    the same number each.
    """

    def __init__(self) -> None:
        self.indices: list[int | tf.Tensor] = []


@contextlib.contextmanager
def batch_statistics(network: keras.layers.Layer) -> Iterator[None]:
    """Inside, every `BatchNorm` of a network uses the batch's statistics and updates nothing.

    This is how the published BigGAN FIDs were measured (DiffAugment's repository, `G_eval_mode`
    off). The choice is made when a graph is traced: enter the context inside a `tf.function`, not
    around it, and do not rely on `Model.predict`, which keeps the graph that it traced first.

    Args:
        network: a layer or model, searched at any depth.

    Example:

    >>> import keras, tensorflow as tf
    >>> network = keras.Sequential([keras.Input((3,)), BatchNorm()])
    >>> with batch_statistics(network):
    ...     outputs = network(tf.constant([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]), training=False)
    """
    layers = _keras.sublayers(network, BatchNorm)
    for layer in layers:
        layer._batch_statistics_uses += 1
    try:
        yield
    finally:
        for layer in layers:
            layer._batch_statistics_uses -= 1


@contextlib.contextmanager
def standing_statistics(network: keras.layers.Layer, index: int | tf.Tensor) -> Iterator[None]:
    """Inside, a call with `training=True` averages the statistics of batches 0 to `index`.

    BigGAN's standing statistics (Brock et al., 2019, arXiv 1809.11096):
    after a number of forward passes on fresh latents the moving averages are the plain means of the
    batches' means and variances, for `training=False` to use. Run batches 0, 1, 2, ... in order;
    batch 0 forgets what was there, so do it on a copy of a network that still trains. The author's
    code averages biased variances; here they are unbiased, as the moving ones.

    Like `batch_statistics` it belongs inside a `tf.function`, not around it. With `index` a tensor
    one graph serves every batch.

    Args:
        network: a layer or model, searched at any depth.
        index: the number of this batch, from 0; a scalar integer, the same on all replicas.

    Example:

    >>> import keras, tensorflow as tf
    >>> network = keras.Sequential([keras.Input((1,)), BatchNorm()])
    >>> for index, batch in enumerate(([[1.0], [3.0]], [[5.0], [7.0]])):
    ...     with standing_statistics(network, index):
    ...         _ = network(tf.constant(batch), training=True)
    >>> network.layers[0].moving_mean.numpy()
    array([4.], dtype=float32)
    """
    layers = _keras.sublayers(network, BatchNorm)
    for layer in layers:
        layer._standing.indices.append(index)
    try:
        with hold_power_iteration(network):  # its passes are no updates
            yield
    finally:
        for layer in layers:
            layer._standing.indices.pop()


def _fused(
    inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Outputs, mean and unbiased variance of the local batch."""
    if gamma.dtype == tf.float64:
        mean, variance, count = _moments(inputs, gamma.dtype)
        outputs = _normalize(inputs, mean, variance, gamma, beta, epsilon)
        return outputs, mean, variance * count / tf.maximum(count - 1.0, 1.0)
    is_rank_4 = inputs.shape.rank == 4
    images = inputs if is_rank_4 else tf.reshape(inputs, (-1, 1, 1, inputs.shape[-1]))
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        images, gamma, beta, epsilon=epsilon, is_training=True
    )
    if not is_rank_4:
        outputs = tf.ensure_shape(tf.reshape(outputs, tf.shape(inputs)), inputs.shape)
    return outputs, mean, variance


def _normalize(
    inputs: tf.Tensor,
    mean: tf.Tensor,
    variance: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    epsilon: float,
) -> tf.Tensor:
    outputs = tf.nn.batch_normalization(
        tf.cast(inputs, gamma.dtype), mean, variance, beta, gamma, epsilon
    )
    return tf.cast(outputs, inputs.dtype)


def _sums(inputs: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    inputs = tf.cast(inputs, dtype)
    axes = list(range(inputs.shape.rank - 1))
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), dtype)
    return tf.stack([tf.reduce_sum(inputs, axes), tf.reduce_sum(inputs**2, axes)]), count


def _moments(inputs: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    sums, count = _sums(inputs, dtype)
    return *_from_sums(sums, count), count


def _global_moments(
    inputs: tf.Tensor, dtype: tf.DType, replica: tf.distribute.ReplicaContext
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Mean, biased variance and count over all replicas, differentiable."""
    sums, count = _sums(inputs, dtype)
    flat = replica.all_reduce(
        tf.distribute.ReduceOp.SUM, tf.concat([tf.reshape(sums, [-1]), [count]], 0)
    )
    sums, count = tf.reshape(flat[:-1], tf.shape(sums)), flat[-1]
    return *_from_sums(sums, count), count


def _from_sums(sums: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    mean = sums[0] / count
    return mean, tf.nn.relu(sums[1] / count - mean**2)
