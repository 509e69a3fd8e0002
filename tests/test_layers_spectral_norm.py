"""Spectral normalisation against singular value decompositions, in every kind of layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.spectral_norm import KINDS, inputs_for, kernel_of, make, matrix_of, set_random_kernel
from tf_diffaug.layers import SpectralNormalization, advance_power_iteration, hold_power_iteration


@pytest.mark.parametrize("kind", KINDS)
def test_the_norm_is_that_of_a_singular_value_decomposition(kind):
    layer = make(kind)
    set_random_kernel(layer)
    before = float(layer.sigma())
    advance_power_iteration(layer, iterations=100)
    largest = np.linalg.svd(matrix_of(layer), compute_uv=False)[0]
    assert layer.u.shape == matrix_of(layer).shape[1:]
    assert before <= largest * 1.00001
    np.testing.assert_allclose(float(layer.sigma()), largest, rtol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_norm_is_near_already(kind):
    layer = make(kind)
    largest = np.linalg.svd(matrix_of(layer), compute_uv=False)[0]
    np.testing.assert_allclose(float(layer.sigma()), largest, rtol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_layer_with_the_kernel_divided(kind):
    layer, inputs = make(kind), inputs_for(kind)
    if getattr(layer.layer, "use_bias", False):
        layer.layer.bias.assign(tf.range(layer.layer.bias.shape[0], dtype=tf.float32))
    outputs = layer(inputs)
    assert tuple(layer.compute_output_shape(inputs.shape)) == tuple(outputs.shape)
    kernel = kernel_of(layer)
    kernel.assign(tf.convert_to_tensor(kernel) / layer.sigma())
    np.testing.assert_allclose(outputs, layer.layer(inputs), rtol=1e-5, atol=1e-5)


def finite_difference(loss, kernel, direction, step=1e-5):
    value = kernel.numpy()
    losses = []
    for sign in (1, -1):
        kernel.assign(value + sign * step * direction)
        losses.append(float(loss()))
    kernel.assign(value)
    return (losses[0] - losses[1]) / (2 * step)


@pytest.mark.parametrize("kind", ["dense", "conv2d", "transposed", "embedding"])
def test_the_gradient_flows_through_the_norm(kind):
    layer, inputs = make(kind, dtype="float64"), inputs_for(kind, dtype=np.float64)
    kernel = kernel_of(layer)

    def loss():
        return tf.reduce_sum(tf.sin(3.0 * layer(inputs)))

    with tf.GradientTape() as tape:
        value = loss()
    assert value.dtype == tf.float64
    gradient = tape.gradient(value, layer.trainable_weights[0])
    gradient = tf.convert_to_tensor(gradient).numpy()
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=kernel.shape)
        expected = finite_difference(loss, kernel, direction)
        np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-5)
    # W / sigma(W) does not change with the scale of W, so its gradient is at right angles to W.
    assert abs(np.sum(gradient * kernel.numpy())) < 1e-8


def test_a_gradient_penalty_has_the_right_gradient():
    layer, inputs = make("dense", dtype="float64"), inputs_for("dense", dtype=np.float64)
    kernel = kernel_of(layer)

    def penalty():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.reduce_sum(tf.sin(layer(inputs)))
        return tf.reduce_sum(tape.gradient(outputs, inputs) ** 2)

    with tf.GradientTape() as tape:
        value = penalty()
    gradient = tape.gradient(value, layer.trainable_weights[0]).numpy()
    direction = np.random.default_rng(0).normal(size=kernel.shape)
    expected = finite_difference(penalty, kernel, direction)
    np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-5)


def test_a_held_pass_changes_nothing_and_an_advance_or_a_training_pass_only_u():
    network = keras.Sequential(
        [keras.Input((8,)), make("dense"), SpectralNormalization(keras.layers.Dense(2))]
    )
    for layer in network.layers:
        set_random_kernel(layer)
    before = network.get_weights()
    with hold_power_iteration(network):
        network(tf.ones((2, 8)), training=True)
    network(tf.ones((2, 8)), training=False)
    network(tf.ones((2, 8)))
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    is_u = [any(w is layer.u for layer in network.layers) for w in network.weights]
    copy = keras.models.clone_model(network)
    copy.set_weights(before)
    advance_power_iteration(network)
    copy(tf.ones((2, 8)), training=True)
    for one in (network, copy):
        changed = [np.any(a != b) for a, b in zip(before, one.get_weights(), strict=True)]
        assert changed == is_u
    for one, other in zip(network.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


class Pair(keras.Model):
    """A subclassed network, which leaves it to Keras to hand `training` on."""

    def __init__(self):
        super().__init__()
        self.layer = SpectralNormalization(keras.layers.Dense(16), power_iterations=1)
        self.last = keras.layers.Dense(1)

    def call(self, inputs, training=None):
        return self.last(self.layer(inputs))


@pytest.mark.parametrize("functional", [True, False])
def test_the_norm_follows_the_kernel_in_a_plain_fit(functional, rng):
    if functional:
        layer = SpectralNormalization(keras.layers.Dense(16))
        network = keras.Sequential([keras.Input((16,)), layer, keras.layers.Dense(1)])
    else:
        network = Pair()
        layer = network.layer
    images = rng.normal(size=(256, 16)).astype(np.float32)
    network.compile(keras.optimizers.Adam(0.02), "mse")
    network.fit(images, 20 * images[:, :1], batch_size=8, epochs=3, verbose=0)
    true = np.linalg.svd(matrix_of(layer), compute_uv=False)[0]
    assert float(layer.sigma()) == pytest.approx(true, rel=0.03)
    u = layer.u.numpy().copy()
    network.evaluate(images, images[:, :1], verbose=0)
    network.predict(images, verbose=0)
    np.testing.assert_array_equal(layer.u.numpy(), u)


def test_the_number_of_iterations():
    layers = [
        SpectralNormalization(keras.layers.Dense(5), power_iterations=n, seed=3) for n in (1, 4)
    ]
    for layer in layers:
        layer.build((None, 8))
        set_random_kernel(layer)
        layer.u.assign(np.full(5, 5**-0.5, np.float32))
    advance_power_iteration(layers[0], iterations=4)
    advance_power_iteration(layers[1])
    np.testing.assert_array_equal(layers[0].u.numpy(), layers[1].u.numpy())


def test_a_zero_kernel_stays_finite():
    layer = make("dense")
    kernel_of(layer).assign(np.zeros((8, 5), np.float32))
    with tf.GradientTape() as tape:
        outputs = layer(inputs_for("dense"))
    gradient = tape.gradient(outputs, layer.trainable_weights[0])
    advance_power_iteration(layer)
    np.testing.assert_array_equal(outputs, np.zeros((3, 5)))
    assert np.all(np.isfinite(gradient))
    assert np.all(np.isfinite(layer.u.numpy()))


def test_the_seed_of_u():
    layers = [SpectralNormalization(keras.layers.Dense(5), seed=s) for s in (0, 0, 1)]
    for layer in layers:
        layer.layer.kernel_initializer = keras.initializers.Zeros()
    values = []
    for layer in layers:
        layer.layer.build((None, 8))
        values.append(layer._initial_u((5,)))
    np.testing.assert_array_equal(values[0], values[1])
