"""Which discriminators are found to look across the batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import SHAPE, make_discriminator, make_generator
from tf_diffaug._keras import KERAS_3, raw_variables
from tf_diffaug.layers import MinibatchStddev, hold_power_iteration
from tf_diffaug.models import SNDCGANDiscriminator
from tf_diffaug.training import GAN, across_batch
from tf_diffaug.training.across_batch import looks_across_batch


class Deviation(keras.layers.Layer):
    """A user's own: what an image differs by from its batch's mean."""

    def call(self, images):
        return images - tf.reduce_mean(images, axis=0, keepdims=True)


class Rank(keras.layers.Layer):
    """Another one, without a gradient: an image's place in its batch."""

    def call(self, images):
        means = tf.reduce_mean(images, axis=[1, 2, 3])
        ranks = tf.argsort(tf.argsort(means))
        return images + tf.cast(ranks, images.dtype)[:, None, None, None]


class PerImage(keras.layers.Layer):
    """A user's own that keeps to its image, and draws."""

    def call(self, images, training=False):
        noise = tf.random.normal(tf.shape(images), dtype=images.dtype) if training else 0.0
        return images - tf.reduce_mean(images, axis=[1, 2], keepdims=True) + noise


def centred(images):
    return images - tf.reduce_mean(images, axis=0, keepdims=True)


class Synchronised(keras.layers.Layer):
    """A user's own batch norm, of all replicas' images."""

    def call(self, images, training=False):
        mean, context = tf.reduce_mean(images, axis=0), tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, mean)
        return images - mean if training else images


def own_discriminator(*layers):
    return keras.Sequential(
        [keras.Input(SHAPE), *layers, keras.layers.Flatten(), keras.layers.Dense(1)]
    )


ZERO = {"kernel_initializer": "zeros"}
DISCRIMINATORS = {
    "plain": (make_discriminator, False),
    "batch_norm": (lambda: make_discriminator(batch_norm=True), True),
    "deviation": (lambda: own_discriminator(Deviation()), True),
    "rank": (lambda: own_discriminator(Rank()), True),
    "synchronised": (lambda: own_discriminator(Synchronised()), True),
    "of_a_function": (lambda: own_discriminator(keras.layers.Activation(centred)), True),
    "of_a_layers_function": (
        lambda: own_discriminator(keras.layers.Conv2D(3, 1, activation=centred)),
        True,
    ),
    "over_the_batchs_axis": (lambda: own_discriminator(keras.layers.Softmax(axis=0)), True),
    "behind_a_zero": (
        lambda: own_discriminator(Deviation(), keras.layers.Conv2D(3, 1, **ZERO)),
        True,
    ),
    "behind_dropout": (lambda: own_discriminator(Deviation(), keras.layers.Dropout(0.2)), True),
    "dropout": (lambda: own_discriminator(keras.layers.Dropout(0.5)), False),
    "own_draws": (lambda: own_discriminator(PerImage()), False),
    "own_and_dropout": (lambda: own_discriminator(PerImage(), keras.layers.Dropout(0.5)), False),
    "groups": (lambda: own_discriminator(MinibatchStddev(4)), False),
    "groups_and_own": (lambda: own_discriminator(MinibatchStddev(4), PerImage()), False),
    "within": (lambda: own_discriminator(own_discriminator(Deviation()).layers[0]), True),
}


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_what_looks_across_the_batch_is_found_out(name):
    make, across = DISCRIMINATORS[name]
    discriminator = make()
    before = discriminator.get_weights()
    assert looks_across_batch(discriminator, SHAPE) == across
    for a, b in zip(before, discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def functional(centre):
    images = keras.Input(SHAPE)
    return keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(centre(images))))


def test_operations_that_are_no_layers_are_seen():
    ops = keras.ops if KERAS_3 else tf
    mean = ops.mean if KERAS_3 else ops.reduce_mean
    assert looks_across_batch(functional(lambda x: x - mean(x, axis=0, keepdims=True)), SHAPE)
    assert not looks_across_batch(functional(lambda x: x - mean(x, axis=1, keepdims=True)), SHAPE)


@pytest.mark.parametrize(("layer", "across"), [(Deviation, True), (PerImage, False)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_conditional_d_is_tried_with_labels(layer, across, dtype):
    images, label = keras.Input(SHAPE), keras.Input((), dtype="int32")
    own = keras.layers.Flatten()(layer(dtype=dtype)(images))
    classes = keras.layers.Embedding(3, own.shape[-1], dtype=dtype)(label)
    logits = keras.layers.Dense(1, dtype=dtype)(keras.layers.Multiply(dtype=dtype)([own, classes]))
    assert looks_across_batch(keras.Model((images, label), logits), SHAPE, 3) == across


@pytest.mark.parametrize(
    ("layer", "across"), [(Deviation, True), (Synchronised, True), (PerImage, False)]
)
def test_it_is_found_out_in_the_scope_of_replicas(two_replicas, layer, across):
    with two_replicas.scope():
        gan = GAN(make_generator(), own_discriminator(layer()))
    assert gan.joint_views != across


def test_layers_that_are_known_are_not_tried(monkeypatch):
    def fail(*_):
        raise AssertionError("tried")

    monkeypatch.setattr(across_batch, "_is_moved", fail)
    discriminator = SNDCGANDiscriminator(32, width=4, seed=0)
    discriminator.build()
    assert not looks_across_batch(discriminator, (32, 32, 3))
    assert not looks_across_batch(own_discriminator(keras.layers.Dropout(0.5)), SHAPE)
    with pytest.raises(AssertionError, match="tried"):
        looks_across_batch(own_discriminator(PerImage()), SHAPE)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "make", [lambda dtype: SNDCGANDiscriminator(16, width=8, dtype=dtype, seed=0)]
)
def test_what_is_known_of_our_networks_is_so(make, dtype):
    discriminator = make(dtype)
    discriminator.build()
    with hold_power_iteration(discriminator):
        assert not across_batch._is_moved(discriminator, (16, 16, 3), None)


def test_a_norm_that_moves_in_every_call_is_no_look_across_the_batch():
    if not hasattr(keras.layers, "SpectralNormalization"):
        pytest.skip("this Keras has none")
    discriminator = own_discriminator(
        PerImage(), keras.layers.SpectralNormalization(keras.layers.Conv2D(3, 1))
    )
    before = [v.numpy() for v in raw_variables(discriminator)]
    assert not looks_across_batch(discriminator, SHAPE)
    for a, b in zip(before, raw_variables(discriminator), strict=True):
        np.testing.assert_array_equal(a, b)
