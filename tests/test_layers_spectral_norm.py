import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import (
    SpectralNormalization,
    advance_power_iteration,
    hold_power_iteration,
)

# Keras 3 hands TensorFlow's variables to NumPy 2 when it saves them.
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"

IMAGE = (None, 7, 6, 3)
KINDS = {
    "dense": (lambda **k: keras.layers.Dense(5, **k), (None, 8)),
    "dense_rank_3": (lambda **k: keras.layers.Dense(5, activation="tanh", **k), (None, 4, 8)),
    "conv1d": (lambda **k: keras.layers.Conv1D(4, 3, padding="same", **k), (None, 9, 3)),
    "conv2d": (lambda **k: keras.layers.Conv2D(4, 3, strides=2, padding="same", **k), IMAGE),
    "conv2d_valid": (
        lambda **k: keras.layers.Conv2D(4, 3, dilation_rate=2, use_bias=False, **k),
        IMAGE,
    ),
    "transposed": (
        lambda **k: keras.layers.Conv2DTranspose(5, 4, strides=2, padding="same", **k),
        IMAGE,
    ),
    "transposed_valid": (
        lambda **k: keras.layers.Conv2DTranspose(2, (3, 2), strides=(2, 3), **k),
        IMAGE,
    ),
    "embedding": (lambda **k: keras.layers.Embedding(6, 4, **k), (None,)),
}


def make(kind, **kwargs):
    factory, shape = KINDS[kind]
    layer = SpectralNormalization(factory(**kwargs))
    layer.build(shape)
    return layer


def inputs_for(kind, batch=3, dtype=np.float32):
    rng = np.random.default_rng(0)
    shape = (batch, *KINDS[kind][1][1:])
    if kind == "embedding":
        return tf.constant(rng.integers(0, 6, batch))
    return tf.constant(rng.normal(size=shape).astype(dtype))


def kernel_of(layer):
    return layer.layer.embeddings if hasattr(layer.layer, "embeddings") else layer.layer.kernel


def matrix_of(layer):
    """Output channels last, all else in the rows."""
    kernel = kernel_of(layer).numpy()
    if isinstance(layer.layer, keras.layers.Conv2DTranspose):
        kernel = np.moveaxis(kernel, 2, 3)
    return kernel.reshape(-1, kernel.shape[-1])


def set_random_kernel(layer, seed=1):
    kernel = kernel_of(layer)
    kernel.assign(np.random.default_rng(seed).normal(size=kernel.shape).astype(np.float32))


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


@pytest.mark.parametrize("kind", ["dense", "conv2d", "transposed"])
def test_xla(kind):
    layer, inputs = make(kind), inputs_for(kind)

    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(loss, layer.trainable_weights[0])

    compiled = tf.function(gradient, jit_compile=True)()
    np.testing.assert_allclose(compiled, gradient(), rtol=1e-3, atol=1e-4)


def test_the_seed_of_u():
    layers = [SpectralNormalization(keras.layers.Dense(5), seed=s) for s in (0, 0, 1)]
    for layer in layers:
        layer.layer.kernel_initializer = keras.initializers.Zeros()
    values = []
    for layer in layers:
        layer.layer.build((None, 8))
        values.append(layer._initial_u((5,)))
    np.testing.assert_array_equal(values[0], values[1])


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
