from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_gan, make_images, values
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import BCR, CR

RNG = np.random.default_rng(0)
LOGITS = {
    name: RNG.normal(size=(6, 1)).astype(np.float32)
    for name in ("real", "real_aug", "fake", "fake_aug")
}


def turn():
    return SimpleNamespace(outputs={name: Outputs(tf.constant(v)) for name, v in LOGITS.items()})


def change(kind):
    return (LOGITS[kind].astype(np.float64) - LOGITS[f"{kind}_aug"])[:, 0] ** 2


def test_cr_and_bcr_are_their_formulas():
    np.testing.assert_allclose(CR(7.0).discriminator_term(turn()), 7 * change("real"), rtol=1e-5)
    expected = 7 * (change("real") + change("fake"))
    np.testing.assert_allclose(BCR(7.0).discriminator_term(turn()), expected, rtol=1e-5)


@pytest.mark.parametrize("augment", [None, "both"])
@pytest.mark.parametrize("name", ["cr", "bcr"])
def test_t_stands_in_the_regularizer_alone_unless_asked(name, augment):
    gan = make_gan(policy="color", augment=augment, regularizers=f"{name}:10")
    assert gan.augment == ("none" if augment is None else augment)
    before = values(gan)
    gan.train_step(tf.constant(make_images(8)))
    after = values(gan)
    for group in ("generator", "discriminator"):
        assert any(np.any(a != b) for a, b in zip(before[group], after[group], strict=True))
    assert MODES[gan.augment].g_fake == ("fake" if augment is None else "fake_aug")


@pytest.mark.parametrize("name", ["cr", "bcr"])
def test_they_fall_when_they_are_asked_for(name):
    # What D says must depend on T first: with a weight of 0 it is only measured.
    runs = {}
    for weight in (0.0, 100.0):
        gan = make_gan(policy="color", regularizers=f"{name}:{weight}", seed=1)
        gan.fit(make_images(64), batch_size=8, epochs=15, verbose=0)
        gan.regularizers[0].weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        runs[weight] = float(gan.train_step(tf.constant(make_images(64)))[name])
    assert runs[100.0] < runs[0.0] / 2
