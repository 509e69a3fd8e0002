"""What the ops draw: ranges, end points, independence, replay."""

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, op
from tf_diffaug.augment.policy import parse_policy

MANY = 20_000
SEED = tf.constant([5, 6])


def drawn(text, shape=(MANY, 32, 32, 3)):
    (params,) = parse_policy(text).sample(shape, SEED)
    return {name: value.numpy() for name, value in params.items()}


@pytest.mark.parametrize(
    ("text", "key", "low", "high"),
    [
        ("brightness", "delta", -0.25, 0.25),
        ("brightness:0.4", "delta", -0.4, 0.4),
        ("saturation", "saturation", 0.0, 2.0),
        ("contrast", "contrast", 0.5, 1.5),
        ("color", "delta", -0.25, 0.25),
        ("color", "saturation", 0.0, 2.0),
        ("color", "contrast", 0.5, 1.5),
        ("color:0.5", "saturation", 0.5, 1.5),
        ("color(contrast=0.1)", "contrast", 0.9, 1.1),
    ],
)
def test_continuous_draws_are_uniform_over_their_range(text, key, low, high):
    values = drawn(text)[key]
    assert low <= values.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 0.01 * (high - low)
    assert abs(values.std() - (high - low) / np.sqrt(12)) < 0.01 * (high - low)


def assert_uniform_integers(values, expected):
    found, counts = np.unique(values, return_counts=True)
    np.testing.assert_array_equal(found, expected)
    share = MANY / len(expected)
    assert np.abs(counts - share).max() < 5 * np.sqrt(share)


@pytest.mark.parametrize(
    ("text", "height", "width", "limits"),
    [
        ("translation", 32, 32, (4, 4)),
        ("translation", 20, 11, (3, 1)),  # 2.5 + .5 and 1.375 + .5
        ("translation:0.4", 5, 10, (2, 4)),
    ],
)
def test_shifts_are_every_whole_pixel_with_both_ends(text, height, width, limits):
    params = drawn(text, (MANY, height, width, 3))
    for key, size, limit in zip(("dy", "dx"), (height, width), limits, strict=True):
        pixels = params[key] * size
        np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-5)
        assert_uniform_integers(np.round(pixels), np.arange(-limit, limit + 1))


@pytest.mark.parametrize(
    ("text", "height", "width", "last"),
    [
        ("cutout", 32, 32, (32, 32)),  # an even box has H + 1 places
        ("cutout", 9, 10, (8, 9)),  # boxes of 5 and 5
        ("cutout:0.25", 12, 8, (11, 8)),  # boxes of 3 and 2
    ],
)
def test_centers_are_every_place_with_both_ends(text, height, width, last):
    params = drawn(text, (MANY, height, width, 3))
    for axis, size, end in zip("yx", (height, width), last, strict=True):
        assert_uniform_integers(np.round(params[f"center_{axis}"] * size), np.arange(end + 1))


def test_draws_are_independent():
    params = [
        value.numpy()
        for one in parse_policy("color,translation,cutout,color").sample((MANY, 32, 32, 3), SEED)
        for value in one.values()
    ]
    correlations = np.corrcoef(params) - np.eye(len(params))
    assert np.abs(correlations).max() < 0.04


def test_quantiles_reach_both_ends_and_the_middle():
    policy = parse_policy("color,translation,cutout")
    low, middle, high = (policy.params_at(q, (2, 32, 32, 3)) for q in (0.0, 0.5, 1.0))
    color, shift, box = low
    np.testing.assert_allclose([color["delta"][0], color["contrast"][0]], [-0.25, 0.5])
    np.testing.assert_allclose([shift["dy"][0], box["center_y"][0]], [-4 / 32, 0])
    color, shift, box = middle
    np.testing.assert_allclose([color["delta"][0], color["saturation"][0]], [0.0, 1.0])
    np.testing.assert_allclose([shift["dx"][0], box["center_x"][0]], [0.0, 0.5])
    color, shift, box = high
    np.testing.assert_allclose([color["saturation"][0], color["contrast"][0]], [2.0, 1.5])
    np.testing.assert_allclose([shift["dy"][0], box["center_y"][0]], [4 / 32, 1.0])


def test_the_largest_uniform_number_stays_within_the_integers():
    largest = tf.constant([1 - 2.0**-23, 1.0])
    for high in (1, 4, 9, 33, 1000, 4096):
        np.testing.assert_array_equal(op.whole(largest, -high, high), [high, high])


def test_the_same_draw_at_twice_the_size_moves_twice_as_far():
    layer = DiffAugment("translation,cutout", seed=0)
    small = tf.random.stateless_uniform([4, 16, 16, 3], [1, 2])
    large = tf.repeat(tf.repeat(small, 2, axis=1), 2, axis=2)
    params = layer.sample((4, 16, 16, 3), 1)
    np.testing.assert_array_equal(
        layer.apply(large, params)[:, ::2, ::2], layer.apply(small, params)
    )


def test_a_shape_may_be_a_tensor():
    layer = DiffAugment("color,translation,cutout", seed=0)
    shape = (3, 8, 10, 3)
    for a, b in zip(
        tf.nest.flatten(layer.sample(shape, 1)),
        tf.nest.flatten(layer.sample(tf.constant(shape), 1)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b)
    with pytest.raises(ValueError, match="batch, height, width, channels"):
        layer.sample((8, 10, 3), 1)


def test_seeds_may_be_integers_or_tensors():
    layer = DiffAugment("brightness", seed=0)
    images = tf.zeros([2, 4, 4, 3])
    np.testing.assert_array_equal(layer(images, seed=9), layer(images, seed=random.as_seed(9)))


def test_images_share_no_draw_with_their_neighbours_rows():
    """Each image is drawn for, and none is mixed with another."""
    layer = DiffAugment("color,translation,cutout", seed=0)
    images = tf.random.stateless_uniform([4, 8, 8, 3], [1, 2])
    params = layer.sample(images.shape, 1)
    changed = tf.concat([images[:3], images[3:] + 5], axis=0)
    np.testing.assert_array_equal(layer.apply(images, params)[:3], layer.apply(changed, params)[:3])
