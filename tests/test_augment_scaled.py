"""What ops did to images, as numbers in [0, 1]."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.augment import parse_policy
from tf_diffaug.augment.scaled import ScaledParams
from tf_diffaug.augment.testing_images import SHAPE, differ, make_images, makes_of_ops

COUNT = 512
OPS = {text: make(seed=0).op for text, make in makes_of_ops().items()}


def scaled(text, shape=SHAPE):
    (op,) = parse_policy(text).ops
    return ScaledParams(op, shape[1:]), op


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("color", ("delta", "saturation", "contrast")),
        ("color(saturation=0)", ("delta", "contrast")),
        ("cutmix:0.3", ("top", "left")),
        ("mixup:0.1", ("share",)),
        ("instance_noise:0.1", ()),
        ("flip", ("mirrored",)),
        ("flip:1", ()),
        ("translation:0.01", ()),
        ("zoomin:0.4", ("top", "left", "height", "width")),
    ],
)
def test_what_an_image_shows_has_a_number(text, names):
    assert scaled(text)[0].names == names


@pytest.mark.parametrize("text", OPS)
def test_numbers_are_from_0_to_1_and_differ(text):
    found = ScaledParams(OPS[text], SHAPE[1:])
    if not found.names:
        return
    numbers = found(OPS[text].sample((COUNT, *SHAPE[1:]), tf.constant([1, 2]))).numpy()
    assert numbers.shape == (COUNT, len(found.names))
    assert numbers.dtype == np.float32
    neutral = found(OPS[text].neutral_params(SHAPE)).numpy()
    for each in (numbers, neutral):
        assert each.min() >= 0
        assert each.max() <= 1
    assert np.all(numbers.std(axis=0) > 0.05)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("text", ["hue:0.1", "saturation", "color", "color_jitter", "contrast"])
def test_what_has_a_number_changes_an_image_of_its_channels(text, channels):
    shape = (1, 8, 8, channels)
    found, op = scaled(text, shape)
    low, high = (op.params_at(quantile, shape) for quantile in (0.2, 0.9))
    images = tf.random.stateless_uniform(shape, [1, 2], -1, 1)
    for key in low:
        ones, others = (
            op.lower({**low, key: params[key]}, shape, (-1.0, 1.0))(images)
            for params in (low, high)
        )
        # float32 rounds either way.
        changes = np.abs(ones - others).max() > 1e-6
        assert changes == (key in found.names), key


def test_a_box_that_is_not_there_is_in_the_middle_of_its_places():
    for text in ("cutmix:0.9", "cutout:0.9"):
        found, op = scaled(text, (8, 32, 32, 3))
        neutral = found(op.neutral_params((8, 32, 32, 3)))
        np.testing.assert_allclose(neutral, 0.5, atol=0.2)


def test_grey_is_the_end_of_saturation():
    found, op = scaled("color_jitter:0.02")
    params = op.params(tf.fill([6, 8], 0.5), SHAPE)
    numbers = found({**params, "saturation": tf.zeros([8])}).numpy()
    np.testing.assert_allclose(numbers[0], [0.5, 0.5, 0.0, 0.5], atol=1e-5)


@pytest.mark.parametrize("text", OPS)
def test_neutral_params_leave_images_as_they_are(text):
    op, images = OPS[text], make_images()
    params = op.neutral_params(SHAPE)
    # The size of a box is no parameter: no place of it changes nothing.
    box = text.startswith(("cutout", "cutmix"))
    weakest = dataclasses.replace(op, strength=0.0) if box else op
    changed = weakest.lower(params, SHAPE, (-1.0, 1.0))(images)
    np.testing.assert_allclose(changed, images, atol=2e-6)
    drawn = op.lower(op.sample(SHAPE, tf.constant([1, 2])), SHAPE, (-1.0, 1.0))(images)
    assert differ(drawn, images)


def test_an_image_that_an_op_passed_by_has_its_neutral_numbers():
    found, op = scaled("color")
    params = op.sample(SHAPE, tf.constant([3, 4]))
    applied = tf.constant([True, False] * 4)
    numbers = found(params, applied).numpy()
    np.testing.assert_array_equal(numbers[::2], found(params).numpy()[::2])
    np.testing.assert_allclose(numbers[1::2], 0.5, atol=1e-6)
    zoom, op = scaled("zoomout:0.4")
    numbers = zoom(op.sample(SHAPE, tf.constant([3, 4])), applied).numpy()
    np.testing.assert_allclose(numbers[1::2], 0.0, atol=1e-6)


def test_the_numbers_are_the_same_in_a_graph():
    op = OPS["color"]
    params = op.sample(SHAPE, tf.constant([3, 4]))
    applied = tf.constant([True, False] * 4)

    def numbers():
        return ScaledParams(op, SHAPE[1:])(params, applied)

    np.testing.assert_array_equal(tf.function(numbers)(), numbers())
