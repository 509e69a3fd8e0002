import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import LATENT_DIM, make_conditional_gan, make_gan, make_images, values
from tf_diffaug import random
from tf_diffaug.layers import BatchNorm
from tf_diffaug.models import SNDCGANDiscriminator, SNDCGANGenerator
from tf_diffaug.runs import Sampler
from tf_diffaug.training import GAN
from tf_diffaug.training.calls import draw_latents
from tf_diffaug.training.draws import Draws

SEED = random.as_seed(3)


def trained(gan=None):
    gan = make_gan() if gan is None else gan
    gan.fit(make_images(32), batch_size=8, epochs=2, verbose=0)
    return gan


def test_samples_are_a_function_of_the_seed_and_change_nothing():
    gan = trained()
    before = values(gan)
    for options in ({}, {"batch_norm": "batch"}, {"batch_norm": "standing"}, {"ema": False}):
        sampler = Sampler(gan, **options)
        images = sampler(8, SEED)
        np.testing.assert_array_equal(images, sampler(8, SEED))
        assert np.any(images != sampler(8, random.as_seed(4)))
    for group, old in before.items():
        for a, b in zip(old, values(gan, group)[group], strict=True):
            np.testing.assert_array_equal(a, b)


def test_moving_averages_are_the_default():
    gan = trained()
    latents = random.normal([8, LATENT_DIM], SEED)
    for ema in (True, False):
        expected = gan.generate(latents, ema=ema)
        np.testing.assert_allclose(Sampler(gan, ema=ema)(8, SEED), expected, atol=1e-6)


def test_batch_statistics_are_those_of_the_samples():
    gan = trained()
    found = Sampler(gan, batch_norm="batch")(8, SEED)
    expected = gan.ema_generator(random.normal([8, LATENT_DIM], SEED), training=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_standing_statistics_are_the_means_over_batches_of_fakes_and_follow_training():
    gan = trained()
    sampler = Sampler(gan, batch_norm="standing", standing_batches=5, standing_batch_size=16)
    first = sampler(8, SEED)
    (norm,) = [x for x in gan.ema_generator.layers if isinstance(x, BatchNorm)]
    dense = gan.ema_generator.layers[0]
    means, variances = [], []
    for index in range(5):
        latents = random.normal([16, LATENT_DIM], random.derive(0, "standing", step=index))
        hidden = dense(latents).numpy().astype(np.float64)
        means.append(hidden.mean(0))
        variances.append(hidden.var(0, ddof=1))
    norm.moving_mean.assign(np.mean(means, 0).astype(np.float32))
    norm.moving_variance.assign(np.mean(variances, 0).astype(np.float32))
    np.testing.assert_allclose(first, gan.generate(random.normal([8, LATENT_DIM], SEED)), atol=1e-4)
    trained(gan)
    assert np.any(sampler(8, SEED) != first)


def test_truncation_bounds_the_latents_of_a_generator_without_styles():
    gan = trained()
    assert np.abs(Sampler(gan, truncation=0.5).latents(500, SEED)).max() <= 0.5
    assert np.abs(Sampler(gan).latents(500, SEED)).max() > 2


def test_uniform_latents_are_drawn_wherever_latents_are_and_have_no_truncation():
    generator = SNDCGANGenerator(8, width=1, latent_dim=500, latents="uniform", seed=0)
    gan = GAN(generator, SNDCGANDiscriminator(8, width=1, seed=0), seed=0)
    draws = Draws(0, tf.constant(0, tf.int64), 4, gan.augmenter)
    seen = [Sampler(gan).latents(4, SEED), draws.latents(500, gan.generator)]
    seen.append(draw_latents(gan.ema_generator, [4, 500], SEED))
    for latents in seen:
        assert np.abs(latents).max() <= 1
        assert np.std(latents) == pytest.approx(3**-0.5, rel=0.05)
    with pytest.raises(ValueError, match=r"uniform in \[-1, 1\).*Received: truncation=0.5"):
        Sampler(gan, truncation=0.5)


def test_labels_are_drawn_as_in_training_unless_given():
    gan = make_conditional_gan(label_frequencies=[0, 1, 0])
    sampler = Sampler(gan)
    ones = sampler.generate(
        sampler.latents(4, SEED), tf.ones([4], tf.int32), seed=random.fold_in(SEED, 2)
    )
    np.testing.assert_array_equal(sampler(4, SEED), ones)
    np.testing.assert_array_equal(sampler(4, SEED, labels=tf.ones([4], tf.int32)), ones)
    assert np.any(sampler(4, SEED, labels=tf.zeros([4], tf.int32)) != ones)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_norm": "median"}, "Received: batch_norm='median'"),
        ({"truncation": 0.0}, "Received: truncation=0.0"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Sampler(make_gan(), **options)


@pytest.mark.parametrize("batch_norm", ["batch", "standing"])
def test_a_batchs_statistics_need_a_batch_norm_that_can_leave_its_averages(batch_norm):
    gan = make_gan()
    gan.generator = keras.Sequential(
        [keras.Input((LATENT_DIM,)), keras.layers.BatchNormalization(), gan.generator]
    )
    with pytest.raises(ValueError, match=r"use tf_diffaug.BatchNorm"):
        Sampler(gan, batch_norm=batch_norm)
