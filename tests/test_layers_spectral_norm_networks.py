"""Spectral normalisation in networks: at any depth, on replicas, saved, in any precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.spectral_norm import (
    ARRAY_COPY,
    inputs_for,
    kernel_of,
    make,
    matrix_of,
    set_random_kernel,
)
from tf_diffaug.layers import SpectralNormalization, advance_power_iteration


class Block(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.in_list = [SpectralNormalization(keras.layers.Dense(3))]
        self.in_dict = {"a": SpectralNormalization(keras.layers.Dense(3))}
        self.alone = SpectralNormalization(keras.layers.Dense(3))

    def call(self, inputs):
        return self.alone(self.in_dict["a"](self.in_list[0](inputs)))


class Nested(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [Block(), Block()]

    def call(self, inputs):
        return self.blocks[1](self.blocks[0](inputs))


def norms_behind(layers):
    return [
        float(layer.sigma()) / np.linalg.svd(matrix_of(layer), compute_uv=False)[0] < 0.999
        for layer in layers
    ]


def test_layers_are_found_at_any_depth():
    nested = Nested()
    nested(tf.ones((2, 3)))
    image = keras.Input((3,))
    functional = keras.Model(image, nested(image))
    layers = [
        layer
        for block in nested.blocks
        for layer in (block.in_list[0], block.in_dict["a"], block.alone)
    ]
    for network in (nested, functional):
        for layer in layers:
            kernel_of(layer).assign(np.diag([1.0, 2.0, 3.0]).astype(np.float32))
            layer.u.assign(np.float32([1.0, 1e-3, 1e-3]))
        assert all(norms_behind(layers))
        advance_power_iteration(network, iterations=40)
        assert not any(norms_behind(layers))


def test_replicas_advance_together(two_replicas):
    strategy = two_replicas
    with strategy.scope():
        layer = make("dense")
    alone = make("dense")
    for each in (layer, alone):
        set_random_kernel(each)
        each.u.assign(np.full(5, 5**-0.5, np.float32))

    @tf.function
    def steps():
        def replica():
            for _ in tf.range(3):
                advance_power_iteration(layer)
            return tf.convert_to_tensor(layer.u)

        return strategy.run(replica)

    values = strategy.experimental_local_results(steps())
    advance_power_iteration(alone, iterations=3)
    assert len(values) == 2
    for value in (*values, layer.u.numpy()):
        np.testing.assert_allclose(value, alone.u.numpy(), atol=1e-6)


@pytest.mark.filterwarnings(ARRAY_COPY)
def test_saving_and_loading(tmp_path):
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            SpectralNormalization(keras.layers.Conv2D(4, 3), power_iterations=2, seed=5),
            keras.layers.Flatten(),
            SpectralNormalization(keras.layers.Dense(1)),
        ]
    )
    for layer in (network.layers[0], network.layers[2]):
        set_random_kernel(layer)
    images = inputs_for("conv2d")[:, :1] + tf.zeros((3, 8, 1, 1))
    images = tf.concat([images, images[:, :, :2]], axis=2)
    expected = network(images).numpy()

    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.layers[0].power_iterations == 2
    assert loaded.layers[0].seed == 5
    np.testing.assert_array_equal(loaded(images), expected)

    tf.saved_model.save(network, str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    (outputs,) = served(images).values()
    np.testing.assert_allclose(outputs, expected, atol=1e-5)

    other = keras.models.clone_model(network)
    path = tf.train.Checkpoint(network=network).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(network=other).restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(other(images), expected)


def test_config_round_trip():
    layer = SpectralNormalization(
        keras.layers.Conv2D(4, 3, dtype="mixed_bfloat16"), power_iterations=3, seed=7, name="sn"
    )
    copy = SpectralNormalization.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert copy.layer.compute_dtype == "bfloat16"


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_the_norm_is_float32_under_every_policy(policy):
    layer = make("conv2d", dtype=policy)
    inputs = inputs_for("conv2d")
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
    gradient = tape.gradient(loss, layer.trainable_weights[0])
    assert outputs.dtype == layer.layer.compute_dtype
    assert layer.u.dtype == tf.float32
    assert layer.sigma().dtype == tf.float32
    assert np.all(np.isfinite(tf.cast(gradient, tf.float32)))
    precise = make("conv2d")
    kernel_of(precise).assign(tf.cast(tf.convert_to_tensor(kernel_of(layer)), tf.float32))
    precise.u.assign(layer.u.numpy())
    np.testing.assert_allclose(
        tf.cast(outputs, tf.float32), precise(inputs), atol=0.05 * np.max(np.abs(outputs[0]))
    )
    # The divisor itself has not been rounded to 8 or 11 bits.
    np.testing.assert_allclose(layer.sigma(), precise.sigma(), rtol=1e-6)


def test_inside_a_mixed_precision_network_the_kernel_is_read_in_float32():
    layer = SpectralNormalization(keras.layers.Dense(5, dtype="mixed_bfloat16"))
    seen = []

    class Network(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16")
            self.inner = layer
            self.original = layer._sigma
            layer._sigma = self.spy

        def spy(self, kernel):
            seen.append(kernel)
            return self.original(kernel)

        def call(self, inputs):
            return self.inner(inputs)

    outputs = Network()(inputs_for("dense"))
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_array_equal(seen[-1], layer.layer.kernel.numpy())


@pytest.mark.parametrize("kind", ["dense", "conv2d", "transposed"])
def test_xla(kind):
    layer, inputs = make(kind), inputs_for(kind)

    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(loss, layer.trainable_weights[0])

    compiled = tf.function(gradient, jit_compile=True)()
    np.testing.assert_allclose(compiled, gradient(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda: keras.layers.ReLU(), "must be one of .*Dense"),
        (lambda: keras.layers.Conv1D(2, 3, padding="causal"), "padding='causal'"),
        (
            lambda: keras.layers.Conv2DTranspose(2, 3, strides=2, output_padding=1),
            "output_padding",
        ),
        (lambda: keras.layers.Dense(2, activity_regularizer="l2"), "activity_regularizer"),
        (lambda: keras.layers.Embedding(2, 2, mask_zero=True), "mask_zero=True"),
    ],
)
def test_what_it_cannot_wrap_is_refused(layer, said):
    with pytest.raises(ValueError, match=said):
        SpectralNormalization(layer())


def test_a_subclass_with_its_own_call_is_refused():
    class Own(keras.layers.Dense):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="must be one of"):
        SpectralNormalization(Own(2))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="power_iterations=0"):
        SpectralNormalization(keras.layers.Dense(2), power_iterations=0)
    with pytest.raises(ValueError, match="unbuilt layer 'sn'"):
        advance_power_iteration(SpectralNormalization(keras.layers.Dense(2), name="sn"))


def test_what_is_not_trainable_may_be_left_out_of_an_advance():
    layers = [SpectralNormalization(keras.layers.Dense(2), seed=seed) for seed in (0, 1)]
    network = keras.Sequential([keras.Input((8,)), *layers])
    for layer in layers:
        set_random_kernel(layer)
    layers[0].trainable = False
    before = [layer.u.numpy() for layer in layers]
    advance_power_iteration(network, trainable_only=True)
    assert [np.array_equal(a, b.u) for a, b in zip(before, layers, strict=True)] == [True, False]
    advance_power_iteration(network)
    assert not np.array_equal(before[0], layers[0].u)
