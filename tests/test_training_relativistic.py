"""A paired loss in the step: G's own reals, the labels of pairs, and what may not go with it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    LATENT_DIM,
    NUM_CLASSES,
    assert_same_updates,
    descent,
    make_conditional_gan,
    make_gan,
    make_images,
    mixed_precision,
    values,
)
from tf_diffaug.images import to_float
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.strategy import make_strategy

POLICY = "color,translation,cutout"


def still():
    return keras.optimizers.SGD(0.0)


def softplus(x):
    return np.log1p(np.exp(x))


def judge(gan, images, labels=None):
    inputs = images if labels is None else (images, labels)
    return gan.discriminator(inputs).numpy().ravel().astype(np.float64)


@pytest.mark.parametrize("augment", ["none", "both", "reals"])
def test_both_losses_are_of_pairs_and_g_has_reals_of_its_own(augment):
    gan = make_gan(
        loss="relativistic",
        policy="none" if augment == "none" else POLICY,
        augment=augment,
        d_steps=2,
        optimizer=still,
    )
    images = make_images(12)
    logs = gan.train_step(tf.constant(images))
    reals = to_float(tf.constant(images))
    losses = []
    for update in range(3):
        draws = Draws(0, tf.constant(update, tf.int64), 4, gan.augmenter)
        fakes = gan.generator(draws.latents(LATENT_DIM), training=True)
        real, fake = reals[update::3], fakes
        if augment != "none":
            real = draws.augmentation("augment_real")(real)
        if augment == "both":
            purpose = "augment_generator" if update == 2 else "augment_fake"
            fake = draws.augmentation(purpose)(fake)
        margin = judge(gan, real) - judge(gan, fake)
        losses.append(np.mean(softplus(margin if update == 2 else -margin)))
    np.testing.assert_allclose(logs["d_loss"], np.mean(losses[:2]), rtol=1e-4)
    np.testing.assert_allclose(logs["g_loss"], losses[2], rtol=1e-4)


def test_a_fake_has_the_label_of_the_real_beside_it():
    gan = make_conditional_gan(loss="relativistic", optimizer=still)
    images = make_images(8)
    labels = np.arange(8, dtype=np.int32) % NUM_CLASSES
    logs = gan.train_step((tf.constant(images), tf.constant(labels)))
    reals = to_float(tf.constant(images))
    for update, name in enumerate(("d_loss", "g_loss")):
        draws = Draws(0, tf.constant(update, tf.int64), 4, gan.augmenter)
        own = tf.constant(labels[update::2])
        fakes = gan.generator((draws.latents(LATENT_DIM), own), training=True)
        margin = judge(gan, reals[update::2], own) - judge(gan, fakes, own)
        expected = np.mean(softplus(-margin if name == "d_loss" else margin))
        np.testing.assert_allclose(logs[name], expected, rtol=1e-4)


def test_the_gradient_of_each_loss_moves_its_own_network():
    gan = make_gan(loss="relativistic", regularizers="r1(1),r2(1)", optimizer=still)
    moving = keras.optimizers.SGD(0.1)
    for mine, other, optimizers in (
        ("generator", "discriminator", (moving, still())),
        ("discriminator", "generator", (still(), keras.optimizers.SGD(0.1))),
    ):
        gan.compile(*optimizers)
        # Spectral norms advance by themselves: what is trained is what must stay.
        trained = getattr(gan, other).trainable_variables
        before = values(gan, mine), [v.numpy() for v in trained]
        gan.train_step(tf.constant(make_images(8)))
        assert any(
            np.any(a != b) for a, b in zip(before[0][mine], values(gan, mine)[mine], strict=True)
        )
        for old, variable in zip(before[1], trained, strict=True):
            np.testing.assert_array_equal(variable.numpy(), old)


@pytest.mark.slow
def test_it_trains_and_its_value_falls():
    # D alone, against a G that stands still.
    gan = make_gan(loss="relativistic", regularizers="r1(0.01),r2(0.01)", policy=POLICY)
    gan.compile(still(), keras.optimizers.Adam(3e-3))
    images = (make_images(64) // 8).astype(np.uint8)  # dark, which the fakes are not
    losses = [
        float(gan.train_step(tf.constant(images[np.arange(32) + 32 * (k % 2)]))["d_loss"])
        for k in range(40)
    ]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_two_replicas_end_where_one_does(two_replicas):
    def trained(strategy):
        with strategy.scope():
            gan = make_gan(
                loss="relativistic",
                policy=POLICY,
                regularizers="r1(1, every=2),r2(1)",
                optimizer=descent,
            )
        start = values(gan, "generator", "discriminator")
        dataset = tf.data.Dataset.from_tensor_slices(make_images(64)).batch(16)
        gan.fit(dataset.repeat(), steps_per_epoch=10, verbose=0)
        return start, values(gan, "generator", "discriminator")

    (start, one), (_, two) = trained(make_strategy("one_device")), trained(two_replicas)
    assert_same_updates(start, one, two)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_is_finite_in_half_precision_and_its_value_float32(dtype):
    with mixed_precision(dtype):
        gan = make_gan(loss="relativistic", regularizers="r1(1),r2(1)", policy=POLICY)
    for _ in range(2):
        logs = gan.train_step(tf.constant(make_images(8)))
    assert {value.dtype for value in logs.values()} == {tf.float32}
    assert all(np.isfinite(value) for value in logs.values()), logs
    gan.check_finite()


def test_it_compiles_with_xla():
    gan = make_gan(loss="relativistic", regularizers="r1(1),r2(1)", optimizer=still)
    images = tf.constant(make_images(8))
    logs = [
        {name: float(value) for name, value in run(images).items()}
        for run in (
            tf.function(gan.train_step, autograph=False, jit_compile=True),
            gan.train_step,
        )
    ]
    # XLA draws other latents than a graph, so that values are alike, not equal.
    assert logs[0].keys() == logs[1].keys()
    for name, value in logs[1].items():
        np.testing.assert_allclose(logs[0][name], value, rtol=0.5, err_msg=name)


def test_measured_signs_are_of_pairs():
    gan = make_gan(loss="relativistic")
    bias = gan.discriminator.trainable_variables[-1]
    logs = []
    for value in (-100.0, 100.0):  # which no difference sees
        bias.assign([value])
        images = to_float(tf.constant(make_images(16)))
        logs.append(gan.measure(images, step=tf.constant(0, tf.int64)))
    for name in ("accuracy_real_aug", "accuracy_fake_aug", "accuracy_fake", "r_t"):
        assert float(logs[0][name]) == float(logs[1][name])


@pytest.mark.parametrize("name", ["ada", "apa", "diffusion", "js"])
def test_what_reads_single_logits_is_refused(name):
    policy = f"{POLICY},diffusion_noise"
    with pytest.raises(ValueError, match=f"{name} reads single .*Received: loss='relativistic'"):
        make_gan(loss="relativistic", policy=policy, augment="both", regularizers=name)


def test_what_labels_the_reals_of_d_alone_is_refused():
    with pytest.raises(ValueError, match=r"s3gan labels reals .*Received: loss='relativistic'"):
        make_conditional_gan(loss="relativistic", regularizers="s3gan")
