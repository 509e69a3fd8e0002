"""Terms that are due in some updates only: under XLA, and where replicas exchange statistics."""

from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from tests.networks import SHAPE, make_generator, make_images
from tf_diffaug.images import to_float
from tf_diffaug.training import GAN
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import R1, Update
from tf_diffaug.training.views import Views


class Repeating(keras.layers.Layer):
    """What a user's own minibatch deviation does: one number a pair of images, repeated."""

    def call(self, inputs):
        variance = tf.math.reduce_variance(tf.reshape(inputs, (-1, 2, 8 * 8 * 3)), axis=1)
        return tf.repeat(tf.reduce_mean(variance, axis=1, keepdims=True), 2, axis=0)


def made_with(layer):
    """A D of an image's pixels and of what the layer makes of them."""
    images = keras.Input(SHAPE)
    pixels = keras.layers.Flatten()(images)
    hidden = keras.layers.Concatenate()([pixels, layer(pixels)])
    for units, activation in ((4, "softplus"), (1, None)):
        initializer = keras.initializers.GlorotUniform(seed=units)
        hidden = keras.layers.Dense(units, activation, kernel_initializer=initializer)(hidden)
    return keras.Model(images, hidden)


def test_a_users_network_that_repeats_takes_steps_that_are_not_due_under_xla():
    gan = GAN(make_generator(), made_with(Repeating()), regularizers="r1(10, every=2)", seed=2)
    gan.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01), jit_compile=True)
    step = tf.function(gan.train_step, autograph=False, jit_compile=True)
    for due in (True, False, True):
        term = float(step(tf.constant(make_images(4)))["r1"])
        assert np.isfinite(term)
        assert (term > 0) == due


def test_the_gradient_under_xla_is_that_of_a_graph():
    discriminator, images = made_with(Repeating()), to_float(tf.constant(make_images(4)))
    kernel = discriminator.trainable_variables[0]
    views = Views(images, None, augment_real=None, augment_fake=None)

    def gradient(index):
        draws = Draws(0, tf.constant(0, tf.int64), 4, None)
        networks = SimpleNamespace(discriminator=discriminator)
        update = Update(networks, draws, views, {}, MODES["none"], index)
        with tf.GradientTape() as tape:
            values = R1(10.0, every=2).discriminator_term(update)
            total = tf.reduce_sum(tf.range(4.0) * values)
        return total, tape.gradient(total, kernel)

    graph, xla = (tf.function(gradient, autograph=False, jit_compile=j) for j in (False, True))
    for index in range(3):
        found, expected = (f(tf.constant(index, tf.int64)) for f in (xla, graph))
        assert (float(expected[0]) > 0) == (index % 2 == 0)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
