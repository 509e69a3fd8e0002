"""Shifts along one axis or by parts of a pixel, flips and rotations."""

import cmath
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.resample_reference import draw_images, padded
from tests.test_augment_ops import addons, numpy_translate  # noqa: F401
from tests.test_augment_zoom import MANY, SEED, assert_uniform
from tf_diffaug.augment import DiffAugment, functional, parse_policy

PAD_FILLS = {
    "zero": ("constant", 0.0),
    "black": ("constant", -1.0),
    "reflect": ("reflect", 0.0),
    "nearest": ("nearest", 0.0),
}


def drawn(text, shape=(MANY, 32, 32, 3)):
    (params,) = parse_policy(text).sample(shape, SEED)
    assert all(value.dtype == tf.float32 and value.shape == shape[0] for value in params.values())
    return {name: value.numpy().astype("float64") for name, value in params.items()}


def numpy_between(pixel, row, column):
    """The four pixels around a place, by their nearness."""
    y, x = math.floor(row), math.floor(column)
    a, b = row - y, column - x
    upper = (1 - b) * pixel(y, x) + b * pixel(y, x + 1)
    lower = (1 - b) * pixel(y + 1, x) + b * pixel(y + 1, x + 1)
    return (1 - a) * upper + a * lower


def numpy_rotate(images, angle, fill, fill_value=0.0):
    """A place looks up what lies at its own distance from the centre, `angle` further back."""
    output = np.zeros(images.shape)
    _, height, width, _ = images.shape
    center = complex((width - 1) / 2, (height - 1) / 2)
    for n, image in enumerate(images):
        pixel = padded(image, fill, fill_value)
        for y in range(height):
            for x in range(width):
                # Rows grow downwards, so that a positive angle is clockwise here: looking back.
                source = center + (complex(x, y) - center) * cmath.exp(1j * angle[n])
                output[n, y, x] = numpy_between(pixel, source.imag, source.real)
    return output


@pytest.mark.parametrize(("name", "key"), [("translationx", "dx"), ("translationy", "dy")])
def test_one_axis_draws_every_whole_pixel_of_its_side(name, key):
    params = drawn(f"{name}:0.4", (MANY, 10, 5, 3))
    assert list(params) == [key]
    side, limit = (5, 2) if key == "dx" else (10, 4)
    pixels, counts = np.unique(np.round(params[key] * side, 4), return_counts=True)
    np.testing.assert_array_equal(pixels, np.arange(-limit, limit + 1))
    assert np.abs(counts - MANY / len(pixels)).max() < 5 * np.sqrt(MANY / len(pixels))


@pytest.mark.parametrize("fill", PAD_FILLS)
@pytest.mark.parametrize("name", ["translationx", "translationy", "translation"])
def test_shifts_by_whole_pixels(name, fill):
    images = draw_images(np.random.default_rng(0), 7, 9, batch=6)
    layer = DiffAugment(f"{name}(0.6, fill={fill})")
    (params,) = layer.sample(images.shape, 1)
    none = np.zeros(6)
    dy, dx = (
        np.round(params.get(key, none) * np.float32(side)).astype(int)
        for key, side in (("dy", 7), ("dx", 9))
    )
    expected = numpy_translate(images, dy, dx, *PAD_FILLS[fill])
    np.testing.assert_array_equal(layer.apply(images, [params]), expected)


def test_shifts_along_one_axis_mirror_unless_told_otherwise():
    assert parse_policy("translationx:0.2") == parse_policy("translationx(0.2, fill=reflect)")
    assert str(parse_policy("translationy(.2, continuous=True)")) == (
        "translationy(0.2, continuous=True)"
    )
    for name in ("translationx", "translationy"):
        with pytest.raises(ValueError, match=f"give its strength, as in '{name}:0.4'"):
            parse_policy(name)
    with pytest.raises(ValueError, match=r"continuous is True or False. Received: continuous=1"):
        parse_policy("translation(continuous=1)")


@pytest.mark.parametrize(
    ("name", "keys"), [("translation", "yx"), ("translationx", "x"), ("translationy", "y")]
)
def test_continuous_shifts_are_uniform(name, keys):
    params = drawn(f"{name}(0.3, continuous=True)")
    assert list(params) == [f"d{key}" for key in keys]
    for values in params.values():
        assert_uniform(values, -0.3, 0.3)


@pytest.mark.parametrize("fill", PAD_FILLS)
@pytest.mark.parametrize("name", ["translation", "translationx", "translationy"])
def test_continuous_shifts_look_between_the_pixels(name, fill):
    images = draw_images(np.random.default_rng(0), 7, 9)
    layer = DiffAugment(f"{name}(1, fill={fill}, continuous=True)")
    (params,) = layer.sample(images.shape, 1)
    none = np.zeros(3)
    dy, dx = params.get("dy", none) * np.float64(7), params.get("dx", none) * np.float64(9)
    expected = np.zeros(images.shape)
    for n, image in enumerate(images):
        pixel = padded(image, *PAD_FILLS[fill])
        for y in range(7):
            for x in range(9):
                expected[n, y, x] = numpy_between(pixel, y - dy[n], x - dx[n])
    np.testing.assert_allclose(layer.apply(images, [params]), expected, rtol=1e-4, atol=1e-4)


