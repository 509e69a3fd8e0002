"""Ops that mix images of a batch, against their formulas in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.augment import Color, CutMix, DiffAugment, MixUp, parse_policy
from tf_diffaug.augment import partners as mix

MANY = 20_000
SEED = tf.constant([5, 6])


def images_of(shape, dtype="float64"):
    return np.random.default_rng(0).normal(0, 3, shape).astype(dtype)


def drawn(text, shape=(MANY, 32, 32, 3)):
    (params,) = parse_policy(text).sample(shape, SEED)
    return {name: value.numpy() for name, value in params.items()}


def numpy_partner(i, fraction, count):
    others = [(i + 1 + step) % count for step in range(count - 1)] or [i]
    return others[min(int(fraction * (count - 1)), len(others) - 1)]


def numpy_cutmix(images, params, ratio):
    output = images.copy()
    count, height, width, _ = images.shape
    sides = [int(size * ratio + 0.5) for size in (height, width)]
    for i in range(count):
        other = images[numpy_partner(i, params["partner"][i], count)]
        top, left = round(params["top"][i] * height), round(params["left"][i] * width)
        for y in range(top, top + sides[0]):
            for x in range(left, left + sides[1]):
                output[i, y, x] = other[y, x]
    return output


def numpy_mixup(images, params):
    output = []
    for i, image in enumerate(images):
        other = images[numpy_partner(i, params["partner"][i], len(images))]
        share = float(params["share"][i])
        output.append((1 - share) * image + share * other)
    return np.stack(output)


@pytest.mark.parametrize("shape", [(6, 9, 14, 3), (1, 8, 8, 1), (2, 7, 11, 4), (5, 1, 3, 3)])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 1.0])
def test_cutmix(shape, ratio):
    images, params = images_of(shape), drawn(f"cutmix:{ratio}", shape)
    output = CutMix(ratio).apply(images, params)
    np.testing.assert_array_equal(output, numpy_cutmix(images, params, ratio))


@pytest.mark.parametrize("shape", [(6, 9, 14, 3), (1, 8, 8, 1), (2, 7, 11, 4)])
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_mixup(shape, strength):
    images, params = images_of(shape), drawn(f"mixup:{strength}", shape)
    output = MixUp(strength).apply(images, params)
    np.testing.assert_allclose(output, numpy_mixup(images, params), rtol=1e-6, atol=1e-6)


def test_shares_are_uniform_up_to_the_strength():
    share = drawn("mixup:0.4")["share"]
    assert 0 <= share.min() < 0.004
    assert 0.396 < share.max() <= 0.4
    assert abs(share.mean() - 0.2) < 0.004
    assert abs(share.std() - 0.4 / np.sqrt(12)) < 0.004


@pytest.mark.parametrize(
    ("text", "height", "width", "last"),
    [
        ("cutmix:0.5", 32, 32, (16, 16)),
        ("cutmix:0.3", 9, 10, (6, 7)),  # boxes of 3 and 3
        ("cutmix:1", 8, 6, (0, 0)),
    ],
)
def test_boxes_are_every_place_inside(text, height, width, last):
    params = drawn(text, (MANY, height, width, 3))
    for key, size, end in (("top", height, last[0]), ("left", width, last[1])):
        found, counts = np.unique(np.round(params[key] * size), return_counts=True)
        np.testing.assert_array_equal(found, np.arange(end + 1))
        share = MANY / (end + 1)
        assert np.abs(counts - share).max() < 5 * np.sqrt(share)


def test_a_box_stays_inside_images_of_another_size():
    for height in range(1, 12):
        ones = tf.reshape(tf.range(2.0), [2, 1, 1, 1]) * tf.ones([2, height, height, 1])
        for small in range(1, 12):
            params = parse_policy("cutmix:0.5").params_at(1.0, (2, small, small, 1))
            output = parse_policy("cutmix:0.5").apply(ones, params)
            side = int(height * 0.5 + 0.5)
            np.testing.assert_array_equal(tf.reduce_sum(output, [1, 2, 3])[0], side**2)


def test_partners_are_every_other_image_equally_likely():
    count, repeats = 5, 4000
    fractions = drawn("mixup:0.1", (count * repeats, 2, 2, 1))["partner"]
    counts = np.zeros([count, count])
    for row in fractions.reshape(repeats, count):
        found = mix.partners(tf.constant(row), (count, 2, 2, 1)).numpy()
        counts[np.arange(count), found] += 1
    assert (np.diag(counts) == 0).all()
    share = repeats / (count - 1)
    assert np.abs(counts[~np.eye(count, dtype=bool)] - share).max() < 5 * np.sqrt(share)


def test_the_ends_of_the_fractions_are_the_next_image_and_the_one_before():
    for fraction, expected in ((0.0, [1, 2, 3, 0]), (1 - 2.0**-24, [3, 0, 1, 2])):
        found = mix.partners(tf.fill([4], fraction), (4, 2, 2, 1))
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(mix.partners(tf.ones([4]), (4, 2, 2, 1)), [3, 0, 1, 2])
    for count in (0, 1):
        found = mix.partners(tf.ones([count]), (count, 2, 2, 1))
        np.testing.assert_array_equal(found, np.zeros(count))


def test_an_image_alone_and_an_empty_batch_stay():
    for count in (0, 1):
        images = images_of((count, 6, 6, 3))
        for layer in (CutMix(0.5, seed=0), MixUp(0.5, seed=0)):
            np.testing.assert_allclose(layer(images), images)


def test_gradients_reach_base_and_partner():
    images = tf.constant(images_of((4, 6, 6, 3)))
    weights = images_of((4, 6, 6, 3))[::-1]
    for layer in (CutMix(0.5), MixUp(0.5)):
        params = layer.sample((4, 6, 6, 3), 1)
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(layer.apply(images, params) * weights)
        gradient = tape.gradient(loss, images)
        assert isinstance(gradient, tf.Tensor)
        # The op is linear: the gradient times the images is the loss.
        np.testing.assert_allclose(tf.reduce_sum(gradient * images), loss)


def test_an_image_many_took_sums_their_gradients():
    images = tf.constant(images_of((3, 2, 2, 1)))
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(mix.take(images, tf.constant([1, 1, 1])) ** 3) / 3
        gradient = tape.gradient(loss, images)
        squares = tf.reduce_sum(gradient**2) / 4
    expected = np.zeros([3, 2, 2, 1])
    expected[1] = 3 * images[1] ** 2
    np.testing.assert_allclose(gradient, expected)
    expected[1] = 9 * images[1] ** 3  # of 9 x^4 / 4
    np.testing.assert_allclose(outer.gradient(squares, images), expected)


def test_gradients_in_a_graph_of_unknown_batch_are_dense_and_silent():
    layer = DiffAugment("cutmix:0.4,mixup:0.3")

    @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 3])])
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(layer(images, seed=1) ** 2)
        return tape.gradient(loss, images)

    assert gradient(tf.ones([5, 6, 6, 3])).shape == (5, 6, 6, 3)


def test_parameters_get_no_gradient():
    layer = DiffAugment("cutmix:0.4,mixup:0.3")
    params = layer.sample((4, 8, 8, 3), 1)
    flat = tf.nest.flatten(params)
    with tf.GradientTape() as tape:
        tape.watch(flat)
        loss = tf.reduce_sum(layer.apply(images_of((4, 8, 8, 3)), params))
    assert tape.gradient(loss, flat) == [None] * len(flat)


def test_a_mixup_in_bfloat16_is_rounded_once():
    images = tf.cast(images_of((4, 6, 6, 3)), tf.bfloat16)
    params = drawn("mixup:0.4", (4, 6, 6, 3))
    exact = MixUp(0.4).apply(tf.cast(images, tf.float32), params)
    np.testing.assert_array_equal(MixUp(0.4).apply(images, params), tf.cast(exact, tf.bfloat16))


def test_layers_say_whether_they_mix():
    assert CutMix(0.3).mixes
    assert MixUp(0.3).mixes
    assert DiffAugment("color,mixup:0.1").mixes
    assert not Color().mixes
    assert not DiffAugment("color,cutout").mixes


@pytest.mark.parametrize("name", ["cutmix", "mixup"])
def test_a_strength_is_asked_for(name):
    with pytest.raises(ValueError, match=f"no published default.*'{name}:0"):
        parse_policy(name)
    with pytest.raises(ValueError, match="from 0 to 1"):
        parse_policy(f"{name}:1.5")
