"""zoomin, zoomout, crop_resize and scale: what they draw, and what becomes of an image."""

import numpy as np
import pytest
import tensorflow as tf

from tests.resample_reference import draw_images, numpy_window
from tf_diffaug.augment import DiffAugment, parse_policy

MANY = 20_000
SEED = tf.constant([5, 6])
KEYS = ["top", "left", "height", "width"]
FILLS = {"reflect": ("reflect", 0), "nearest": ("nearest", 0), "zero": ("constant", 0)}


def drawn(text, shape=(MANY, 32, 32, 3)):
    (params,) = parse_policy(text).sample(shape, SEED)
    assert list(params) == KEYS
    assert all(value.dtype == tf.float32 and value.shape == shape[0] for value in params.values())
    return {name: value.numpy().astype("float64") for name, value in params.items()}


def assert_uniform(values, low, high):
    reach = high - low
    assert low - 1e-6 <= values.min() < low + 0.01 * reach
    assert high - 0.01 * reach < values.max() <= high + 1e-6
    found, _ = np.histogram(values, 10, (low, high))
    assert np.abs(found - len(values) / 10).max() < 5 * np.sqrt(len(values) / 10)


def assert_uniform_place(params):
    """The room left or right of a window, or of the image in a canvas, is uniform."""
    places = []
    for start, side in (("top", "height"), ("left", "width")):
        room = 1 - params[side]
        some = np.abs(room) > 0.02
        places.append((params[start] / np.where(some, room, 1))[some])
        assert_uniform(places[-1], 0.0, 1.0)
    if len(places[0]) == len(places[1]):
        assert abs(np.corrcoef(places)[0, 1]) < 0.03  # of the two axes


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_zoomin_draws_a_window_of_both_sides_alike(strength):
    params = drawn(f"zoomin:{strength}")
    assert_uniform(params["height"], 1 - strength, 1.0)
    np.testing.assert_array_equal(params["height"], params["width"])
    assert_uniform_place(params)
    assert min(params["top"].min(), params["left"].min()) >= 0
    assert (params["top"] + params["height"]).max() <= 1 + 1e-6


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_zoomout_draws_a_canvas_around_the_image(strength):
    params = drawn(f"zoomout:{strength}")
    assert_uniform(params["height"], 1.0, 1 + strength)
    np.testing.assert_array_equal(params["height"], params["width"])
    assert_uniform_place(params)
    assert max(params["top"].max(), params["left"].max()) <= 0
    assert (params["top"] + params["height"]).min() >= 1 - 1e-6


@pytest.mark.parametrize(
    ("text", "smallest", "ratio"),
    [
        ("crop_resize", 0.08, 4 / 3),
        ("crop_resize:0.3", 0.7, 4 / 3),
        ("crop_resize(1, aspect=2)", 0.0, 2.0),
    ],
)
def test_crop_resize_draws_area_and_an_aspect_that_fits(text, smallest, ratio):
    params = drawn(text)
    area = params["height"] * params["width"]
    assert_uniform(area, smallest, 1.0)
    aspect = np.log(params["width"] / params["height"])
    limit = np.minimum(np.log(ratio), -np.log(area))
    some = limit > 0.01
    assert_uniform((aspect / limit)[some], -1.0, 1.0)
    assert np.abs(aspect).max() > 0.99 * np.log(ratio)
    assert abs(np.corrcoef(area, aspect)[0, 1]) < 0.03
    assert_uniform_place(params)
    for start, side in (("top", "height"), ("left", "width")):
        assert params[start].min() >= 0
        assert (params[start] + params[side]).max() <= 1 + 1e-6


def test_crop_resize_is_simclrs_unless_told_otherwise():
    assert parse_policy("crop_resize") == parse_policy(f"crop_resize(0.92, aspect={4 / 3})")


def test_scale_is_even_in_the_logarithm_and_keeps_the_centre():
    params = drawn("scale:0.6")
    assert_uniform(-np.log2(params["height"]), -0.6, 0.6)
    np.testing.assert_array_equal(params["height"], params["width"])
    for start, side in (("top", "height"), ("left", "width")):
        np.testing.assert_allclose(params[start] + params[side] / 2, 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "fill"),
    [
        ("zoomin:0.7", "nearest"),
        ("zoomout:0.8", "reflect"),
        ("zoomout(0.8, fill=nearest)", "nearest"),
        ("zoomout(0.8, fill=zero)", "zero"),
        ("zoomout(0.8, fill=black)", "black"),
        ("crop_resize", "nearest"),
        ("scale:1", "reflect"),
        ("scale(1, fill=nearest)", "nearest"),
        ("scale(1, fill=black)", "black"),
    ],
)
@pytest.mark.parametrize("value_range", [(-1, 1), (0, 255)])
def test_the_image_is_the_window(text, fill, value_range):
    shape = (4, 9, 6, 3)
    images = draw_images(np.random.default_rng(0), 9, 6, batch=4)
    layer = DiffAugment(text, value_range=value_range)
    params = layer.sample(shape, 3)
    mode, value = ("constant", value_range[0]) if fill == "black" else FILLS[fill]
    window = [params[0][key].numpy() for key in KEYS]
    expected = numpy_window(images, *window, mode, value)
    np.testing.assert_allclose(layer.apply(images, params), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["zoomin", "zoomout", "scale"])
def test_the_strength_has_no_default(name):
    with pytest.raises(ValueError, match=f"no published default.*'{name}:0"):
        parse_policy(name)
    for strength in ("-0.1", "1.1", "nan", "True"):
        with pytest.raises(ValueError, match="strength is a number from 0 to 1"):
            parse_policy(f"{name}:{strength}")


@pytest.mark.parametrize("text", ["zoomin:0", "zoomout:0", "crop_resize:0", "scale:0"])
def test_no_strength_is_the_identity(text):
    images = draw_images(np.random.default_rng(0), 9, 6)
    np.testing.assert_array_equal(DiffAugment(text, seed=0)(images), images)


@pytest.mark.parametrize("text", ["zoomin:1", "zoomout:1", "crop_resize:1", "scale:1"])
@pytest.mark.parametrize("quantile", [0.0, 0.5, 1.0])
def test_the_ends_are_finite(text, quantile):
    layer = DiffAugment(text)
    images = draw_images(np.random.default_rng(0), 5, 8)
    assert np.isfinite(layer.apply(images, layer.params_at(quantile, images.shape))).all()
    assert layer(images[:0]).shape == (0, 5, 8, 3)


def test_other_arguments_are_checked():
    with pytest.raises(
        ValueError, match=r"Unknown fill .* Choose from zero, black, reflect, nearest"
    ):
        parse_policy("zoomout(0.4, fill=wrap)")
    with pytest.raises(ValueError, match="aspect is a number from 1 to 10"):
        parse_policy("crop_resize(aspect=0.5)")


def test_the_same_draw_at_another_size_shows_the_same_window():
    """A ramp across the image stays the ramp across the window, whatever the size."""
    layer = DiffAugment("zoomin:0.5")
    params = layer.sample((2, 16, 16, 1), 1)
    top, height = (params[0][key].numpy() for key in ("top", "height"))
    for side in (16, 48):
        ramp = (np.arange(side, dtype="float32") + 0.5) / side
        images = np.broadcast_to(ramp[:, None, None], (2, side, side, 1))
        output = layer.apply(images, params).numpy()[:, 2:-2, 0, 0]
        np.testing.assert_allclose(
            output, (top[:, None] + ramp * height[:, None])[:, 2:-2], atol=1e-5
        )
