import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    assert_same_updates,
    descent,
    make_discriminator,
    make_gan,
    make_generator,
    make_images,
    mixed_precision,
    values,
)
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training import GAN
from tf_diffaug.training.network_optimizer import LossScale, NetworkOptimizer

POLICY = "color,translation,cutout"


def make_half(dtype="float16", **options):
    with mixed_precision(dtype):
        return make_gan(policy=POLICY, **options)


def steps(gan, count, size=8):
    """Takes steps; returns their losses."""
    images = tf.constant(make_images(size * count).reshape(count, size, 8, 8, 3))
    step = tf.function(gan.train_step, autograph=False)
    return [{k: float(v) for k, v in step(batch).items()} for batch in images]


def test_the_scale_falls_at_once_and_rises_after_many_finite_updates(monkeypatch):
    monkeypatch.setattr(LossScale, "GROWTH_STEPS", 3)
    scale, expected, steps = LossScale("generator"), 2.0**15, 0
    for finite in [True, True, False, True, True, True, True, False, False, *[True] * 7]:
        scale.update(tf.constant(finite))
        steps = steps + 1 if finite else 0
        if steps == 3:
            expected, steps = 2 * expected, 0
        expected = expected if finite else expected / 2
        assert float(scale.factor) == expected
    for _ in range(40):
        scale.update(tf.constant(False))
    assert float(scale.factor) == 1.0


@pytest.mark.parametrize(("scaled", "expected"), [(False, 0.0), (True, -1e-8)])
def test_gradients_that_float16_would_lose_arrive(scaled, expected):
    # 1e-8 is less than the least number above 0 that float16 has, 6e-8.
    weight = tf.Variable(0.0)
    scale = LossScale("discriminator") if scaled else None
    optimizer = NetworkOptimizer(keras.optimizers.SGD(1.0), [weight], scale=scale)
    with tf.GradientTape() as tape:
        loss = optimizer.scaled(1e-8 * tf.cast(tf.cast(weight, tf.float16), tf.float32))
    optimizer.apply(tape, loss)
    np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-3)


def test_an_update_with_a_gradient_that_is_not_finite_is_left_out():
    weights = [tf.Variable(1.0), tf.Variable(2.0)]
    adam = keras.optimizers.Adam(0.1)
    optimizer = NetworkOptimizer(adam, weights, scale=LossScale("generator"))

    @tf.function(autograph=False)
    def update(factor):
        with tf.GradientTape() as tape:
            loss = optimizer.scaled(factor * weights[0] + weights[1])
        optimizer.apply(tape, loss)

    before = [v.numpy() for v in optimizer.state()]
    update(tf.constant(np.inf))
    assert [float(v) for v in weights] == [1.0, 2.0]
    assert float(optimizer.scale.factor) == 2.0**14
    for old, variable in zip(before[:-2], optimizer.state(), strict=False):
        np.testing.assert_array_equal(variable.numpy(), old)
    update(tf.constant(1.0))
    np.testing.assert_allclose([float(v) for v in weights], [0.9, 1.9], rtol=1e-5)


@pytest.mark.parametrize(("half", "scaled"), [("G", "g"), ("D", "dg"), ("", "")])
def test_a_gradient_that_passes_float16_is_scaled(half, scaled):
    networks = []
    for letter, make in (("G", make_generator), ("D", make_discriminator)):
        with mixed_precision("float16") if letter == half else contextlib.nullcontext():
            networks.append(make())
    gan = GAN(*networks)
    gan.compile(descent(), descent())
    found = gan.train_step(tf.constant(make_images(8)))
    assert {f"{letter}_loss_scale" for letter in scaled} == {n for n in found if "scale" in n}


