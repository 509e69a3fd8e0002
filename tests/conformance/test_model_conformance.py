"""One list of checks for every reference network that `tests.network_cases` has."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.network_cases import CASES
from tf_diffaug.layers import advance_power_iteration, hold_power_iteration
from tf_diffaug.models import (
    BigGANDiscriminator,
    R3GANDiscriminator,
    SNDCGANDiscriminator,
    StyleGAN2Discriminator,
    freeze_blocks,
)

# Keras 3 hands TensorFlow's variables to NumPy 2 when it saves them.
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"
# On the second stack a generator and a discriminator of each family, those with most parts.
ON_BOTH = ("sndcgan_{}", "biggan_{}_original", "stylegan2_{}_of_labels", "r3gan_{}", "fastgan_{}")
NAMES_ON_BOTH = {name.format(part) for name in ON_BOTH for part in ("generator", "discriminator")}
every_case = pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, id=case.name, marks=() if case.name in NAMES_ON_BOTH else pytest.mark.one_stack
        )
        for case in CASES
    ],
)


def trained(case, **kwargs):
    """A network away from its initial state, so that lost state shows."""
    network = case.network(**kwargs)
    rng = np.random.default_rng(5)
    for weight in floats(network):
        noise = rng.normal(size=weight.shape) * 0.05
        weight.assign(weight.numpy() + np.abs(noise).astype(np.float32))
    return network


def floats(network):
    """The weights but for counts."""
    return [weight for weight in network.weights if "int" not in str(weight.dtype)]


def values(network):
    return [weight.numpy().copy() for weight in network.weights]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def gradients(network, inputs, training=False):
    with tf.GradientTape() as tape:
        outputs = network(inputs, training=training)
        # Not a random tensor: XLA draws other numbers from the same seed.
        weights = np.random.default_rng(6).normal(size=outputs.shape).astype(np.float32)
        loss = tf.reduce_sum(outputs * weights)
    return tape.gradient(loss, network.trainable_weights)


@every_case
def test_a_graph_in_training_equals_eager(case):
    network, inputs = trained(case), case.inputs()
    graph = tf.function(lambda x: network(x, training=True), input_signature=[case.spec])
    with hold_power_iteration(network):
        expected = network(inputs, training=True)
        np.testing.assert_allclose(graph(inputs), expected, rtol=1e-5, atol=1e-5)


@every_case
def test_a_graph_of_any_batch_size_equals_eager(case):
    network = trained(case)
    graph = tf.function(lambda x: network(x, training=False), input_signature=[case.spec])
    for batch in (1, 3):
        inputs = case.inputs(batch)
        expected = network(inputs, training=False)
        np.testing.assert_allclose(graph(inputs), expected, rtol=1e-5, atol=1e-5)
    shape = graph.get_concrete_function().output_shapes
    assert shape[0] is None
    assert shape[1:] == expected.shape[1:]
    assert tuple(network.compute_output_shape(case.input_shape)) == tuple(shape)


@every_case
@pytest.mark.parametrize("training", [pytest.param(False, marks=pytest.mark.slow), True])
def test_xla_forward(case, training):
    network, inputs = trained(case), case.inputs()
    compiled = tf.function(lambda x: network(x, training=training), jit_compile=True)
    with hold_power_iteration(network):
        expected = network(inputs, training=training)
        np.testing.assert_allclose(compiled(inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@every_case
def test_xla_gradients(case):
    network, inputs = trained(case), case.inputs()
    compiled = tf.function(lambda x: gradients(network, x), jit_compile=True)
    for ours, expected in zip(compiled(inputs), gradients(network, inputs), strict=True):
        scale = np.max(np.abs(expected)) + 1e-6
        np.testing.assert_allclose(ours / scale, expected / scale, atol=1e-3)


@every_case
def test_config_round_trip(case):
    network, inputs = trained(case), case.inputs()
    copy = type(network).from_config(network.get_config())
    assert copy.get_config() == network.get_config()
    copy.build(case.input_shape)
    copy.set_weights(network.get_weights())
    np.testing.assert_array_equal(copy(inputs), network(inputs))


@every_case
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.filterwarnings(ARRAY_COPY)
def test_keras_format(case, dtype, tmp_path):
    network, inputs = trained(case, dtype=dtype), case.inputs()
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.get_config() == network.get_config()
    assert_same(values(loaded), values(network))
    np.testing.assert_array_equal(loaded(inputs), network(inputs))


@pytest.mark.slow
@every_case
def test_saved_model(case, tmp_path):
    network, inputs = trained(case), case.inputs()
    serve = tf.function(lambda x: network(x, training=False), input_signature=[case.spec])
    module = tf.Module()
    module.network, module.serve = network, serve
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded.serve(inputs), network(inputs), rtol=1e-5, atol=1e-5)


@every_case
def test_checkpoint(case, tmp_path):
    network, other, inputs = trained(case), case.network(seed=9), case.inputs()
    path = tf.train.Checkpoint(network=network).save(str(tmp_path / "checkpoint"))
    status = tf.train.Checkpoint(network=other).restore(path)
    status.assert_existing_objects_matched()
    status.assert_consumed()
    assert_same(values(other), values(network))
    np.testing.assert_array_equal(other(inputs), network(inputs))


@every_case
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision(case, dtype):
    # Steps of the test leave logits that are more than float16 holds.
    make = trained if dtype == "bfloat16" else type(case).network
    precise, network, inputs = make(case), make(case, dtype=f"mixed_{dtype}"), case.inputs()
    assert network.compute_dtype == dtype
    assert {weight.numpy().dtype for weight in floats(network)} == {np.dtype("float32")}
    network.set_weights(precise.get_weights())
    outputs, expected = network(inputs), precise(inputs)
    assert outputs.dtype == tf.float32
    # Processors sum products of bfloat16 in ways of their own.
    np.testing.assert_allclose(outputs, expected, rtol=0.1, atol=0.1)
    assert np.any(outputs.numpy() != expected.numpy())
    for gradient in gradients(network, inputs, training=True):
        assert gradient.dtype == tf.float32
        assert np.all(np.isfinite(gradient))


@every_case
def test_gradients_reach_every_weight(case):
    # Not in training: a batch norm cancels the bias before it.
    network = trained(case)
    for weight, gradient in zip(
        network.trainable_weights, gradients(network, case.inputs()), strict=True
    ):
        assert gradient is not None, weight.name
        assert np.max(np.abs(gradient)) > 0.0, weight.name


@every_case
def test_gradients_reach_the_inputs_twice(case):
    network, inputs = trained(case), case.inputs()
    watched = tf.nest.flatten(inputs)[0]
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(watched)
            loss = tf.reduce_sum(network(inputs, training=True))
        penalty = tf.reduce_sum(inner.gradient(loss, watched) ** 2)
    found = outer.gradient(penalty, network.trainable_weights)
    assert float(penalty) > 0.0
    linear = {id(w) for name in case.linear for w in getattr(network, name).weights}
    kernels = [
        gradient
        for weight, gradient in zip(network.trainable_weights, found, strict=True)
        if len(weight.shape) > 1 and id(weight) not in linear
    ]
    for gradient in kernels:
        assert np.all(np.isfinite(gradient))
        assert np.max(np.abs(gradient)) > 0.0


@every_case
def test_the_seed_decides_the_initial_weights(case):
    assert_same(values(case.network(seed=0)), values(case.network(seed=0)))
    first, other, fresh, fresh_too = (
        [weight.numpy() for weight in case.network(seed=seed).trainable_weights]
        for seed in (0, 1, None, None)
    )
    for one, another in ((first, other), (fresh, fresh_too), (first, fresh)):
        # Some start at 0 whatever the seed.
        pairs = zip(one, another, strict=True)
        kernels = [(a, b) for a, b in pairs if a.ndim > 1 and (np.any(a) or np.any(b))]
        assert kernels
        assert all(np.any(a != b) for a, b in kernels)


@every_case
def test_a_forward_pass_changes_what_it_may(case):
    network, inputs = trained(case), case.inputs()
    before = values(network)
    network(inputs, training=False)
    gradients(network, inputs)
    assert_same(values(network), before)
    tf.function(lambda: network(inputs, training=True))()
    changed = [np.any(a != b) for a, b in zip(before, values(network), strict=True)]
    trainable = [any(w is t for t in network.trainable_weights) for w in network.weights]
    assert not any(c and t for c, t in zip(changed, trainable, strict=True))
    assert any(changed) != case.is_pure


@every_case
def test_weights_can_be_made_by_a_call(case):
    network = case.make(seed=0, dtype="float32")
    outputs = network(case.inputs())
    assert_same(values(network), values(case.network()))
    np.testing.assert_array_equal(outputs, case.network()(case.inputs()))


@every_case
def test_in_a_functional_model(case):
    network, inputs = trained(case), case.inputs()
    symbols = case.symbols()
    functional = keras.Model(symbols, network(symbols))
    np.testing.assert_array_equal(functional(inputs), network(inputs))
    assert len(functional.weights) == len(network.weights)
    before = values(network)
    tf.function(lambda: advance_power_iteration(functional))()
    spectral = [w for w in network.weights if w.name.split(":")[0] == "u"]
    changed = [np.any(a != b) for a, b in zip(before, values(network), strict=True)]
    assert sum(changed) <= len(spectral)
    assert any(changed) == bool(spectral)


@every_case
def test_two_replicas_have_the_weights_and_outputs_of_one(case, two_replicas):
    with two_replicas.scope():
        network = case.network()
    alone, inputs = case.network(), case.inputs()
    assert_same(values(network), values(alone))

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        half = tf.nest.map_structure(lambda x: tf.gather(tf.stack(tf.split(x, 2)), index), inputs)
        return network(half, training=True)

    results = tf.function(lambda: two_replicas.run(replica))()
    outputs = np.concatenate(two_replicas.experimental_local_results(results))
    np.testing.assert_allclose(outputs, alone(inputs, training=True), rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(values(network), values(alone), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


BLOCKS = [
    (SNDCGANDiscriminator(32, width=2), 7),
    (BigGANDiscriminator(32, width=2, attention=16), 4),
    (StyleGAN2Discriminator(32, width=2), 4),
    (StyleGAN2Discriminator(32, width=2, architecture="orig"), 4),
    (R3GANDiscriminator(32, width=2, depth=1, full_width_until=8), 4),
]


@pytest.mark.parametrize(("network", "count"), BLOCKS)
def test_blocks_hold_each_layer_but_the_head_once_and_may_be_frozen(network, count):
    blocks = network.blocks()
    assert len(blocks) == count
    layers = [layer for block in blocks for layer in block]
    assert len({id(layer) for layer in layers}) == len(layers)
    network.build((None, 32, 32, 3))
    (head,) = [n for n in network.layers if n.weights and not any(n is one for one in layers)]
    assert head.name == "to_logit"
    freeze_blocks(network, count)
    assert len(network.trainable_weights) == len(head.trainable_weights) > 0
    for wrong in (-1, count + 1):
        with pytest.raises(ValueError, match=f"has {count} blocks.*freeze_d={wrong}"):
            freeze_blocks(network, wrong)
