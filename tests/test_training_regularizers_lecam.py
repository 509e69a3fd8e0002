from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_gan, make_images
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import LeCam, parse_regularizers


def turn(real, fake, index, d_steps=1):
    outputs = {
        "real_aug": Outputs(tf.constant(real, tf.float32)[:, None]),
        "fake_aug": Outputs(tf.constant(fake, tf.float32)[:, None]),
    }
    return SimpleNamespace(
        outputs=outputs,
        mode=MODES["both"],
        index=tf.constant(index, tf.int64),
        networks=SimpleNamespace(d_steps=d_steps),
        seen=0,
    )


def test_lecam_is_its_formula_step_by_step():
    term = LeCam(0.5, decay=0.9, start=2)
    term.build(None)
    rng = np.random.default_rng(0)
    means = np.zeros(2)
    for index in range(8):
        step = index // 2
        real, fake = rng.normal(0.5, 1, 5), rng.normal(-0.5, 1, 5)
        decay = 0.9 if step >= 2 else 0.0
        means = decay * means + (1 - decay) * np.array([real.mean(), fake.mean()])
        expected = np.maximum(real - means[1], 0) ** 2 + np.maximum(means[0] - fake, 0) ** 2
        expected *= 0.5 * (step > 2)
        found = term.discriminator_term(turn(real, fake, index, d_steps=2))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(term.variables[0], means, rtol=1e-5)
    assert np.all(expected > 0)


def test_the_means_do_not_start_from_0():
    term = LeCam(1.0, start=0)
    term.build(None)
    for index in range(4):
        found = term.discriminator_term(turn([4.0], [-3.0], index, d_steps=2))
        np.testing.assert_allclose(term.variables[0], [4, -3], rtol=1e-6)
        np.testing.assert_allclose(found, [98.0 if index >= 2 else 0.0], rtol=1e-6)


def test_every_logit_of_a_patch_discriminator_counts():
    term = LeCam(1.0, start=0)
    term.build(None)
    real, fake = np.random.default_rng(0).normal(size=(2, 3, 2, 2, 1))
    outputs = {"real": Outputs(tf.constant(real)), "fake": Outputs(tf.constant(fake))}
    for index in range(2):
        step, gan = tf.constant(index, tf.int64), SimpleNamespace(d_steps=1)
        shown = SimpleNamespace(
            outputs=outputs, mode=MODES["none"], index=step, networks=gan, seen=0
        )
        found = term.discriminator_term(shown)
    expected = np.maximum(real - fake.mean(), 0) ** 2 + np.maximum(real.mean() - fake, 0) ** 2
    np.testing.assert_allclose(found, expected.mean(axis=(1, 2, 3)), rtol=1e-5)


def test_the_means_get_no_gradient():
    term = LeCam(1.0, start=0)
    term.build(None)
    real = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        outputs = turn([0.0, 0.0], [0.0, 0.0], 1)
        outputs.outputs["real_aug"] = Outputs(real[:, None])
        total = tf.reduce_sum(term.discriminator_term(outputs))
    means = term.variables[0].numpy()
    np.testing.assert_allclose(tape.gradient(total, real), 2 * (real.numpy() - means[1]), rtol=1e-5)


@pytest.mark.slow
def test_lecam_falls_when_it_is_asked_for():
    runs = {}
    for weight in (0.0, 10.0):
        gan = make_gan(regularizers=f"lecam({weight}, start=0)", loss="wasserstein", seed=1)
        gan.fit(make_images(64), batch_size=8, epochs=12, verbose=0)
        gan.regularizers[0].weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        runs[weight] = float(gan.train_step(tf.constant(make_images(64)))["lecam"])
    assert runs[10.0] < runs[0.0] / 2, runs


def test_it_is_read_and_written():
    (term,) = parse_regularizers("lecam(0.3, start=10)")
    assert str(term) == "lecam(weight=0.3, decay=0.9, start=10)"
    for wrong in ("decay=1", "decay=x", "start=-1", "start=1.5"):
        with pytest.raises(ValueError, match="Received: lecam"):
            parse_regularizers(f"lecam({wrong})")
