from types import SimpleNamespace

import keras
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
    for name in ("real", "real_aug", "fake", "fake_aug", "cr_real", "bcr_real", "bcr_fake")
}


def turn(mode="none"):
    outputs = {name: Outputs(tf.constant(v)) for name, v in LOGITS.items()}
    return SimpleNamespace(seen=0, outputs=outputs, mode=MODES[mode])


def change(kind, other=None):
    other = f"{kind}_aug" if other is None else other
    return (LOGITS[kind].astype(np.float64) - LOGITS[other])[:, 0] ** 2


def test_cr_and_bcr_are_their_formulas():
    np.testing.assert_allclose(CR(7.0).discriminator_term(turn()), 7 * change("real"), rtol=1e-5)
    expected = 7 * (change("real") + change("fake"))
    np.testing.assert_allclose(BCR(7.0).discriminator_term(turn()), expected, rtol=1e-5)


@pytest.mark.parametrize("augment", [None, "both"])
@pytest.mark.parametrize("name", ["cr", "bcr"])
def test_the_losses_see_plain_images_unless_asked(name, augment):
    gan = make_gan(policy="color", augment=augment, regularizers=f"{name}:10")
    assert gan.augment == ("none" if augment is None else augment)
    before = values(gan)
    gan.train_step(tf.constant(make_images(8)))
    after = values(gan)
    for group in ("generator", "discriminator"):
        assert any(np.any(a != b) for a, b in zip(before[group], after[group], strict=True))
    assert MODES[gan.augment].g_fake == ("fake" if augment is None else "fake_aug")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cr", "bcr"])
def test_they_fall_when_they_are_asked_for(name):
    # What D says must depend on the augmentation first: with a weight of 0 it is only measured.
    runs = {}
    for weight in (0.0, 100.0):
        gan = make_gan(
            policy="color",
            regularizers=f"{name}:{weight}",
            seed=1,
            optimizer=lambda: keras.optimizers.Adam(3e-3, beta_1=0.5),
        )
        gan.fit(make_images(64), batch_size=8, epochs=20, verbose=0)
        gan.regularizers[0].weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        runs[weight] = float(gan.train_step(tf.constant(make_images(64)))[name])
    assert runs[100.0] < runs[0.0] / 3, runs


@pytest.mark.parametrize("mode", ["none", "both"])
def test_a_policy_of_their_own_goes_on_top_of_what_d_sees(mode):
    aug = "_aug" if mode == "both" else ""
    cr, bcr = CR(7.0, policy="cutout"), BCR(7.0, policy="cutout")
    expected = 7 * change(f"real{aug}", "cr_real")
    np.testing.assert_allclose(cr.discriminator_term(turn(mode)), expected, rtol=1e-5)
    expected = 7 * (change(f"real{aug}", "bcr_real") + change(f"fake{aug}", "bcr_fake"))
    np.testing.assert_allclose(bcr.discriminator_term(turn(mode)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["cr", "bcr"])
def test_a_policy_of_their_own_leaves_the_runs_to_the_losses(name):
    text = f"{name}(policy='translation:0.25,cutout', weight=10)"
    gan = make_gan(policy="color", regularizers=text)
    assert gan.augment == "both"
    assert str(gan.regularizers[0]) == f"{name}(weight=10, policy='translation:0.25,cutout')"
    logs = gan.train_step(tf.constant(make_images(8)))
    assert float(logs[name]) > 0
    alone = make_gan(regularizers=f"{name}(policy=cutout)")
    assert alone.augment == "none"
    assert float(alone.train_step(tf.constant(make_images(8)))[name]) > 0


@pytest.mark.parametrize(
    ("policy", "message"), [("none", "Received: policy="), ("colour", "Did you mean 'color'")]
)
def test_a_policy_of_their_own_must_be_one(policy, message):
    with pytest.raises(ValueError, match=message):
        CR(policy=policy)
