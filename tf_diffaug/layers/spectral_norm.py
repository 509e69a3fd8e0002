"""Spectral normalisation of a layer's kernel (Miyato et al., 2018, arXiv 1802.05957).

The layer computes with W / sigma(W), where sigma is the largest singular value as power iteration
estimates it. Unlike `keras.layers.SpectralNormalization` it never writes to W: the gradient flows
through sigma, and the optimiser's moments belong to the weights that it moves. The estimate gets
better in every call with `training=True`, or, inside `hold_power_iteration`, in
`advance_power_iteration` alone.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug import random as stateless
from tf_diffaug.layers._linear import bias_format, linear_part

# Keeps a zero kernel finite; the value is compare_gan's (papers: CG arch_ops.py).
EPSILON = 1e-12
# An N(0, 0.02) kernel's estimate is within 1 % of the norm after 18 to 40 iterations. The papers
# start from one; starting near the end costs a few products of a matrix and a vector.
INITIAL_ITERATIONS = 30


@keras.saving.register_keras_serializable(package="tf_diffaug")
class SpectralNormalization(keras.layers.Wrapper):
    """Divides a layer's kernel by its largest singular value.

    The kernel is taken as a matrix of (everything else, output channels). A unit vector `u` over
    the output channels is stored; the norm is sigma = ||W u||, which is v^T W u with
    v = W u / ||W u||, and its gradient with respect to W is v u^T. `u` is not trained: a call with
    `training=True` runs an iteration of it first, so that the norm follows the kernel in `fit` and
    in loops of your own; other calls only read it. A loop that calls the network several times in
    an update may hold it still (`hold_power_iteration`) and call `advance_power_iteration(network)`
    once per update, as `tf_diffaug.training.GAN` does. After assigning kernels by hand, call that
    with `iterations=50`.

    When the layer is built, 30 iterations are run if the kernel's values are known then.

    The norm is computed in float32 (float64 for float64 variables) under every dtype policy; the
    wrapped layer's policy, not the wrapper's, decides what the product is computed in, and its
    activity regulariser is not allowed.

    Args:
        layer: a `Dense`, `Conv1D`, `Conv2D`, `Conv3D`, `Conv2DTranspose` or `Embedding`. A subclass
            that has its own `call` is refused.
        power_iterations: iterations of one advance. 1 in the paper (section 3, algorithm 1).
        seed: seed of the first `u`.

    Call arguments:
        inputs: what the wrapped layer takes.
        training: whether to run the power iteration first.

    Raises:
        ValueError: for a layer of another kind, or fewer than one iteration.

    Example:

    >>> import keras, tensorflow as tf
    >>> layer = SpectralNormalization(keras.layers.Dense(4))
    >>> layer(tf.ones((2, 3))).shape
    TensorShape([2, 4])
    """

    def __init__(
        self, layer: keras.layers.Layer, *, power_iterations: int = 1, seed: int = 0, **kwargs: Any
    ) -> None:
        self._product, self._out_axis = linear_part(layer)
        if power_iterations < 1:
            raise ValueError(
                "`power_iterations` must be at least 1. "
                f"Received: power_iterations={power_iterations}."
            )
        # In a scope of its own dtype the kernel is read as it is stored, not in the compute dtype.
        dtype = _full_precision(layer)
        super().__init__(layer, dtype=dtype, autocast=False, **kwargs)
        self.power_iterations = power_iterations
        self.seed = seed
        # A count, not a flag: replicas enter and leave the context one after the other.
        self._holds = 0

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        kernel = self._kernel_variable()
        self.u = _keras.add_state_weight(
            self,
            "u",
            (kernel.shape[self._out_axis],),
            dtype=_full_precision(self.layer),
            initializer=self._initial_u,
        )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        if training and not self._holds:
            self.advance()
        kernel = self._kernel()
        inverse = 1.0 / tf.maximum(self._sigma(kernel), tf.cast(EPSILON, kernel.dtype))
        compute_dtype = self.layer.compute_dtype
        if isinstance(self.layer, keras.layers.Embedding):
            # Scaling the rows taken spares a pass over the table.
            rows = tf.gather(kernel, tf.cast(inputs, tf.int32))
            return tf.cast(rows * inverse, compute_dtype)
        outputs = self._product(
            self.layer,
            tf.cast(inputs, compute_dtype),
            tf.cast(kernel * inverse, compute_dtype),
        )
        if self.layer.use_bias:
            bias = tf.cast(tf.convert_to_tensor(self.layer.bias), compute_dtype)
            outputs = tf.nn.bias_add(outputs, bias, data_format=bias_format(self.layer))
        return outputs if self.layer.activation is None else self.layer.activation(outputs)

    def sigma(self) -> tf.Tensor:
        """The estimate of the kernel's largest singular value, a scalar."""
        return self._sigma(self._kernel())

    def advance(self, iterations: int | None = None) -> None:
        """Runs power iterations (`power_iterations` by default) on this layer's `u`."""
        kernel = self._matrix(self._kernel())
        u = tf.convert_to_tensor(self.u)
        for _ in range(self.power_iterations if iterations is None else iterations):
            u = _iterate(kernel, u)
        self.u.assign(u)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("dtype", None)
        return {**config, "power_iterations": self.power_iterations, "seed": self.seed}

    def _kernel_variable(self) -> tf.Variable:
        is_embedding = isinstance(self.layer, keras.layers.Embedding)
        return self.layer.embeddings if is_embedding else self.layer.kernel

    def _kernel(self) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self._kernel_variable())
        return tf.cast(kernel, _full_precision(self.layer))

    def _matrix(self, kernel: tf.Tensor) -> tf.Tensor:
        if self._out_axis != -1:
            kernel = tf.linalg.matrix_transpose(kernel)
        return tf.reshape(kernel, (-1, kernel.shape[-1]))

    def _sigma(self, kernel: tf.Tensor) -> tf.Tensor:
        u = tf.stop_gradient(tf.convert_to_tensor(self.u))
        # The norm of a zero vector has no gradient; that of the maximum is zero.
        squares = tf.reduce_sum(tf.linalg.matvec(self._matrix(kernel), u) ** 2)
        return tf.sqrt(tf.maximum(squares, tf.cast(EPSILON**2, squares.dtype)))

    def _initial_u(self, shape: Any, dtype: Any = None, **_: Any) -> tf.Tensor:
        seed = stateless.derive(self.seed, "init")
        u = tf.cast(_normalize(stateless.normal(shape, seed)), _full_precision(self.layer))
        return _settle(self._matrix(self._kernel()), u)


