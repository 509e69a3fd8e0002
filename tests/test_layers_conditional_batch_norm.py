import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import (
    BatchNorm,
    ConditionalBatchNorm,
    SpectralNormalization,
    advance_power_iteration,
    batch_statistics,
    standing_statistics,
)

# Keras 3 hands TensorFlow's variables to NumPy 2 when it saves them.
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"

SHAPES = [(6, 5, 4, 3), (16, 3)]
KINDS = ["labels", "vectors"]


def batch(shape=SHAPES[0], seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 3.0 + rng.normal(size=shape[-1])).astype(np.float32)


def condition(kind, count):
    if kind == "labels":
        return np.arange(count, dtype=np.int32) % 4
    return np.random.default_rng(3).normal(size=(count, 5)).astype(np.float32)


def built(kind, shape=SHAPES[0], **kwargs):
    initializer = keras.initializers.RandomNormal(stddev=0.5)
    kwargs = {"kernel_initializer": initializer, "seed": 0, **kwargs}
    layer = ConditionalBatchNorm(4 if kind == "labels" else None, **kwargs)
    layer.build(((None, *shape[1:]), (None,) if kind == "labels" else (None, 5)))
    return layer


def kernel(part):
    """What a map multiplies by, in float64."""
    if isinstance(part, SpectralNormalization):
        matrix = part.layer.kernel.numpy().astype(np.float64)
        return matrix / np.linalg.svd(matrix)[1][0]
    return part.kernel.numpy().astype(np.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_against_numpy(kind, shape):
    layer, inputs, given = built(kind, shape), batch(shape), condition(kind, shape[0])
    advance_power_iteration(layer, 50)
    outputs = layer((inputs, given), training=True)
    rows = np.eye(4)[given] if kind == "labels" else given.astype(np.float64)
    axes = tuple(range(len(shape) - 1))
    precise = inputs.astype(np.float64)
    normal = (precise - precise.mean(axes)) / np.sqrt(precise.var(axes) + 1e-5)
    broad = (shape[0], *[1] * (len(shape) - 2), shape[-1])
    gain, bias = ((rows @ kernel(part)).reshape(broad) for part in (layer.gain, layer.bias))
    np.testing.assert_allclose(outputs, (1.0 + gain) * normal + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_equals_the_unconditional_one_when_all_embeddings_agree(kind, training):
    layer, plain, inputs = built(kind), BatchNorm(), batch()
    plain.build(inputs.shape)
    rng = np.random.default_rng(1)
    given = condition(kind, len(inputs))
    if kind == "labels":
        layer.gain.kernel.assign(np.tile(rng.normal(size=3), (4, 1)))
        layer.bias.kernel.assign(np.tile(rng.normal(size=3), (4, 1)))
    else:
        given = np.tile(given[:1], (len(inputs), 1))
    plain.gamma.assign(1.0 + layer.gain(tf.one_hot([2], 4) if kind == "labels" else given)[0])
    plain.beta.assign(layer.bias(tf.one_hot([2], 4) if kind == "labels" else given)[0])
    outputs = layer((inputs, given), training=training)
    expected = plain(inputs, training=training)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(expected - inputs)) > 0.1
    for name in ("moving_mean", "moving_variance"):
        ours, theirs = getattr(layer.norm, name).numpy(), getattr(plain, name).numpy()
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gain_starts_around_one(kind):
    layer = built(kind, kernel_initializer="zeros")
    inputs, given = batch(), condition(kind, len(batch()))
    outputs = layer((inputs, given), training=True)
    np.testing.assert_allclose(outputs, BatchNorm()(inputs, training=True), atol=1e-6)


def test_gain_and_bias_share_no_draws():
    for kind in KINDS:
        layer = built(kind, seed=0)
        gain, bias, again = (
            weight.numpy()
            for weight in (*layer.trainable_weights, built(kind, seed=0).trainable_weights[0])
        )
        assert np.all(gain != bias)
        np.testing.assert_array_equal(gain, again)


def test_a_label_outside_has_the_plain_norm():
    layer, inputs = built("labels"), batch()
    outputs = layer((inputs, np.full(len(inputs), 4, np.int32)), training=True)
    np.testing.assert_allclose(outputs, BatchNorm()(inputs, training=True), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_against_finite_differences(kind):
    layer = built(kind, dtype="float64")
    inputs, given = batch().astype(np.float64), condition(kind, 6)
    weights = tf.constant(batch(seed=2), tf.float64)

    def loss(inputs):
        return tf.reduce_sum(layer((inputs, given), training=True) * weights)

    variables = layer.trainable_weights
    with tf.GradientTape() as tape:
        watched = tf.constant(inputs)
        tape.watch(watched)
        value = loss(watched)
    (found, *of_weights) = tape.gradient(value, [watched, *variables])
    direction = np.random.default_rng(4).normal(size=inputs.shape)
    step = 1e-5
    change = (loss(inputs + step * direction) - loss(inputs - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.sum(found * direction), change, rtol=1e-5)
    for variable, gradient in zip(variables, of_weights, strict=True):
        assert isinstance(gradient, tf.Tensor)
        direction = np.random.default_rng(5).normal(size=variable.shape)
        before = variable.numpy()
        sides = []
        for sign in (1.0, -1.0):
            variable.assign(before + sign * step * direction)
            sides.append(float(loss(inputs)))
        variable.assign(before)
        change = (sides[0] - sides[1]) / (2 * step)
        # The singular vector that sigma is taken along is held, to first order rightly so.
        np.testing.assert_allclose(np.sum(gradient * direction), change, rtol=1e-3)


def test_the_contexts_find_it():
    layer, inputs, given = built("labels"), batch(), condition("labels", 6)
    before = layer.norm.moving_mean.numpy()
    with batch_statistics(layer):
        outputs = layer((inputs, given), training=False)
    np.testing.assert_array_equal(layer.norm.moving_mean.numpy(), before)
    np.testing.assert_allclose(outputs, layer((inputs, given), training=True), atol=1e-6)
    with standing_statistics(layer, 0):
        layer((inputs, given), training=True)
    np.testing.assert_allclose(layer.norm.moving_mean.numpy(), inputs.mean((0, 1, 2)), atol=1e-5)


def test_two_replicas_are_one_on_the_concatenated_batch(two_replicas):
    inputs, given = batch(), condition("labels", 6)
    with two_replicas.scope():
        layer = built("labels")

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        half = [tf.gather(tf.stack(tf.split(x, 2)), index) for x in (inputs, given)]
        return layer(half, training=True)

    results = tf.function(lambda: two_replicas.run(replica))()
    outputs = np.concatenate(two_replicas.experimental_local_results(results))
    expected = built("labels")((inputs, given), training=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_precision(kind):
    layer, precise = built(kind, dtype="mixed_bfloat16"), built(kind)
    inputs, given = tf.cast(batch() + 20.0, "bfloat16"), condition(kind, 6)
    outputs = layer((inputs, given), training=True)
    assert outputs.dtype == "bfloat16"
    assert {w.dtype for w in layer.get_weights()} == {np.dtype("float32")}
    expected = precise((tf.cast(inputs, tf.float32), given), training=True)
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, rtol=0.03, atol=0.03)
    np.testing.assert_allclose(
        layer.norm.moving_mean.numpy(), precise.norm.moving_mean.numpy(), rtol=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_graph_xla_and_an_unknown_batch_size(kind):
    layer, inputs, given = built(kind), batch(), condition(kind, 6)
    expected = layer((inputs, given), training=True)
    spec = tf.TensorSpec((None, *inputs.shape[1:])), tf.TensorSpec((None, *given.shape[1:]))
    spec = spec[0], tf.TensorSpec(spec[1].shape, given.dtype)
    graph = tf.function(lambda x, c: layer((x, c), training=True), input_signature=spec)
    assert graph.get_concrete_function().output_shapes == (None, *inputs.shape[1:])
    compiled = tf.function(lambda x, c: layer((x, c), training=True), jit_compile=True)
    for outputs in (graph(inputs, given), compiled(inputs, given)):
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings(ARRAY_COPY)
def test_saving(kind, tmp_path):
    symbols = [
        keras.Input((5, 4, 3)),
        keras.Input((), dtype="int32") if kind == "labels" else keras.Input((5,)),
    ]
    layer = built(kind, momentum=0.5, epsilon=1e-3)
    network = keras.Model(symbols, layer(symbols))
    inputs = [batch(), condition(kind, 6)]
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.layers[-1].get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded(inputs), network(inputs))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="num_classes=0"):
        ConditionalBatchNorm(0)
    with pytest.raises(ValueError, match="momentum=2"):
        ConditionalBatchNorm(momentum=2.0)
