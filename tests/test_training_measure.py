import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_conditional_gan, make_gan, make_images
from tf_diffaug import random
from tf_diffaug.images import to_float

STEP = tf.constant(3, tf.int64)


def judged(gan, images):
    return gan.discriminator(images).numpy()[:, 0].astype(np.float64)


@pytest.mark.parametrize("augment", [None, "reals", "d_only", "both"])
def test_the_overfitting_gauges_are_their_formulas(augment):
    policy = None if augment is None else "color,translation"
    gan = make_gan(policy=policy, augment=augment)
    reals, held_out = (to_float(tf.constant(make_images(16, seed))) for seed in (0, 1))
    logs = gan.measure(reals, held_out=(held_out, None), step=STEP)
    seed = random.derive(gan.seed, "augment", step=STEP)
    latents = random.normal([16, gan.latent_dim], random.derive(gan.seed, "measure", step=STEP))
    fakes = gan.generator(latents, training=False)
    params = gan.augmenter.sample(reals.shape, seed)
    if augment is not None:
        reals, held_out = (gan.augmenter.apply(images, params) for images in (reals, held_out))
    if augment in ("d_only", "both"):
        fakes = gan.augmenter.apply(fakes, params)
    real, held, fake = (judged(gan, images) for images in (reals, held_out, fakes))
    np.testing.assert_allclose(logs["r_t"], np.sign(real).mean(), atol=1e-6)
    expected = (real.mean() - held.mean()) / (real.mean() - fake.mean())
    np.testing.assert_allclose(logs["r_v"], expected, rtol=1e-3)
    np.testing.assert_allclose(logs["accuracy_held_out"], (held > 0).mean(), atol=1e-6)


def test_without_held_out_images_there_is_nothing_of_them():
    gan = make_gan()
    reals = to_float(tf.constant(make_images(8)))
    assert not {"r_v", "accuracy_held_out"} & set(gan.measure(reals, step=STEP))


@pytest.mark.parametrize("loss", ["hinge", "relativistic"])
def test_more_or_fewer_images_may_be_held_out(loss):
    gan = make_gan(loss=loss, policy="color,cutout")
    reals, held_out = (to_float(tf.constant(make_images(n, n))) for n in (8, 5))
    logs = gan.measure(reals, held_out=(held_out, None), step=STEP)
    assert all(np.isfinite(value) for value in logs.values())
    shares = np.array([logs["accuracy_held_out"] * 5, logs["accuracy_real_aug"] * 8])
    np.testing.assert_allclose(shares, shares.round(), atol=1e-5)


def test_a_pair_has_one_label():
    gan = make_conditional_gan(loss="relativistic")
    images = to_float(tf.constant(make_images(32)))
    reals, held_out = (
        (part, tf.range(k, 16 + k) % 3) for k, part in enumerate(tf.split(images, 2))
    )
    logs = gan.measure(*reals, held_out=held_out, step=STEP)
    seed = random.derive(gan.seed, "measure", step=STEP)
    latents = random.normal([16, gan.latent_dim], seed)
    for name, (images, labels) in (("accuracy_fake", reals), ("accuracy_held_out", held_out)):
        fakes = gan.generator((latents, labels), training=False)
        real, fake = (gan.discriminator((x, labels)).numpy()[:, 0] for x in (images, fakes))
        np.testing.assert_allclose(logs[name], (real > fake).mean(), atol=1e-6)


def test_a_d_that_knows_its_images_by_heart_shows_in_both_gauges():
    gan = make_gan()
    few = make_images(8)
    gan.fit(np.repeat(few, 8, axis=0), batch_size=8, epochs=60, verbose=0)
    reals, held_out = (to_float(tf.constant(x)) for x in (few, make_images(8, seed=1)))
    logs = gan.measure(reals, held_out=(held_out, None), step=STEP)
    assert logs["r_t"] > 0.5
    assert logs["r_v"] > 0.2