def advance_power_iteration(
    network: keras.layers.Layer, iterations: int | None = None, *, trainable_only: bool = False
) -> None:
    """Advances the power iteration of every `SpectralNormalization` in a layer or model.

    Call it once per update of the network, inside a `tf.function` and in a replica if there are
    any. It reads and writes nothing but the layers' `u`.

    Args:
        network: a built layer or model, searched at any depth.
        iterations: how many, or each layer's own `power_iterations`.
        trainable_only: whether to leave out layers with `trainable=False`, whose kernel nothing
            moves: what they compute stays the same to the bit.

    Raises:
        ValueError: if such a layer has not been built.
    """
    for layer in _keras.sublayers(network, SpectralNormalization):
        if not layer.built:
            raise ValueError(
                "The power iteration needs kernels: build the network, or call it once, before. "
                f"Received: network={network.name!r} with the unbuilt layer {layer.name!r}."
            )
        if layer.trainable or not trainable_only:
            layer.advance(iterations)


@contextlib.contextmanager
def hold_power_iteration(*networks: keras.layers.Layer) -> Iterator[None]:
    """Inside, only `advance_power_iteration` moves the power iterations of the networks.

    For a step that calls a network several times in one update. As with `batch_statistics`, the
    choice is made when a graph is traced: enter the context inside a `tf.function`, not around it.

    Args:
        networks: layers or models, searched at any depth.

    Example:

    >>> import keras, tensorflow as tf
    >>> layer = SpectralNormalization(keras.layers.Dense(2))
    >>> network = keras.Sequential([keras.Input((3,)), layer])
    >>> with hold_power_iteration(network):
    ...     outputs = network(tf.ones((4, 3)), training=True)
    """
    layers = [s for network in networks for s in _keras.sublayers(network, SpectralNormalization)]
    for layer in layers:
        layer._holds += 1
    try:
        yield
    finally:
        for layer in layers:
            layer._holds -= 1


def _normalize(vector: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(vector, epsilon=EPSILON**2)


def _iterate(matrix: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
    v = _normalize(tf.linalg.matvec(matrix, u))
    return _normalize(tf.linalg.matvec(matrix, v, transpose_a=True))


# Compiled, once for all shapes: op by op it takes most of the time that a network is built in.
@functools.partial(tf.function, autograph=False, reduce_retracing=True)
def _settle(matrix: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
    # A loop op, since 30 copies in a graph take seconds to trace.
    (u,) = tf.while_loop(
        lambda _: True,
        lambda u: (_iterate(matrix, u),),
        (u,),
        maximum_iterations=INITIAL_ITERATIONS,
    )
    return u


def _full_precision(layer: keras.layers.Layer) -> str:
    return "float64" if layer.variable_dtype == "float64" else "float32"
