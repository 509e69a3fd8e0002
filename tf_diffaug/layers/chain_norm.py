"""CHAIN's adaptive root mean square normalisation (Ni & Koniusz, 2024, arXiv 2404.00521)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug import random as stateless
from tf_diffaug.layers.batch_views import KINDS, BatchViews, current_views


@keras.saving.register_keras_serializable(package="tf_diffaug")
class ChainNorm(keras.layers.Layer):
    """Divides some channels of some images by their root mean square, the smallest one staying.

    For a discriminator, after a convolution and before its activation. With psi the root mean
    square of a channel over a batch, and M = 1 with probability p for each image and channel, else
    0:

        x (1 - M) + M x / psi · min(psi)

    min(psi), over the channels, gets no gradient: no channel is made larger than it came, which is
    the layer's Lipschitz bound. p = 0 leaves all as it is. Nothing is trained; the
    `chain` regularizer moves p, and adds the term that keeps each channel's mean near 0.

    Inside `batch_views` each view has statistics of its own, by its kind: psi² is a running average
    over batches, and so is what its gradient says of psi, one for D's updates and one for G's (the
    authors' cumulative form, `Chain_forward`). Views of one kind follow each other, as if each had
    a pass. Elsewhere a batch is one, its psi its own (their `Chain_batch_forward`), and all
    derivatives are those of the formula: a gradient penalty takes these.

    Statistics are float32 under mixed precision (float64 for float64 variables), and over the
    images of all replicas.

    Three things differ from the authors' code: psi² is followed while p is 0 too, so that it is not
    the initial 1 when p rises; `epsilon` is in min(psi) as well as in psi, in both forms; and M = 1
    where a number of [0, 1) is below p, not at most p.

    Args:
        p: the probability at first.
        decay: of the running averages; 0.9 in the authors' code.
        epsilon: added to psi²; 1e-5 there.
        seed: of M, an integer; None draws one, and keeps it in the configuration. Layers of a
            network need different ones.

    Call arguments:
        inputs: floats of shape (batch, ..., channels), of rank 2 or more; inside `batch_views` the
            batch is a multiple of the views.
        training: False moves and draws nothing: M is p, and inside `batch_views` psi is the running
            average of its kind.

    Raises:
        ValueError: for an argument out of its range.

    Example:

    >>> import tensorflow as tf
    >>> layer = ChainNorm(p=1.0)
    >>> layer(tf.constant([[3.0, 4.0], [3.0, -4.0]]), training=True).numpy().round(3)
    array([[ 3.,  3.],
           [ 3., -3.]], dtype=float32)
    """

    def __init__(
        self,
        *,
        p: float = 0.0,
        decay: float = 0.9,
        epsilon: float = 1e-5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"`p` must be in [0, 1]. Received: p={p}.")
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"`decay` must be in [0, 1). Received: decay={decay}.")
        if epsilon <= 0.0:
            raise ValueError(f"`epsilon` must be positive. Received: epsilon={epsilon}.")
        self.initial_p = float(p)
        self.decay = decay
        self.epsilon = epsilon
        self.seed = stateless.fresh_seed() if seed is None else seed
        constant = keras.initializers.Constant(self.initial_p)
        self.p = _keras.add_state_weight(self, "p", (), dtype="float32", initializer=constant)
        self._calls = _keras.add_state_weight(self, "calls", (), dtype="int64", initializer="zeros")

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] is None:
            raise ValueError(
                f"The number of channels must be known. Received: input_shape={input_shape}."
            )
        shape = (len(KINDS), input_shape[-1])

        def add(name: str, initializer: str) -> tf.Variable:
            dtype = "float64" if self.variable_dtype == "float64" else "float32"
            return _keras.add_state_weight(self, name, shape, dtype=dtype, initializer=initializer)

        # Of each kind: psi², and the running mean of the gradient along x / psi in D's and in G's
        # updates.
        self.squares = add("squares", "ones")
        self.d_gradients = add("d_gradients", "zeros")
        self.g_gradients = add("g_gradients", "zeros")
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        views = current_views()
        count, channels = max(1, len(views.kinds)), inputs.shape[-1]
        rows = (tf.shape(inputs)[0] if inputs.shape[0] is None else inputs.shape[0]) // count
        values = tf.cast(inputs, self.squares.dtype)
        squares = self._squares(values, views, training=bool(training))
        least = tf.stop_gradient(tf.reduce_min(squares, axis=-1, keepdims=True))
        ratios = tf.sqrt(least + self.epsilon) / tf.sqrt(squares + self.epsilon)
        ratios = tf.broadcast_to(ratios[:, None, :], (count, rows, channels))
        p = tf.convert_to_tensor(self.p)
        if training:
            factors = tf.where(self._draw(rows, views) < p, ratios, tf.ones_like(ratios))
        else:
            factors = 1.0 + tf.cast(p, ratios.dtype) * (ratios - 1.0)
        factors = tf.reshape(factors, (-1, *[1] * (inputs.shape.rank - 2), channels))
        return tf.ensure_shape(tf.cast(values * factors, inputs.dtype), inputs.shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "p": self.initial_p,
            "decay": self.decay,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }

    def _squares(self, values: tf.Tensor, views: BatchViews, *, training: bool) -> tf.Tensor:
        """psi² of each view, (views, channels); in training the running averages move."""
        kinds = [KINDS.index(kind) for kind in views.kinds.values()]
        if kinds and not training:
            return tf.gather(tf.convert_to_tensor(self.squares), kinds)
        means, squares, count = _moments(values, max(1, len(kinds)))
        if not kinds:
            return squares
        views.squared_means.append(tf.cast(tf.reduce_sum(means**2, axis=-1), tf.float32))
        return self._followed(squares, count, kinds, views)

    def _followed(
        self, squares: tf.Tensor, count: tf.Tensor, kinds: list[int], views: BatchViews
    ) -> tf.Tensor:
        """The running averages after each view, with the gradient's own running averages."""
        averages = _follow(self.squares, tf.stop_gradient(squares), kinds, self.decay)
        states = self.d_gradients if views.of == "D" else self.g_gradients
        scale = 1.0 if views.loss_scale is None else tf.cast(views.loss_scale, squares.dtype)

        @tf.custom_gradient
        def followed(squares: tf.Tensor) -> tf.Tensor:
            del squares

            def backward(upstream: tf.Tensor) -> tf.Tensor:
                # To the mean over images and positions of x / psi times the gradient of x / psi.
                along = -2.0 * (averages + self.epsilon) / (count * scale)
                total, replicas = _over_replicas(upstream)
                found = _follow(states, along * total, kinds, self.decay)
                # The sum over replicas that follows makes it whole.
                return found / (along * replicas)

            return tf.identity(averages), backward

        return followed(squares)

    def _draw(self, rows: int | tf.Tensor, views: BatchViews) -> tf.Tensor:
        """Uniform numbers in [0, 1) for each image of each view, (views, rows, channels)."""
        seed = views.seed
        if seed is None:
            calls = tf.convert_to_tensor(self._calls)
            seed = stateless.derive(self.seed, "generator", step=calls)
            self._calls.assign(calls + 1)
        else:
            seed = stateless.fold_in(seed, self.seed & 0x7FFFFFFF)
        seeds = [stateless.fold_in(seed, stateless.name_index(n)) for n in views.kinds or ("",)]
        channels = self.squares.shape[-1]

        def draw(count: int | tf.Tensor) -> list[tf.Tensor]:
            return [stateless.uniform([count, channels], seed) for seed in seeds]

        return tf.stack(stateless.global_rows(draw, rows))


def _moments(values: tf.Tensor, views: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The mean and mean square of each view (views, channels), and of how many; differentiable."""
    values = tf.reshape(values, (views, -1, values.shape[-1]))
    sums = tf.stack([tf.reduce_sum(values, axis=1), tf.reduce_sum(values**2, axis=1)])
    count = tf.cast(tf.shape(values)[1], values.dtype)
    flat, _ = _over_replicas(tf.concat([tf.reshape(sums, [-1]), [count]], axis=0))
    means = tf.reshape(flat[:-1], sums.shape) / flat[-1]
    return means[0], means[1], tf.stop_gradient(flat[-1])


def _over_replicas(tensor: tf.Tensor) -> tuple[tf.Tensor, int]:
    """The sum over replicas, and how many these are."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tensor, 1
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, tensor)
    return total, replica.num_replicas_in_sync


def _follow(variable: tf.Variable, values: tf.Tensor, kinds: list[int], decay: float) -> tf.Tensor:
    """Moves the running average of each view's kind by its row, view after view.

    Args:
        variable: averages (kinds, channels).
        values: (views, channels); a number that is not finite, as of a loss scale that is too
            large, moves nothing.
        kinds: of each view.
        decay: of the averages.

    Returns the averages as they were when each view had moved its kind's, (views, channels).
    """
    averages = tf.unstack(tf.convert_to_tensor(variable))
    found = []
    for kind, value in zip(kinds, tf.unstack(values, num=len(kinds)), strict=True):
        moved = decay * averages[kind] + (1.0 - decay) * value
        averages[kind] = tf.where(tf.math.is_finite(moved), moved, averages[kind])
        found.append(averages[kind])
    variable.assign(tf.stack(averages))
    return tf.stack(found)
