from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    LATENT_DIM,
    make_conditional_gan,
    make_gan,
    make_images,
)
from tf_diffaug._keras import raw_variables
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import ZCR, Update, parse_regularizers
from tf_diffaug.training.views import Views


def descent():
    return keras.optimizers.SGD(0.02)


def make_turn(gan, mode="none", batch_size=6):
    draws = Draws(0, tf.constant(3, tf.int64), batch_size, None)
    labels = draws.labels(gan.label_frequencies)
    inputs = draws.latents(LATENT_DIM)
    inputs = inputs if labels is None else (inputs, labels)
    views = Views(
        None,
        tf.cast(gan.generator(inputs, training=True), tf.float32),
        augment_real=None,
        augment_fake=None,
        labels={"fake": labels},
    )
    return Update(gan.networks, draws, views, {}, MODES[mode], tf.constant(0, tf.int64))


def test_ds_term_is_its_formula(rng):
    near, plain = rng.normal(size=(2, 6, 1)).astype(np.float32)
    outputs = {"fake": Outputs(tf.constant(plain)), "zcr_fake": Outputs(tf.constant(near))}
    found = ZCR(7.0).discriminator_term(SimpleNamespace(seen=0, outputs=outputs))
    np.testing.assert_allclose(found, 7 * (plain - near.astype(np.float64))[:, 0] ** 2, rtol=1e-5)


@pytest.mark.parametrize("make", [make_gan, make_conditional_gan])
def test_gs_term_is_its_formula_with_the_same_labels(make):
    gan, term = make(), ZCR(1.0, generator_weight=3.0, sigma=0.4)
    turn = make_turn(gan)
    found = term.generator_term(turn).numpy()
    assert term.discriminator_views(turn) == ("fake", "zcr_fake")
    fake, near = (turn.views[name].numpy().astype(np.float64) for name in ("fake", "zcr_fake"))
    np.testing.assert_allclose(found, -3 * ((fake - near) ** 2).mean(axis=(1, 2, 3)), rtol=1e-4)
    assert found.max() < -1e-4
    turn = make_turn(gan)  # a step of no length leads to the same images: nothing else differs
    np.testing.assert_allclose(ZCR(sigma=1e-7).generator_term(turn), np.zeros(6), atol=1e-9)


def test_the_labels_are_the_fakes_under_a_paired_loss_too():
    # A step of no length leads to the same images, unless they have other labels.
    gan = make_conditional_gan(loss="relativistic", regularizers="zcr(1, sigma=1e-7)")
    labels = tf.constant(np.arange(16) % 3, tf.int32)
    logs = gan.train_step((tf.constant(make_images(16)), labels))
    assert abs(float(logs["zcr"])) < 1e-8
    assert abs(float(logs["g_zcr"])) < 1e-8


def test_the_step_is_normal_and_of_its_size():
    seen = []

    class Remembering:
        def call(self, latents, training):
            seen.append(latents.numpy())
            return tf.zeros([latents.shape[0], 8, 8, 3])

        __call__ = call

    gan = SimpleNamespace(generator=Remembering(), latent_dim=50, label_frequencies=None)
    draws = Draws(0, tf.constant(1, tf.int64), 400, None)
    views = Views(None, tf.zeros([400, 8, 8, 3]), augment_real=None, augment_fake=None)
    turn = Update(gan, draws, views, {}, MODES["none"], tf.constant(0, tf.int64))
    ZCR(sigma=0.05).generator_term(turn)
    step = (seen[0] - draws.latents(50).numpy()) / 0.05
    assert abs(step.mean()) < 0.03
    assert abs(step.std() - 1) < 0.03
    assert abs(np.corrcoef(step.ravel(), draws.latents(50).numpy().ravel())[0, 1]) < 0.03


def test_ds_term_moves_d_alone_and_gs_g_alone():
    gan, term = make_gan(), ZCR(1.0, sigma=0.5)
    d = [v for v in raw_variables(gan.discriminator, trainable=True) if len(v.shape) > 1]
    g = [v for v in raw_variables(gan.generator, trainable=True) if len(v.shape) > 1]
    turn = make_turn(gan)
    names = term.discriminator_views(turn)
    with tf.GradientTape() as tape:
        turn.outputs.update({n: Outputs(gan.discriminator(turn.views[n])) for n in names})
        total = tf.reduce_sum(term.discriminator_term(turn))
    found = tape.gradient(total, d + g)
    assert all(np.abs(v).max() > 0 for v in found[: len(d)])
    assert all(v is None for v in found[len(d) :])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(term.generator_term(make_turn(gan)))
    found = tape.gradient(total, d + g)
    assert all(v is None for v in found[: len(d)])
    assert all(np.abs(v).max() > 0 for v in found[len(d) :])


@pytest.mark.parametrize("augment", ["none", "both"])
def test_a_step_logs_both_terms_on_plain_images(augment):
    policy = None if augment == "none" else "color"
    gan = make_gan(policy=policy, regularizers="zcr", views="separate")
    assert gan.augment == augment
    passes, judge = [], gan.discriminator.call

    def counted(inputs, *args, **kwargs):
        passes.append(inputs)
        return judge(inputs, *args, **kwargs)

    gan.discriminator.call = counted
    logs = gan.train_step(tf.constant(make_images(8)))
    assert float(logs["zcr"]) > 0 > float(logs["g_zcr"])
    assert len(passes) == (3 if augment == "none" else 4) + 1


def test_d_flattens_where_it_is_asked_to():
    runs = {}
    for weight in (0.0, 1000.0):
        gan = make_gan(
            regularizers=f"zcr({weight}, generator_weight=0)", loss="wasserstein", seed=1
        )
        # Before a G that moves, D's part would be a matter of where G went.
        gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.Adam(3e-3, beta_1=0.5))
        gan.fit(make_images(64), batch_size=8, epochs=8, verbose=0)
        gan.regularizers[0].weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        runs[weight] = float(gan.train_step(tf.constant(make_images(64)))["zcr"])
    assert runs[1000.0] < runs[0.0] / 5, runs


def test_gs_images_part_where_they_are_asked_to():
    runs = {}
    for weight in (0.0, 100.0):
        gan = make_gan(regularizers=f"zcr(0, generator_weight={weight}, sigma=1)", seed=1)
        gan.compile(*(keras.optimizers.Adam(rate, beta_1=0.5) for rate in (5e-3, 1e-3)))
        gan.fit(make_images(64), batch_size=8, epochs=8, verbose=0)
        gan.regularizers[0].generator_weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        runs[weight] = float(gan.train_step(tf.constant(make_images(64)))["g_zcr"])
    assert runs[100.0] < 1.3 * runs[0.0] < 0, runs


def test_icr_is_bcr_and_zcr():
    gan = make_gan(policy="color", regularizers="bcr:10,zcr")
    assert gan.augment == "none"
    logs = gan.train_step(tf.constant(make_images(8)))
    assert {"d_loss", "bcr", "zcr", "g_loss", "g_zcr"} <= set(logs)


def test_it_is_read_and_written():
    (term,) = parse_regularizers("zcr:5")
    assert str(term) == "zcr(weight=5, generator_weight=0.5, sigma=0.05)"
    assert str(parse_regularizers(str(term))[0]) == str(term)
    for wrong in ("generator_weight=-1", "generator_weight=x", "sigma=0", "sigma=x"):
        with pytest.raises(ValueError, match="Received: zcr"):
            parse_regularizers(f"zcr({wrong})")
