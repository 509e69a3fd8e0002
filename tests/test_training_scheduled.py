"""Schedules in training, against their formulas in NumPy float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    assert_same_updates,
    make_gan,
    make_images,
    mixed_precision,
    values,
)
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.schedules import Schedule, as_schedule
from tf_diffaug.training import EMA, ScheduledAdam
from tf_diffaug.training.network_optimizer import LossScale, NetworkOptimizer
from tf_diffaug.training.scheduled import value_at

POLICY = "color,translation,cutout"
R3GAN = {  # brownvc/R3GAN, train.py, CIFAR10, in 20 million images
    "lr": (2e-4, 5e-5),
    "gamma": (0.05, 0.005),
    "beta2": (0.9, 0.99),
    "p": (0.0, 0.55),
    "half_life": (0.0, 5e6),
}


def restated(kind, start, end, images, seen):
    """A schedule's value in float64, the cosine as R3GAN's code spells it."""
    if seen > images:
        return end
    if kind == "linear":
        return start + (end - start) * seen / images
    return end + (start - end) * 0.5 * (1 + np.cos(np.pi * seen / images))


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("name", R3GAN)
def test_a_value_is_its_formula_and_stays_at_the_end(kind, name):
    start, end = R3GAN[name]
    schedule = Schedule(kind, start, end, 20e6)
    value = tf.function(lambda seen: value_at(schedule, seen), autograph=False)
    for seen in (0, 512, 1_234_567, 10_000_000, 19_999_999, 20_000_000, 20_000_512, 10**12):
        found = value(tf.constant(seen, tf.int64))
        assert found.dtype == tf.float32
        expected = restated(kind, start, end, 20e6, seen)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-7 * max(start, end))
    for seen, expected in ((0, start), (20_000_000, end), (10**12, end)):
        assert value(tf.constant(seen, tf.int64)).numpy() == np.float32(expected)


def test_a_constant_is_itself():
    assert value_at(0.3, tf.constant(5)) == 0.3


def adam_restated(gradients, rates, betas_1, betas_2, weight=1.0):
    """Adam whose moments are true weighted means, each weight written out."""
    for t in range(1, len(gradients) + 1):
        moments = []
        for betas, power in ((betas_1, 1), (betas_2, 2)):
            weights = [(1 - betas[i]) * np.prod(betas[i + 1 : t]) for i in range(t)]
            past = np.array(gradients[:t]) ** power
            moments.append(np.sum(weights * past) / np.sum(weights))
        weight -= rates[t - 1] * moments[0] / (np.sqrt(moments[1]) + 1e-8)
    return weight


@pytest.mark.parametrize(
    ("rate", "beta_1", "beta_2"),
    [
        ("cosine(0.1, 0.02, images=40)", 0.5, 0.99),
        (0.1, "linear(0, 0.9, images=60)", 0.99),
        (0.1, 0.0, "cosine(0.9, 0.99, images=80)"),
        ("linear(0.1, 0, images=200)", "linear(0.9, 0.1, images=50)", "cosine(0, 0.9, images=50)"),
    ],
)
def test_adam_is_the_restated_one(rate, beta_1, beta_2):
    gradients = np.random.default_rng(0).normal(size=15)
    adam = ScheduledAdam(rate, beta_1, beta_2)
    variable = tf.Variable(1.0)
    adam.build([variable])

    @tf.function(autograph=False)
    def update(gradient, seen):
        adam.advance(seen)
        adam.apply_gradients([(gradient, variable)])

    def along(value):
        value = as_schedule(value, "value")
        if not isinstance(value, Schedule):
            return [value] * 15
        facts = value.kind, value.start, value.end, value.images
        return [restated(*facts, 8 * k) for k in range(15)]

    for k, gradient in enumerate(gradients):
        update(tf.constant(gradient, tf.float32), tf.constant(8 * k, tf.int64))
        count = k + 1
        expected = adam_restated(
            gradients[:count], along(rate)[:count], along(beta_1)[:count], along(beta_2)[:count]
        )
        np.testing.assert_allclose(variable.numpy(), expected, rtol=2e-5, err_msg=str(k))


def test_of_constants_it_is_keras_adam_to_the_bit():
    weights = []
    for adam in (
        keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.999, epsilon=1e-8),
        ScheduledAdam(1e-3),
    ):
        variable = tf.Variable([1.0, -2.0])
        optimizer = NetworkOptimizer(adam, [variable])
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.sin(variable) * variable)
            optimizer.apply(tape, loss)
        weights.append(variable.numpy())
    np.testing.assert_array_equal(*weights)


def test_its_config_makes_it_again():
    adam = ScheduledAdam(
        "cosine(1e-3, 0, images=9)", 0, "linear(0.9, 0.99, images=9)", clipnorm=2.0
    )
    again = ScheduledAdam.from_config(adam.get_config())
    assert again.get_config() == adam.get_config()
    assert again.schedules == adam.schedules
    assert set(again.schedules) == {"lr", "beta2"}
    assert again.clipnorm == 2.0


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": -1.0},
        {"learning_rate": "fast"},
        {"beta_1": 1.0},
        {"beta_2": "linear(0.9, 1, images=9)"},
    ],
)
def test_adams_values_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*Received"):
        ScheduledAdam(**options)


def test_an_update_that_the_loss_scale_leaves_out_does_not_count():
    results = []
    for factors in ([1.0, np.inf, 2.0], [1.0, 2.0]):
        weight = tf.Variable(1.0)
        adam = ScheduledAdam(0.1, "linear(0, 0.9, images=9)", "linear(0.9, 0.99, images=9)")
        optimizer = NetworkOptimizer(adam, [weight], scale=LossScale("generator"))

        @tf.function(autograph=False)
        def update(factor, seen, weight=weight, optimizer=optimizer):
            with tf.GradientTape() as tape:
                loss = optimizer.scaled(factor * weight)
            optimizer.apply(tape, loss, seen)

        for factor in factors:
            seen = 0 if factor == 1.0 else 4
            update(tf.constant(factor, tf.float32), tf.constant(seen, tf.int64))
        results.append([v.numpy() for v in (weight, *optimizer.state()[:-2])])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def scheduled_adam():
    return ScheduledAdam(
        "cosine(1e-3, 1e-4, images=40)", 0.0, "cosine(0.9, 0.99, images=40)", epsilon=1e-4
    )


SCHEDULED = {
    "policy": POLICY,
    "policy_probability": "linear(0, 1, images=64)",
    "regularizers": "r1(cosine(1, 0.1, images=40), every=2)",
    "ema": EMA(half_life="linear(0, 100, images=40)"),
    "optimizer": scheduled_adam,
}
EXPECTED = {
    "d_beta2": ("cosine", 0.9, 0.99, 40),
    "d_lr": ("cosine", 1e-3, 1e-4, 40),
    "ema_half_life": ("linear", 0, 100, 40),
    "g_beta2": ("cosine", 0.9, 0.99, 40),
    "g_lr": ("cosine", 1e-3, 1e-4, 40),
    "policy_probability": ("linear", 0, 1, 64),
    "r1_weight": ("cosine", 1, 0.1, 40),
}


@pytest.mark.parametrize("jit_compile", ["none", pytest.param("both", marks=pytest.mark.slow)])
def test_a_gan_follows_and_logs_them(jit_compile):
    gan = make_gan(**SCHEDULED, jit_compile=jit_compile, d_steps=2)
    assert sorted(gan.schedules) == list(EXPECTED)
    images = make_images(16 * 7).reshape(7, 16, 8, 8, 3)
    step = tf.function(gan.train_step, autograph=False)
    for k, batch in enumerate(images):
        logs = {name: float(value) for name, value in step(tf.constant(batch)).items()}
        assert np.all(np.isfinite(list(logs.values())))
        for name, facts in EXPECTED.items():
            expected = restated(*facts, 8 * (k + 1))
            np.testing.assert_allclose(logs[name], expected, rtol=1e-5, atol=1e-8, err_msg=name)
    assert gan.gauges().keys() == EXPECTED.keys()
    assert gan.images_seen.numpy() == 56


def test_images_are_counted_where_batches_are_not_alike():
    gan = make_gan(optimizer=scheduled_adam)
    history = gan.fit(make_images(20), batch_size=8, epochs=2, verbose=0).history
    assert gan.images_seen.numpy() == 40
    np.testing.assert_allclose(history["g_lr"][-1], 1e-4, rtol=1e-6)


@pytest.mark.parametrize("weight", ["cosin(1, 2, images=3)", "heavy", "linear(1, -1, images=3)"])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match=r"(r1 weight is a number, linear|is 0 or more).*Received"):
        make_gan(regularizers=f"r1({weight})")


def one_step_each(**options):
    gan = make_gan(**options, optimizer=lambda: keras.optimizers.SGD(0.0))
    return [float(gan.train_step(tf.constant(make_images(8)))["d_loss"]) for _ in range(3)]


def test_the_policy_is_applied_with_the_probability():
    always, never = one_step_each(policy=POLICY), one_step_each()
    assert one_step_each(policy=POLICY, policy_probability=1.0) == pytest.approx(always)
    assert one_step_each(policy=POLICY, policy_probability=0.0) == pytest.approx(never)
    rising = one_step_each(policy=POLICY, policy_probability="linear(0, 1, images=8)")
    assert rising == pytest.approx([never[0], *always[1:]])
    assert abs(always[0] - never[0]) > 1e-3


def test_the_probability_goes_with_a_level_that_is_steered():
    options = {"policy": "color,diffusion_noise", "regularizers": "diffusion(-1, kimg=0.01)"}
    always, half = one_step_each(**options), one_step_each(**options, policy_probability=0.5)
    assert all(np.isfinite(half))
    assert half != always


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "color", "policy_probability": 1.5}, r"is in \[0, 1\]"),
        ({"policy": "color", "policy_probability": "linear(-1, 1, images=2)"}, r"is in \[0, 1\]"),
        ({"policy": "color", "policy_probability": "often"}, "is a number, linear"),
        ({"policy_probability": 0.5}, "give a policy"),
        ({"policy": "color", "policy_probability": 0.5, "regularizers": "ada"}, "ada moves"),
    ],
)
def test_a_probability_of_nothing_is_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.* Received: policy_probability="):
        make_gan(**options)


def test_the_half_life_begins_with_the_weights_themselves():
    ema = EMA(half_life="cosine(0, 5e6, images=20e6)")
    for seen in (0, 5_000_000, 10**8):
        half_life = restated("cosine", 0, 5e6, 20e6, seen)
        expected = 0.5 ** (512 / max(half_life, 1e-8))
        found = ema.decay_at(tf.constant(0), 512, tf.constant(seen, tf.int64))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert float(ema.decay_at(tf.constant(0), 512, 0)) == 0.0
    with pytest.raises(ValueError, match="Received: half_life=linear"):
        EMA(half_life="linear(-1, 5, images=3)")


in_half_precision_too = pytest.mark.parametrize(
    "dtype", [None, pytest.param("float16", marks=pytest.mark.slow)]
)


def train(gan, first, count):
    images = make_images(8 * 6).reshape(6, 8, 8, 8, 3)
    step = tf.function(gan.train_step, autograph=False)
    for batch in images[first : first + count]:
        logs = step(tf.constant(batch))
    return {name: float(value) for name, value in logs.items()}


@in_half_precision_too
def test_a_resumed_gan_goes_on_where_it_was(tmp_path, dtype):
    def make():
        if dtype is None:
            return make_gan(**SCHEDULED)
        with mixed_precision(dtype):
            return make_gan(**SCHEDULED)

    whole, second = make(), make()
    train(whole, 0, 3)
    CheckpointStore(whole, tmp_path).save()
    CheckpointStore(second, tmp_path).restore()
    assert second.images_seen.numpy() == 24
    for group, expected in values(whole).items():
        for one, two in zip(expected, values(second)[group], strict=True):
            np.testing.assert_array_equal(one, two, err_msg=group)
    logs, others = train(whole, 3, 3), train(second, 3, 3)
    assert all(np.isfinite(list(logs.values())))
    for name in EXPECTED:
        assert logs[name] == others[name]
    for group, expected in values(whole).items():
        for one, two in zip(expected, values(second)[group], strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5, err_msg=group)


def test_without_schedules_a_gan_is_what_it_was():
    gan = make_gan()
    assert "images_seen" not in gan.state()
    logs = gan.train_step(tf.constant(make_images(8)))
    assert sorted(logs) == ["d_loss", "g_loss"]
    assert gan.images_seen.numpy() == 0


@in_half_precision_too
def test_two_replicas_end_where_one_does(two_replicas, dtype):
    def make():
        if dtype is None:
            return make_gan(**SCHEDULED)
        with mixed_precision(dtype):
            return make_gan(**SCHEDULED)

    one = make()
    with two_replicas.scope():
        two = make()
    start = values(one, "generator", "discriminator")
    histories = [
        gan.fit(make_images(40), batch_size=8, epochs=1, shuffle=False, verbose=0).history
        for gan in (one, two)
    ]
    for name in EXPECTED:
        assert histories[0][name] == histories[1][name]
    # In half precision a bias before a batch norm has a way of rounding, of which Adam makes steps.
    share = 0.02
    if dtype is not None:
        share = 0.2
        start.pop("generator")
    assert_same_updates(start, values(one, *start), values(two, *start), share=share)
    for letter in "gd":
        given, others = (getattr(gan, f"{letter}_optimizer").state() for gan in (one, two))
        assert len(given) == 3
        for a, b in zip(given, others, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    assert one.images_seen.numpy() == two.images_seen.numpy() == 40
