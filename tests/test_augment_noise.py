"""Noise by hash: the numbers, their distribution, and what they depend on."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, InstanceNoise, parse_policy
from tf_diffaug.augment.noise import normal_noise

SHAPE = (64, 32, 32, 3)


def keys_of(count, seed=1):
    return random.uniform([count, 2], tf.constant([seed, 2]))


def hashed(word):
    """MurmurHash3's finaliser on one Python integer."""
    word ^= word >> 16
    word = word * 0x85EBCA6B % 2**32
    word ^= word >> 13
    word = word * 0xC2B2AE35 % 2**32
    return word ^ word >> 16


def numpy_noise(keys, size):
    rows = []
    for key in keys.astype("float64"):
        first, second = (hashed(int(part * 2**23) + i + 1) for i, part in enumerate(key))
        pairs = (size + 1) // 2
        places = [place * 0x9E3779B9 % 2**32 for place in range(2 * pairs)]
        words = [hashed(hashed((place + first) % 2**32) ^ second) for place in places]
        uniform = np.array([word >> 8 for word in words]) / 2**24
        radius = np.sqrt(-2 * np.log(1 - uniform[:pairs]))
        angle = 2 * np.pi * uniform[pairs:]
        rows.append(np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size])
    return np.stack(rows)


@pytest.mark.parametrize("size", [1, 2, 7, 48])
def test_the_numbers_are_those_of_the_formula(size):
    keys = keys_of(5)
    np.testing.assert_allclose(
        normal_noise(keys, size), numpy_noise(keys.numpy(), size), rtol=1e-4, atol=1e-5
    )


def test_the_numbers_are_normal():
    values = np.sort(normal_noise(keys_of(100), 10_000).numpy().astype("float64").ravel())
    count = len(values)
    assert np.isfinite(values).all()
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((values**power).mean() - moment) < 4 * math.sqrt(spread / count)
    # Kolmogorov and Smirnov: 1.95 / sqrt(n) is passed once in a thousand.
    inside = values[:: count // 2000]
    theory = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in inside])
    empirical = np.arange(0, count, count // 2000) / count
    assert np.abs(theory - empirical).max() < 1.95 / math.sqrt(count)
    assert 4.4 < np.abs(values).max() < 5.8


def assert_uncorrelated(a, b):
    """Neither the numbers nor their sizes."""
    for x, y in ((a, b), (a**2, b**2), (a**2, b)):
        x, y = (v.ravel() - v.mean() for v in (x, y))
        correlation = (x * y).mean() / (x.std() * y.std())
        assert abs(correlation) < 4.5 / math.sqrt(len(x))


def test_images_places_and_channels_are_independent():
    noise = normal_noise(keys_of(SHAPE[0]), math.prod(SHAPE[1:])).numpy().astype("float64")
    images = noise.reshape(SHAPE)
    assert_uncorrelated(images[1:], images[:-1])
    assert_uncorrelated(images[:, 1:], images[:, :-1])
    assert_uncorrelated(images[:, :, 1:], images[:, :, :-1])
    assert_uncorrelated(images[..., 1:], images[..., :-1])
    half = noise.shape[1] // 2
    assert_uncorrelated(noise[:, :half], noise[:, half:])  # the two of one pair
    for lag in (2, 16, 64, 96, 1000):
        assert_uncorrelated(noise[:, lag:], noise[:, :-lag])


@pytest.mark.parametrize("word", [0, 1])
def test_keys_one_bit_apart_have_nothing_in_common(word):
    step = np.zeros([1, 2])
    for bit in range(23):
        step[0, word] = 2.0 ** (bit - 23)
        keys = np.concatenate([np.zeros([1, 2]), step]).astype("float32")
        first, second = normal_noise(tf.constant(keys), 4096).numpy().astype("float64")
        assert_uncorrelated(first, second)
        assert np.mean(np.isin(first, second)) < 0.01


def test_each_part_of_the_key_counts_in_full():
    keys = tf.constant([[0.5, 0.25], [0.5, 0.75], [0.25, 0.5], [1 - 2.0**-23, 0.5]])
    rows = normal_noise(keys, 100).numpy()
    for i in range(4):
        for j in range(i):
            assert not np.isin(rows[i], rows[j]).any()


def test_eager_graph_and_xla_agree():
    keys = keys_of(4)
    expected = normal_noise(keys, 999)
    for xla in (False, True):
        traced = tf.function(lambda keys: normal_noise(keys, 999), jit_compile=xla)
        np.testing.assert_allclose(traced(keys), expected, rtol=1e-5, atol=2e-5)


def test_a_row_depends_on_its_key_alone():
    keys = keys_of(8)
    whole = normal_noise(keys, 100).numpy()
    # Vectorised loops round their last few numbers otherwise.
    np.testing.assert_allclose(normal_noise(keys[3:5], 100), whole[3:5], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(normal_noise(keys[::-1], 100), whole[::-1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("value_range", "unit"), [((-1, 1), 2), ((0, 1), 1), ((0, 255), 255)])
def test_the_strength_is_a_deviation_in_units_of_the_range(value_range, unit):
    layer = InstanceNoise(0.05, value_range=value_range, seed=0)
    noise = layer(tf.zeros(SHAPE)).numpy()
    assert abs(noise.std() / (0.05 * unit) - 1) < 0.01
    assert abs(noise.mean()) < 0.001 * unit


def test_the_noise_is_added():
    images = np.random.default_rng(0).normal(size=(4, 5, 7, 3))
    layer = InstanceNoise(0.1)
    params = layer.sample(images.shape, 3)
    np.testing.assert_array_equal(params["sigma"], np.full(4, 0.1, "float32"))
    expected = 0.2 * numpy_noise(params["seed"].numpy(), 105).reshape(images.shape)
    np.testing.assert_allclose(layer.apply(images, params), images + expected, atol=1e-5)


def test_a_draw_applied_again_is_the_same_noise():
    layer = DiffAugment("brightness,instance_noise:0.1")
    params = layer.sample((4, 6, 6, 3), 1)
    zeros = tf.zeros([4, 6, 6, 3])
    first = layer.apply(zeros, params).numpy()
    np.testing.assert_array_equal(layer.apply(zeros, params), first)
    np.testing.assert_allclose(layer.apply(zeros + 1, params) - 1, first, atol=1e-6)
    other = layer.apply(zeros, layer.sample((4, 6, 6, 3), 2)).numpy()
    assert not np.isin(first, other).any()


def test_any_size_has_noise():
    layer = InstanceNoise(0.5)
    params = layer.sample((2, 4, 4, 3), 1)
    for shape in ((2, 1, 1, 1), (2, 9, 5, 4), (2, 8, 8, 3)):
        assert np.all(layer.apply(tf.zeros(shape), params))
    assert layer(tf.zeros([0, 4, 4, 3])).shape == (0, 4, 4, 3)


def test_the_gradient_is_one_and_parameters_get_none():
    layer, images = InstanceNoise(0.5), tf.zeros([2, 4, 4, 3])
    params = layer.sample(images.shape, 1)
    with tf.GradientTape() as tape:
        tape.watch([images, params])
        loss = tf.reduce_sum(layer.apply(images, params))
    gradients = tape.gradient(loss, [images, params])
    np.testing.assert_array_equal(gradients[0], tf.ones_like(images))
    assert gradients[1] == {"sigma": None, "seed": None}


def test_a_strength_is_asked_for():
    with pytest.raises(ValueError, match=r"no published default.*'instance_noise:0.04'"):
        parse_policy("instance_noise")
    with pytest.raises(ValueError, match="from 0 to 1"):
        parse_policy("instance_noise:2")
