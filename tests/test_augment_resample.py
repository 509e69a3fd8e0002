"""Windows resized to the whole, place by place in NumPy, and maps one after the other."""

import math

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_diffaug.augment import ResampleMap, functional, resample_map
from tf_diffaug.augment.policy import parse_policy

SETTINGS = hypothesis.settings(max_examples=10)
PAD_MODES = {"constant": "constant", "reflect": "reflect", "nearest": "edge"}


def padded(image, fill, fill_value=0.0):
    """Pixel (y, x) of an image, also outside it, in float64."""
    height, width, _ = image.shape
    top, left = 3 * height + 4, 3 * width + 4
    extra = {"constant_values": fill_value} if fill == "constant" else {}
    pads = [(top, top), (left, left), (0, 0)]
    canvas = np.pad(image.astype("float64"), pads, PAD_MODES[fill], **extra)
    return lambda y, x: canvas[top + y, left + x]


def numpy_place(pixel, row, column, reach_y, reach_x):
    """The mean around one place, weighted by how near a pixel is."""
    value, total = 0.0, 0.0
    for y in range(math.floor(row - reach_y), math.ceil(row + reach_y) + 1):
        for x in range(math.floor(column - reach_x), math.ceil(column + reach_x) + 1):
            weight = max(0, 1 - abs(y - row) / reach_y) * max(0, 1 - abs(x - column) / reach_x)
            value = value + weight * pixel(y, x)
            total += weight
    return value / total


def numpy_window(images, top, left, height, width, fill, fill_value=0.0):
    """Each window, bilinear where it grows and averaged over its own places where it shrinks."""
    output = np.zeros(images.shape)
    _, rows, columns, _ = images.shape
    for n, image in enumerate(images):
        pixel = padded(image, fill, fill_value)
        for y in range(rows):
            for x in range(columns):
                row = top[n] * rows + (y + 0.5) * height[n] - 0.5
                column = left[n] * columns + (x + 0.5) * width[n] - 0.5
                reaches = max(height[n], 1.0), max(width[n], 1.0)
                output[n, y, x] = numpy_place(pixel, row, column, *reaches)
    return output


def tensors(*arrays):
    return [tf.constant(array, tf.float32) for array in arrays]


def draw_images(rng, height, width, channels=3, batch=3):
    return rng.normal(0, 2, (batch, height, width, channels)).astype("float32")


@SETTINGS
@hypothesis.given(
    st.integers(1, 7), st.integers(1, 7), st.sampled_from(list(PAD_MODES)), st.integers(0, 2**31)
)
@hypothesis.example(1, 6, "reflect", 0)
@hypothesis.example(2, 2, "reflect", 0)
def test_a_window_is_sampled_as_defined(height, width, fill, seed):
    rng = np.random.default_rng(seed)
    images = draw_images(rng, height, width, channels=2)
    places = rng.uniform(-1, 1, (2, 3)), rng.uniform(0, 2, (2, 3))
    (top, left), (tall, wide) = np.float32(places)
    window = ResampleMap.window(
        *tensors(top, left, tall, wide),
        (height, width),
        fill=fill,
        fill_value=0.7,
        shrink=2.0,
    )
    expected = numpy_window(images, top, left, tall, wide, fill, 0.7)
    np.testing.assert_allclose(window(tf.constant(images)), expected, rtol=1e-4, atol=1e-4)


