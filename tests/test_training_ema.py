import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import LATENT_DIM, make_gan, make_generator, make_images
from tf_diffaug._keras import ordered_variables, raw_variables
from tf_diffaug.training.ema import (
    EMA,
    averaged_copy,
    clone_network,
    copy_weights,
    update_average,
)


def test_decay_is_the_papers():
    ema = EMA(decay=0.9999, start=1000)
    assert float(ema.decay_at(tf.constant(999), 50)) == 0.0
    assert float(ema.decay_at(tf.constant(1000), 50)) == np.float32(0.9999)


def test_half_life_halves_after_as_many_images():
    ema = EMA(half_life=640)
    left = np.prod([float(ema.decay_at(tf.constant(step), 64)) for step in range(10)])
    assert left == pytest.approx(0.5, rel=1e-5)


def test_ramp_shortens_the_first_half_lives():
    ema = EMA(half_life=10_000, ramp=0.05)
    assert float(ema.decay_at(tf.constant(0), 64)) == pytest.approx(0.5**20)
    assert float(ema.decay_at(tf.constant(10**6), 64)) == pytest.approx(0.5 ** (64 / 10_000))
    ema = EMA(decay=0.999, ramp=0.25)
    assert float(ema.decay_at(tf.constant(399), 1)) == pytest.approx(0.5**0.01)
    assert float(ema.decay_at(tf.constant(10**6), 1)) == np.float32(0.999)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("decay", v) for v in (1.0, np.nan, "0.9")),
        *(("start", v) for v in (-1, np.nan, None)),
        ("half_life", 0.0),
        *(("ramp", v) for v in (0.0, np.nan, np.inf, "0.05")),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match="Received"):
        EMA(**{name: value})


def test_weights_are_averaged_and_buffers_copied():
    network, average = make_generator(0), make_generator(5)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign(rng.normal(size=variable.shape))
    before = [v.numpy() for v in average.variables]
    update_average(average, network, tf.constant(0.75))
    trainable = {id(v) for v in network.trainable_variables}
    assert 0 < len(trainable) < len(network.variables)
    for new, old, target in zip(average.variables, before, network.variables, strict=True):
        rate = 0.25 if id(target) in trainable else 1.0
        np.testing.assert_allclose(new.numpy(), old + rate * (target.numpy() - old), atol=1e-6)


def test_the_average_follows_training():
    gan = make_gan(ema=EMA(decay=0.9, start=2))
    images = make_images(8)

    def distance():
        pairs = zip(gan.ema_generator.weights, gan.generator.weights, strict=True)
        return max(float(np.abs(a.numpy() - b.numpy()).max()) for a, b in pairs)

    assert distance() == 0
    gan.fit(images, batch_size=8, epochs=2, verbose=0)
    assert distance() == 0, "before its start, the average is the weights"
    gan.fit(images, batch_size=8, epochs=1, verbose=0)
    assert distance() > 0


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, units: int):
        super().__init__()
        self.units = units
        self.dense = keras.layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {"units": self.units}


@keras.saving.register_keras_serializable(package="tests")
class Blocks(keras.Model):
    """Layers in a list, all alike, so that a wrong pair of them has the right shape."""

    def __init__(self):
        super().__init__()
        self.blocks = [keras.layers.Dense(LATENT_DIM) for _ in range(3)]
        self.normalize = keras.layers.BatchNormalization()

    def call(self, inputs, training=False):
        for block in self.blocks:
            inputs = block(inputs)
        return self.normalize(inputs, training=training)

    def get_config(self):
        return {}


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_a_copy_of_a_partly_frozen_network_pairs_its_layers(frozen):
    network = Blocks()
    latents = tf.ones([2, LATENT_DIM])
    network(latents)
    network.blocks[frozen].trainable = False
    rng = np.random.default_rng(0)
    for variable in ordered_variables(network):
        variable.assign(rng.uniform(0.5, 1.0, variable.shape))
    assert len(ordered_variables(network)) == len(raw_variables(network))
    copy = averaged_copy(network, latents)
    np.testing.assert_array_equal(copy(latents), network(latents))
    before = [v.numpy() for v in copy.blocks[1].weights]
    for block in network.blocks:
        for variable in block.weights:
            variable.assign(variable + 1.0)
    update_average(copy, network, tf.constant(0.75))
    for old, new in zip(before, copy.blocks[1].weights, strict=True):
        # What nothing trains is a buffer, which is copied.
        np.testing.assert_allclose(new.numpy() - old, 1.0 if frozen == 1 else 0.25, rtol=1e-5)


class NeedsItsArguments(Subclassed):
    def get_config(self):
        return {"unit": 3}


def test_subclassed_networks_are_cloned():
    network = Subclassed(3)
    network(tf.zeros([1, LATENT_DIM]))
    clone = clone_network(network)
    clone(tf.zeros([1, LATENT_DIM]))
    copy_weights(clone, network)
    latents = tf.ones([2, LATENT_DIM])
    np.testing.assert_array_equal(clone(latents), network(latents))
    assert clone.dense is not network.dense


def test_a_network_that_cannot_be_cloned_is_named():
    with pytest.raises(ValueError, match="Received: NeedsItsArguments"):
        clone_network(NeedsItsArguments(3))
