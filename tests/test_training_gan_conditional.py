"""The step of conditional networks: labels of what is seen, and of what is made."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    LATENT_DIM,
    NUM_CLASSES,
    Spy,
    draws,
    make_conditional_gan,
    make_conditional_networks,
    make_gan,
    make_images,
)
from tf_diffaug import random
from tf_diffaug.training import GAN


def conditional_images(count=32):
    return make_images(count), np.arange(count) % NUM_CLASSES


def test_conditional_networks_see_the_labels_of_what_they_see():
    seen = []

    class Judge(Spy):
        def call(self, inputs, training=False):
            images, labels = inputs
            seen.append((images.numpy(), labels.numpy()))
            return super().call(images)

    generator, _ = make_conditional_networks()
    gan = GAN(generator, Judge(), latent_dim=LATENT_DIM, num_classes=NUM_CLASSES, d_steps=2)
    gan.compile(run_eagerly=True)
    images, labels = conditional_images(16)
    reals = images.astype(np.float32) / 127.5 - 1
    seen.clear()
    gan.train_step((tf.constant(reals), tf.constant(labels)))
    for turn in range(2):
        np.testing.assert_allclose(seen[turn][0][:8], reals[turn::2])
        np.testing.assert_array_equal(seen[turn][1][:8], labels[turn::2])
    fakes, fake_labels = seen[2]
    latents = draws(gan, 2).latents(LATENT_DIM)
    np.testing.assert_array_equal(fake_labels, draws(gan, 2).labels(gan.label_frequencies))
    expected = gan.generate(latents, fake_labels, ema=False)
    assert fakes.shape == expected.shape
    assert len(set(fake_labels)) > 1


def test_a_conditional_gan_fits_and_its_classes_differ():
    gan = make_conditional_gan(policy="color", regularizers="r1:1")
    gan.fit(*conditional_images(), batch_size=8, epochs=2, verbose=0)
    latents = tf.zeros([NUM_CLASSES, LATENT_DIM])
    images = gan.predict((latents, tf.range(NUM_CLASSES)), verbose=0)
    assert np.abs(images[1:] - images[:-1]).max() > 1e-3
    images, labels = conditional_images(8)
    reals = tf.cast(images, tf.float32) / 127.5 - 1
    logs = gan.measure(reals, labels, held_out=(reals, labels), step=tf.constant(1, tf.int64))
    assert logs["d_real"] == logs["d_held_out"]
    wrong = gan.measure(reals, (labels + 1) % 3, step=tf.constant(1, tf.int64))
    assert logs["d_real"] != wrong["d_real"]


def test_labels_of_fakes_have_the_frequencies_asked_for():
    gan = make_conditional_gan(label_frequencies=[1, 0, 3])
    counts = np.bincount(gan.networks.labels(4000, random.as_seed(0)), minlength=3)
    np.testing.assert_allclose(counts / 4000, [0.25, 0, 0.75], atol=0.03)
    assert set(draws(gan, batch_size=64).labels(gan.label_frequencies).numpy()) == {0, 2}
    assert draws(make_gan()).labels(make_gan().label_frequencies) is None


def test_labels_that_are_missing_or_do_not_fit_are_named():
    gan = make_conditional_gan()
    with pytest.raises(ValueError, match="Received: labels=None"):
        gan.fit(make_images(8), batch_size=8, verbose=0)
    with pytest.raises(ValueError, match="Received: labels from 1 to 3"):
        gan.fit(make_images(8), np.arange(8) % 3 + 1, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match="Received: 2 label_frequencies"):
        make_conditional_gan(label_frequencies=[1, 2])
    for wrong in ([0, 0, 0], [1, -1, 1], [1, np.nan, 1], ["1", 1, 1]):
        with pytest.raises(ValueError, match="Received: label_frequencies="):
            make_conditional_gan(label_frequencies=wrong)

    class Two(Spy):
        num_classes = 2

    with pytest.raises(ValueError, match="num_classes=2"):
        GAN(make_conditional_networks()[0], Two(), latent_dim=LATENT_DIM, num_classes=3)


def test_adam_squares_the_sum_over_a_label_that_a_batch_repeats():
    gan = make_conditional_gan(optimizer=lambda: keras.optimizers.Adam(1e-3, epsilon=1e-12))
    (before,) = (v.numpy() for v in gan.discriminator.trainable_variables if v.shape[0] == 3)
    gan.train_step((tf.constant(make_images(8)), tf.ones([8], tf.int32)))
    (after,) = (v.numpy() for v in gan.discriminator.trainable_variables if v.shape[0] == 3)
    # Adam's first step is its rate in the direction of the gradient, however large that is.
    np.testing.assert_allclose(np.abs(after - before)[1], 1e-3, rtol=1e-3)