def test_one_replica_with_such_a_gradient_keeps_all_from_the_update(two_replicas):
    with two_replicas.scope():
        weight = tf.Variable(1.0, aggregation=tf.VariableAggregation.MEAN)
        optimizer = NetworkOptimizer(keras.optimizers.SGD(0.5), [weight], scale=LossScale("G"))

    @tf.function(autograph=False)
    def update(factors):
        def on_replica():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            with tf.GradientTape() as tape:
                loss = optimizer.scaled(tf.gather(factors, index) * weight)
            optimizer.apply(tape, loss)

        two_replicas.run(on_replica)

    for factors in ([1.0, np.inf], [np.nan, 1.0]):
        update(tf.constant(factors))
        copies = two_replicas.experimental_local_results(weight)
        assert [float(copy) for copy in copies] == [1.0, 1.0]
    assert [float(c) for c in two_replicas.experimental_local_results(optimizer.scale.factor)] == [
        2.0**13
    ] * 2
    update(tf.constant([0.25, 0.5]))  # summed over the replicas
    assert float(weight.numpy()) == 1.0 - 0.5 * 0.75


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_trains_as_float32_does(dtype):
    full, half = make_gan(policy=POLICY, optimizer=descent), make_half(dtype, optimizer=descent)
    assert half.generator.compute_dtype == half.discriminator.compute_dtype == dtype
    start = values(full, "generator", "discriminator")
    expected, found = steps(full, 10), steps(half, 10)
    assert_same_updates(start, values(full, *start), values(half, *start), share=0.2)
    for name in ("d_loss", "g_loss"):
        np.testing.assert_allclose(
            [logs[name] for logs in found], [logs[name] for logs in expected], atol=0.05
        )
    scales = {f"{letter}_loss_scale" for letter in "dg"}
    assert scales & found[-1].keys() == (scales if dtype == "float16" else set())


@pytest.mark.slow
def test_two_replicas_end_where_one_does_in_float16(two_replicas):
    one = make_half(optimizer=descent)
    with two_replicas.scope():
        two = make_half(optimizer=descent)
    start = values(one, "generator", "discriminator")
    for gan in (one, two):
        gan.fit(make_images(40), batch_size=8, epochs=1, shuffle=False, verbose=0)
    assert_same_updates(start, values(one, *start), values(two, *start), share=0.1)
    assert one.g_update.scale.factor.numpy() == two.g_update.scale.factor.numpy()


def test_a_resumed_run_in_float16_has_its_scales(tmp_path, monkeypatch):
    monkeypatch.setattr(LossScale, "GROWTH_STEPS", 2)
    whole, second = make_half(), make_half()
    images = tf.constant(make_images(8))
    for gan, count in ((whole, 3),):
        for _ in range(count):
            gan.train_step(images)
    CheckpointStore(whole, tmp_path).save()
    assert CheckpointStore(second, tmp_path).restore() == 3
    for gan in (whole, second):
        gan.train_step(images)
    for group, expected in values(whole).items():
        for one, two in zip(expected, values(second)[group], strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5, err_msg=group)
    assert float(second.d_update.scale.factor) > LossScale.INITIAL


def compiled_functions(gan):
    graph = tf.function(gan.train_step, autograph=False).get_concrete_function(
        tf.TensorSpec((8, 8, 8, 3), tf.uint8)
    )
    calls = [op for op in graph.graph.get_operations() if "PartitionedCall" in op.type]
    return [call.name for call in calls if call.get_attr("_XlaMustCompile")]


@pytest.mark.parametrize(
    ("jit_compile", "count"),
    [
        pytest.param(False, 0, marks=pytest.mark.slow),
        ("none", 0),
        ("generator", 1),
        ("discriminator", 2),
        pytest.param("both", 3, marks=pytest.mark.slow),
        (True, 3),
    ],
)
def test_xla_compiles_the_updates_of_the_network_asked_for(jit_compile, count):
    gan = make_gan(policy=POLICY, jit_compile=jit_compile, d_steps=2)
    assert len(compiled_functions(gan)) == count


def test_a_compiled_update_trains(rng):
    gan = make_gan(policy=POLICY, jit_compile="both", regularizers="r1(1, every=2)", d_steps=2)
    before = values(gan, "generator", "discriminator")
    for logs in steps(gan, 3):
        assert np.all(np.isfinite(list(logs.values())))
    for group in before:
        assert any(np.any(a != b) for a, b in zip(before[group], values(gan)[group], strict=True))


def test_xla_without_draws_gives_the_same_updates():
    # Of constant latents and images nothing is drawn but G's latents, which XLA draws its own way:
    # D's update on fakes that do not depend on them is the same.
    def trained(jit_compile):
        gan = make_gan(jit_compile=jit_compile, optimizer=descent)
        for variable in gan.generator.trainable_variables[:1]:
            variable.assign(tf.zeros_like(variable))
        before = values(gan, "discriminator")
        steps(gan, 1)
        return before, values(gan, "discriminator")

    (start, plain), (_, compiled) = trained("none"), trained("discriminator")
    assert_same_updates(start, plain, compiled)


def test_what_cannot_be_compiled_is_refused(two_replicas):
    with pytest.raises(ValueError, match="Received: jit_compile='gen'"):
        make_gan(jit_compile="gen")
    with two_replicas.scope(), pytest.raises(ValueError, match="one replica alone"):
        make_gan(jit_compile="both")