def test_whole_canvases_are_resized_as_by_tensorflow():
    images = draw_images(np.random.default_rng(0), 12, 12)
    canvas = np.pad(images, [(0, 0), (2, 4), (3, 3), (0, 0)], "reflect")
    theirs = tf.image.resize(canvas, [12, 12], antialias=True)
    window = tensors([-2 / 12] * 3, [-3 / 12] * 3, [1.5] * 3, [1.5] * 3)
    ours = ResampleMap.window(*window, (12, 12), fill="reflect", shrink=2.0)(images)
    # At the canvas's edge theirs has nothing to average with.
    np.testing.assert_allclose(ours[:, 1:-1, 1:-1], theirs[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-4)
    theirs = tf.image.resize(images[:, 3:9, 2:8], [12, 12])
    window = tensors([3 / 12] * 3, [2 / 12] * 3, [0.5] * 3, [0.5] * 3)
    ours = ResampleMap.window(*window, (12, 12))(images)
    np.testing.assert_allclose(ours[:, 1:-1, 1:-1], theirs[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-4)


def window_of(seed, fill, shape, extents=(0.5, 2.0)):
    rng = np.random.default_rng(seed)
    top, left = rng.uniform(-0.5, 0.5, (2, shape[0]))
    height, width = rng.uniform(*extents, (2, shape[0]))
    window = tensors(top, left, height, width)
    return ResampleMap.window(*window, shape[1:3], fill=fill, fill_value=-0.5, shrink=2.0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("reflect", "nearest"),
        ("constant", "constant"),
        ("constant", "reflect"),
        ("nearest", "constant"),
    ],
)
def test_one_map_after_another_is_one_map(first, second):
    shape = (3, 9, 7, 3)
    images = tf.constant(draw_images(np.random.default_rng(0), *shape[1:]))
    a, b = window_of(1, first, shape), window_of(2, second, shape)
    both = a.then(b)
    assert isinstance(both, ResampleMap)
    np.testing.assert_allclose(both(images), b(a(images)), rtol=1e-4, atol=1e-5)


def test_one_axis_after_the_other_is_one_map():
    shape = (3, 9, 7, 3)
    images = tf.constant(draw_images(np.random.default_rng(0), *shape[1:]))
    whole = window_of(1, "constant", shape)
    rows = ResampleMap(whole.rows, None, whole.fill)
    columns = ResampleMap(None, whole.columns, whole.fill)
    for a, b in ((rows, columns), (columns, rows), (rows, rows)):
        np.testing.assert_allclose(a.then(b)(images), b(a(images)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rows.then(columns)(images), whole(images), rtol=1e-4, atol=1e-5)


def test_maps_with_two_fills_do_not_compose():
    shape = (3, 9, 7, 3)
    black = window_of(1, "constant", shape)
    grey = ResampleMap(black.rows, black.columns, 0.0)
    assert black.then(grey) is None
    assert black.then(parse_policy("color").ops[0].lower(_color(), shape, (-1, 1))) is None


def _color():
    return parse_policy("color").sample((3, 9, 7, 3), tf.constant([0, 1]))[0]


def test_neighbours_run_as_one_pass(monkeypatch):
    passes = []
    run = resample_map._along_height
    monkeypatch.setattr(resample_map, "_along_height", lambda *a: passes.append(1) or run(*a))
    policy = parse_policy("zoomout:0.4,crop_resize,translation(0.2, fill=reflect, continuous=True)")
    policy.apply(tf.zeros([2, 8, 8, 3]), policy.sample((2, 8, 8, 3), tf.constant([0, 1])))
    assert len(passes) == 2  # one for each axis


@pytest.mark.parametrize("fill", PAD_MODES)
def test_the_whole_is_the_identity(fill):
    images = tf.constant(draw_images(np.random.default_rng(0), 9, 7))
    none, whole = tf.zeros([3]), tf.ones([3])
    for shrink in (1.0, 2.0):
        same = ResampleMap.window(
            none, none, whole, whole, (9, 7), fill=fill, fill_value=3.0, shrink=shrink
        )
        np.testing.assert_array_equal(same(images), images)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_sums_are_taken_in_float32_at_least(dtype):
    """Rounded once, at the end."""
    shape = (3, 9, 7, 3)
    images = tf.cast(draw_images(np.random.default_rng(0), *shape[1:]), dtype)
    window = window_of(1, "constant", shape)
    output = window(images)
    assert output.dtype == dtype
    expected = tf.cast(window(tf.cast(images, tf.float32)), dtype)
    np.testing.assert_allclose(
        tf.cast(output, tf.float64), tf.cast(expected, tf.float64), atol=1e-5 * (dtype == "float64")
    )


def test_the_gradient_is_the_transposed_map():
    shape = (3, 9, 7, 3)
    rng = np.random.default_rng(0)
    images, upstream = (tf.constant(rng.normal(size=shape)) for _ in range(2))
    for fill in PAD_MODES:
        window = window_of(1, fill, shape)
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = tf.reduce_sum(window(images) * upstream)
        gradient = tape.gradient(value, images)
        constant = tf.reduce_sum(window(tf.zeros_like(images)) * upstream)
        np.testing.assert_allclose(value - constant, tf.reduce_sum(gradient * images), rtol=1e-9)


def test_the_window_gets_no_gradient():
    start, extent = tf.constant([0.1]), tf.constant([0.6])
    with tf.GradientTape() as tape:
        tape.watch([start, extent])
        window = ResampleMap.window(start, start, extent, extent, (4, 4), fill_value=1.0)
        value = tf.reduce_sum(window(tf.random.stateless_uniform([1, 4, 4, 1], [0, 1])))
    assert tape.gradient(value, [start, extent]) == [None, None]


def test_fill_is_one_of_its_choices():
    with pytest.raises(ValueError, match="Received: fill='wrap'"):
        ResampleMap.window(None, None, 1.0, 1.0, (4, 4), fill="wrap")
    with pytest.raises(ValueError, match="Received: fill='wrap'"):
        functional.rotate(tf.zeros([1, 4, 4, 3]), 0.5, fill="wrap")
