import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import BatchNorm, batch_statistics, standing_statistics

# Keras 3 hands TensorFlow's variables to NumPy 2 when it saves them.
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"

SHAPES = [(8, 5, 4, 3), (16, 6), (4, 7, 3)]


def batch(shape=(8, 5, 4, 3), dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 3.0 + rng.normal(size=shape[-1])).astype(dtype)


def built(shape, **kwargs):
    layer = BatchNorm(**kwargs)
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(1)
    layer.gamma.assign(rng.uniform(0.5, 1.5, shape[-1]))
    layer.beta.assign(rng.normal(size=shape[-1]))
    return layer


def forward_and_gradients(layer, inputs, weights):
    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        loss = tf.reduce_sum(outputs * weights)
    return outputs, *tape.gradient(loss, [inputs, *layer.trainable_weights])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_replica_is_keras_batch_normalization(shape, dtype):
    oracle = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)
    oracle.build((None, *shape[1:]))
    layer = built(shape, dtype=dtype)
    oracle.gamma.assign(layer.gamma.numpy())
    oracle.beta.assign(layer.beta.numpy())
    inputs, weights = batch(shape, dtype), batch(shape, dtype, seed=2)
    ours = forward_and_gradients(layer, inputs, weights)
    theirs = forward_and_gradients(oracle, inputs, weights)
    for ours_part, theirs_part in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(ours_part, theirs_part, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_moving_averages(shape):
    layer, inputs = built(shape), batch(shape)
    layer(inputs, training=True)
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * inputs.mean(axes), atol=1e-5)
    expected = 0.9 + 0.1 * inputs.var(axes, ddof=1)
    np.testing.assert_allclose(layer.moving_variance.numpy(), expected, rtol=1e-5)

    before = [w.copy() for w in layer.get_weights()]
    outputs = layer(inputs, training=False)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    normalized = (inputs - layer.moving_mean.numpy()) / np.sqrt(expected + 1e-5)
    np.testing.assert_allclose(
        outputs, normalized * layer.gamma.numpy() + layer.beta.numpy(), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(layer(inputs), outputs)


def on_replicas(strategy, inputs, weights, split):
    with strategy.scope():
        layer = built(inputs.shape)

    def part(array):
        parts = (array[:split], array[split:])
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    @tf.function
    def step(inputs, weights):
        return strategy.run(lambda i, w: forward_and_gradients(layer, i, w), (inputs, weights))

    results = step(part(inputs), part(weights))
    local = [strategy.experimental_local_results(result) for result in results]
    outputs, gradient = (np.concatenate(values) for values in local[:2])
    return layer, [outputs, gradient, *(sum(values) for values in local[2:])]


@pytest.mark.parametrize(("shape", "split"), [((8, 5, 4, 3), 4), ((8, 5, 4, 3), 3), ((16, 6), 8)])
def test_two_replicas_are_one_on_the_concatenated_batch(two_replicas, shape, split):
    inputs, weights = batch(shape), batch(shape, seed=2)
    layer, ours = on_replicas(two_replicas, inputs, weights, split)
    alone = built(shape)
    theirs = forward_and_gradients(alone, inputs, weights)
    for ours_part, theirs_part in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(ours_part, theirs_part, rtol=1e-4, atol=1e-4)
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(
            getattr(layer, name).numpy(), getattr(alone, name).numpy(), rtol=1e-5, atol=1e-6
        )


def test_batch_statistics_touch_no_averages():
    layer, inputs = built(SHAPES[0]), batch()
    network = keras.Sequential([keras.Input(SHAPES[0][1:]), layer])
    expected = built(SHAPES[0])(inputs, training=True)
    before = layer.get_weights()
    for training in (True, False, None):
        with batch_statistics(network):
            outputs = network(inputs, training=training)
        np.testing.assert_allclose(outputs, expected, atol=1e-6)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.max(np.abs(network(inputs, training=False) - expected)) > 0.1


def test_batch_statistics_leaves_when_an_error_does():
    layer = built(SHAPES[0])
    with pytest.raises(RuntimeError, match="inside"), batch_statistics(layer):
        raise RuntimeError("inside")
    before = layer.moving_mean.numpy()
    layer(batch(), training=True)
    assert np.any(layer.moving_mean.numpy() != before)


def test_batch_statistics_on_replicas(two_replicas):
    strategy = two_replicas
    with strategy.scope():
        layer = built(SHAPES[0])
    inputs = batch()

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        half = tf.reshape(tf.gather(tf.reshape(inputs, (2, 4, 5, 4, 3)), index), (4, 5, 4, 3))
        with batch_statistics(layer):
            return layer(half, training=False)

    results = tf.function(lambda: strategy.run(replica))()
    outputs = np.concatenate(strategy.experimental_local_results(results))
    np.testing.assert_allclose(
        outputs, built(SHAPES[0])(inputs, training=True), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(layer.moving_mean.numpy(), np.zeros(3))
    assert layer._batch_statistics_uses == 0


def standing(batches):
    """The means of the batches' means and unbiased variances, in float64."""
    axes = tuple(range(batches[0].ndim - 1))
    precise = [batch.astype(np.float64) for batch in batches]
    mean = np.mean([batch.mean(axes) for batch in precise], 0)
    return mean, np.mean([batch.var(axes, ddof=1) for batch in precise], 0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("in_graph", [False, True])
def test_standing_statistics_are_means_over_the_batches(shape, in_graph):
    network = keras.Sequential([keras.Input(shape[1:]), BatchNorm(), BatchNorm()])
    layer = network.layers[0]
    batches = [batch(shape, seed=seed) + seed for seed in range(4)]
    traced = []

    def accumulate(inputs, index):
        traced.append(index)
        with standing_statistics(network, index):
            return network(inputs, training=True)

    run = tf.function(accumulate) if in_graph else accumulate
    for _ in range(2):
        # Batch 0 forgets: the second round leaves what the first did.
        for index, inputs in enumerate(batches):
            outputs = run(inputs, tf.constant(index) if in_graph else index)
        mean, variance = standing(batches)
        np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-4)
    np.testing.assert_allclose(outputs, network(batches[-1], training=True), atol=1e-5)
    assert len(traced) == (1 if in_graph else 8)
    # Outside it is the momentum again.
    before = layer.moving_mean.numpy()
    layer(batches[0], training=True)
    after = 0.9 * before + 0.1 * batches[0].mean(tuple(range(len(shape) - 1)))
    np.testing.assert_allclose(layer.moving_mean.numpy(), after, rtol=1e-4, atol=1e-5)


def test_standing_statistics_on_replicas(two_replicas):
    strategy = two_replicas
    with strategy.scope():
        layer = built(SHAPES[0])
    batches = [batch(seed=seed) + seed for seed in range(3)]

    @tf.function
    def accumulate(inputs, index):
        def replica():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            with standing_statistics(layer, index):
                layer(tf.gather(tf.stack(tf.split(inputs, 2)), number), training=True)

        strategy.run(replica)

    for index, inputs in enumerate(batches):
        accumulate(tf.constant(inputs), tf.constant(index))
    mean, variance = standing(batches)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-4)
    assert layer._standing.indices == []


def test_standing_statistics_leave_when_an_error_does():
    layer = built(SHAPES[0])
    with pytest.raises(RuntimeError, match="inside"), standing_statistics(layer, 0):
        raise RuntimeError("inside")
    assert layer._standing.indices == []


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "mixed_bfloat16"])
def test_without_gain_and_bias(training, dtype):
    layer, affine, inputs = BatchNorm(affine=False, dtype=dtype), BatchNorm(dtype=dtype), batch()
    layer.build(inputs.shape)
    assert layer.trainable_weights == []
    assert len(layer.weights) == 2
    inputs = tf.cast(inputs, layer.compute_dtype)
    outputs = layer(inputs, training=training)
    np.testing.assert_array_equal(
        tf.cast(outputs, tf.float32), tf.cast(affine(inputs, training=training), tf.float32)
    )
    assert BatchNorm.from_config(layer.get_config()).affine is False


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("training", [True, False])
def test_statistics_are_float32_under_mixed_precision(policy, training):
    layer, precise = built(SHAPES[0], dtype=policy), built(SHAPES[0])
    inputs = tf.cast(batch() + 20.0, layer.compute_dtype)
    outputs = layer(inputs, training=training)
    expected = precise(tf.cast(inputs, tf.float32), training=training)
    assert outputs.dtype == layer.compute_dtype
    assert {w.dtype for w in layer.get_weights()} == {np.dtype("float32")}
    # One rounding of the result, none of the statistics.
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, rtol=2**-7, atol=2**-7)
    for ours, theirs in zip(layer.get_weights(), precise.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_second_derivatives():
    penalties = []
    for dtype in ("float32", "float64"):
        layer, inputs = built(SHAPES[0], dtype=dtype), tf.constant(batch(), dtype)
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                loss = tf.reduce_sum(tf.sin(layer(inputs, training=True)))
            penalty = tf.reduce_sum(inner.gradient(loss, inputs) ** 2)
        penalties.append(outer.gradient(penalty, inputs))
    np.testing.assert_allclose(penalties[0], penalties[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_graph_xla_and_an_unknown_batch_size(shape):
    layer, inputs = built(shape), batch(shape)
    expected = layer(inputs, training=True)
    spec = tf.TensorSpec((None, *shape[1:]))
    graph = tf.function(lambda x: layer(x, training=True), input_signature=[spec])
    assert graph.get_concrete_function().output_shapes == (None, *shape[1:])
    compiled = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    for outputs in (graph(inputs), compiled(inputs)):
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


def test_frozen_weights_leave_the_statistics_alone():
    layer = built(SHAPES[0])
    layer.trainable = False
    assert layer.trainable_weights == []
    before = layer.moving_mean.numpy()
    layer(batch(), training=True)
    assert np.any(layer.moving_mean.numpy() != before)


def test_a_single_value_has_a_finite_moving_variance():
    layer = built((1, 4))
    layer(np.ones((1, 4), np.float32), training=True)
    assert np.all(np.isfinite(layer.moving_variance.numpy()))


@pytest.mark.filterwarnings(ARRAY_COPY)
def test_training_by_fit_and_saving(tmp_path):
    network = keras.Sequential(
        [keras.Input((5, 4, 3)), BatchNorm(momentum=0.5, epsilon=1e-3), keras.layers.Flatten()]
    )
    network.compile("sgd", "mse", jit_compile=False)
    network.fit(batch(), np.zeros((8, 60), np.float32), verbose=0)
    assert np.any(network.layers[0].moving_mean.numpy() != 0.0)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.layers[0].get_config() == network.layers[0].get_config()
    np.testing.assert_array_equal(loaded(batch()), network(batch()))


@pytest.mark.parametrize("wrong", [{"momentum": 1.5}, {"epsilon": 0.0}])
def test_wrong_arguments_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        BatchNorm(**wrong)


def test_unknown_channels_are_refused():
    with pytest.raises(ValueError, match="channels must be known"):
        BatchNorm().build((8, 4, None))