def test_a_continuous_shift_by_whole_pixels_is_a_shift_by_whole_pixels():
    images = draw_images(np.random.default_rng(0), 8, 8)
    params = [{"dy": tf.constant([0.25, -0.5, 0.0]), "dx": tf.constant([-0.125, 1.0, 0.375])}]
    for fill in PAD_FILLS:
        smooth, whole = (
            DiffAugment(f"translation(1, fill={fill}, continuous={continuous})")
            for continuous in (True, False)
        )
        np.testing.assert_allclose(
            smooth.apply(images, params), whole.apply(images, params), atol=1e-6
        )


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.5, 1.0])
def test_flips_as_often_as_told(strength):
    mirrored = drawn(f"flip:{strength}")["mirrored"]
    assert set(np.unique(mirrored)) <= {0.0, 1.0}
    assert abs(mirrored.mean() - strength) <= 4 * np.sqrt(strength * (1 - strength) / MANY)
    (op,) = parse_policy(f"flip:{strength}").ops
    ends = [float(op.params_at(q, (1, 4, 4, 3))["mirrored"][0]) for q in (0.0, 1.0)]
    assert ends == [float(strength == 1), float(strength > 0)]


def test_flips_half_of_the_images_unless_told_otherwise():
    assert parse_policy("flip") == parse_policy("flip:0.5")


def test_flip_mirrors_left_and_right():
    images = draw_images(np.random.default_rng(0), 5, 4)
    output = functional.flip(images, [True, False, True]).numpy()
    np.testing.assert_array_equal(output[[0, 2]], images[[0, 2], :, ::-1])
    np.testing.assert_array_equal(output[1], images[1])
    np.testing.assert_array_equal(functional.flip(images, 1.0), images[:, :, ::-1])


def test_rotation_is_uniform_up_to_its_part_of_half_a_turn():
    assert_uniform(drawn("rotation:0.25")["angle"], -np.pi / 4, np.pi / 4)
    with pytest.raises(ValueError, match=r"give its strength, as in 'rotation:0.1'"):
        parse_policy("rotation")


@pytest.mark.parametrize("fill", PAD_FILLS)
@pytest.mark.parametrize(("height", "width"), [(7, 7), (6, 9), (1, 3)])
def test_rotation_turns_about_the_centre(height, width, fill):
    images = draw_images(np.random.default_rng(0), height, width, batch=5)
    layer = DiffAugment(f"rotation(1, fill={fill})")
    (params,) = layer.sample(images.shape, 2)
    angle = params["angle"].numpy().astype("float64")
    expected = numpy_rotate(images, angle, *PAD_FILLS[fill])
    np.testing.assert_allclose(layer.apply(images, [params]), expected, rtol=1e-4, atol=1e-4)


def test_a_quarter_turn_is_counter_clockwise():
    images = draw_images(np.random.default_rng(0), 6, 6)
    for quarters in (1, 2, 3, -1):
        for fill in ("constant", "reflect", "nearest"):
            output = functional.rotate(images, quarters * np.pi / 2, fill=fill, fill_value=5.0)
            expected = np.rot90(images, quarters, (1, 2))
            np.testing.assert_allclose(output, expected, atol=2e-5)


def test_no_rotation_is_the_identity():
    images = draw_images(np.random.default_rng(0), 6, 9)
    for fill in PAD_FILLS:
        layer = DiffAugment(f"rotation(0, fill={fill})", seed=0)
        np.testing.assert_array_equal(layer(images), images)


def test_a_rotations_gradient_adds_up_in_float32():
    images = tf.cast(draw_images(np.random.default_rng(0), 6, 9), tf.bfloat16)
    weights = tf.random.stateless_normal(images.shape, [0, 1])
    gradients = []
    for dtype in (tf.bfloat16, tf.float32):
        given = tf.cast(images, dtype)
        with tf.GradientTape() as tape:
            tape.watch(given)
            output = functional.rotate(given, [0.3, 1.0, 2.0], fill="nearest")
            value = tf.reduce_sum(tf.cast(output, tf.float32) * tf.round(weights))
        gradients.append(tf.cast(tape.gradient(value, given), tf.bfloat16))
    np.testing.assert_array_equal(*(tf.cast(g, tf.float32) for g in gradients))


def test_angles_get_no_gradient():
    angle = tf.constant([0.3])
    with tf.GradientTape() as tape:
        tape.watch(angle)
        value = tf.reduce_sum(functional.rotate(tf.ones([1, 4, 4, 1]), angle))
    assert tape.gradient(value, angle) is None


def test_rotate_is_that_of_tensorflow_addons(addons):  # noqa: F811
    images = draw_images(np.random.default_rng(0), 9, 12)
    angle = np.array([0.3, -1.2, 2.5], "float32")
    theirs = addons.image.rotate(images, angle, interpolation="bilinear")
    np.testing.assert_allclose(functional.rotate(images, angle), theirs, rtol=1e-4, atol=1e-4)


def test_the_batch_may_be_empty():
    layer = DiffAugment("flip,rotation:0.3,translationx:0.3,translation(0.2, continuous=True)")
    assert layer(tf.zeros([0, 8, 6, 3])).shape == (0, 8, 6, 3)
