"""What the layers add to the ops: range, clipping, seeds, counter, errors."""

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.augment import AugmentationLayer, Brightness, Cutout, DiffAugment, Translation


def images_of(shape=(4, 8, 8, 3)):
    return tf.random.stateless_uniform(shape, [1, 2], -1, 1)


def test_brightness_is_in_units_of_the_value_range():
    params = {"delta": tf.constant([0.25])}
    for value_range, expected in (((-1, 1), 0.5), ((0, 1), 0.25), ((0, 255), 63.75)):
        output = Brightness(value_range=value_range).apply(tf.zeros([1, 2, 2, 3]), params)
        np.testing.assert_allclose(output, expected)


def test_black_is_the_lower_end_of_the_range_and_zero_is_zero():
    images = tf.ones([1, 4, 4, 3])
    for fill, value_range, expected in (
        ("zero", (-1, 1), 0.0),
        ("black", (-1, 1), -1.0),
        ("black", (0, 255), 0.0),
    ):
        box = Cutout(1.0, fill=fill, value_range=value_range)
        assert box(images).numpy().min() == expected
        moved = Translation(1.0, fill=fill, value_range=value_range)
        output = moved.apply(images, {"dy": tf.constant([1.0]), "dx": tf.constant([0.0])})
        np.testing.assert_array_equal(output, np.full_like(output, expected))


def test_clips_only_when_asked():
    images = images_of()
    assert np.abs(DiffAugment("color", seed=0)(images)).max() > 1
    assert np.abs(DiffAugment("color", seed=0, clip=True)(images)).max() <= 1


def test_the_empty_policy_is_the_identity():
    for text in ("none", ""):
        layer = DiffAugment(text, seed=0)
        np.testing.assert_array_equal(layer(images_of()), images_of())
        assert layer.sample((4, 8, 8, 3), 1) == []


def test_an_unseeded_layer_has_a_seed_of_its_own():
    first, second = DiffAugment("color"), DiffAugment("color")
    assert first.seed != second.seed
    assert first.get_config()["seed"] == first.seed


def test_seed_zero_is_a_seed():
    assert DiffAugment("color", seed=0).seed == 0
    a, b = (DiffAugment("color", seed=1)(images_of(), seed=seed) for seed in (0, 1))
    assert not np.array_equal(a, b)


def test_only_bare_calls_count():
    layer = DiffAugment("color", seed=0)
    layer(images_of(), seed=3)
    layer(images_of(), training=False)
    assert int(tf.convert_to_tensor(layer.calls)) == 0
    layer(images_of())
    assert int(tf.convert_to_tensor(layer.calls)) == 1
    assert not layer.trainable_weights
    assert len(layer.weights) == 1


def test_parameters_get_no_gradient():
    layer = DiffAugment("color,translation,cutout", seed=0)
    params = layer.sample((4, 8, 8, 3), 1)
    flat = tf.nest.flatten(params)
    with tf.GradientTape() as tape:
        tape.watch(flat)
        loss = tf.reduce_sum(layer.apply(images_of(), params))
    assert tape.gradient(loss, flat) == [None] * len(flat)


def test_the_batch_may_be_empty():
    assert DiffAugment("color,translation,cutout")(tf.zeros([0, 8, 8, 3])).shape == (0, 8, 8, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_format": "NCHW"}, "channels_last, channels_first. Received: data_format='NCHW'"),
        ({"value_range": (1, -1)}, "Received: value_range="),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        DiffAugment("color", **arguments)


def test_images_are_checked():
    layer = DiffAugment("color")
    with pytest.raises(ValueError, match=r"floating images. Received: images.dtype=uint8"):
        layer.apply(tf.zeros([1, 2, 2, 3], tf.uint8), [])
    with pytest.raises(ValueError, match="rank 4"):
        layer.apply(tf.zeros([2, 2, 3]), [])


class Doubled(AugmentationLayer):
    """A user's own layer: one method to draw, one to apply."""

    def sample(self, shape, seed):
        return tf.ones([shape[0]])

    def apply_params(self, images, params):
        return images * 2 * params[:, None, None, None]


def test_a_users_own_layer():
    np.testing.assert_array_equal(Doubled()(images_of()), 2 * images_of())
    first = Doubled(data_format="channels_first")
    assert first(images_of((2, 3, 4, 5))).shape == (2, 3, 4, 5)
