"""Windows resized to the whole, place by place in NumPy, and maps one after the other."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tests.resample_reference import PAD_MODES, SETTINGS, draw_images, numpy_window, tensors
from tf_diffaug.augment import AffineMap, functional, look_up, resample_map


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
    window = AffineMap.window(
        *tensors(top, left, tall, wide),
        (height, width),
        border=fill,
        fill=0.7,
        shrink=2.0,
    )
    expected = numpy_window(images, top, left, tall, wide, fill, 0.7)
    np.testing.assert_allclose(window(tf.constant(images)), expected, rtol=1e-4, atol=1e-4)


def test_whole_canvases_are_resized_as_by_tensorflow():
    images = draw_images(np.random.default_rng(0), 12, 12)
    canvas = np.pad(images, [(0, 0), (2, 4), (3, 3), (0, 0)], "reflect")
    theirs = tf.image.resize(canvas, [12, 12], antialias=True)
    window = tensors([-2 / 12] * 3, [-3 / 12] * 3, [1.5] * 3, [1.5] * 3)
    ours = AffineMap.window(*window, (12, 12), border="reflect", shrink=2.0)(images)
    # At the canvas's edge theirs has nothing to average with.
    np.testing.assert_allclose(ours[:, 1:-1, 1:-1], theirs[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-4)
    theirs = tf.image.resize(images[:, 3:9, 2:8], [12, 12])
    window = tensors([3 / 12] * 3, [2 / 12] * 3, [0.5] * 3, [0.5] * 3)
    ours = AffineMap.window(*window, (12, 12))(images)
    np.testing.assert_allclose(ours[:, 1:-1, 1:-1], theirs[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-4)


def window_of(seed, fill, shape, extents=(0.5, 2.0)):
    rng = np.random.default_rng(seed)
    top, left = rng.uniform(-0.5, 0.5, (2, shape[0]))
    height, width = rng.uniform(*extents, (2, shape[0]))
    window = tensors(top, left, height, width)
    return AffineMap.window(*window, shape[1:3], border=fill, fill=-0.5, shrink=2.0)


@pytest.mark.parametrize("fill", PAD_MODES)
def test_the_whole_is_the_identity(fill):
    images = tf.constant(draw_images(np.random.default_rng(0), 9, 7))
    none, whole = tf.zeros([3]), tf.ones([3])
    for shrink in (1.0, 2.0):
        same = AffineMap.window(
            none, none, whole, whole, (9, 7), border=fill, fill=3.0, shrink=shrink
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
        window = AffineMap.window(start, start, extent, extent, (4, 4), border="constant", fill=1.0)
        value = tf.reduce_sum(window(tf.random.stateless_uniform([1, 4, 4, 1], [0, 1])))
    assert tape.gradient(value, [start, extent]) == [None, None]


def test_fill_is_one_of_its_choices():
    with pytest.raises(ValueError, match="Received: fill='wrap'"):
        AffineMap.window(None, None, 1.0, 1.0, (4, 4), border="wrap")
    with pytest.raises(ValueError, match="Received: fill='wrap'"):
        functional.rotate(tf.zeros([1, 4, 4, 3]), 0.5, fill="wrap")


@pytest.mark.parametrize("fill", PAD_MODES)
def test_large_sides_are_looked_up_and_are_the_same(fill, monkeypatch):
    """Values, gradients and gradients of these; weights of one pixel are added in float32."""
    shape = (3, 9, 7, 2)
    rng = np.random.default_rng(0)
    images, upstream = (tf.constant(rng.normal(size=shape)) for _ in range(2))
    window, found, calls = window_of(1, fill, shape), [], []
    run = resample_map.look_up
    monkeypatch.setattr(resample_map, "look_up", lambda *a: calls.append(1) or run(*a))
    for large, turns, wide in ((1000, 0, 1), (1, 0, 1), (1, 0, 999), (1, 10**9, 999)):
        monkeypatch.setattr(resample_map, "LARGE", large)
        monkeypatch.setattr(look_up, "LARGE", turns)
        monkeypatch.setattr(look_up, "WIDE", wide)
        with tf.GradientTape() as outer:
            outer.watch(images)
            with tf.GradientTape() as tape:
                tape.watch(images)
                output = window(images)
                value = tf.reduce_sum(output**2 * upstream)
            gradient = tape.gradient(value, images)
            penalty = tf.reduce_sum(gradient**2)
        found.append((output, gradient, outer.gradient(penalty, images)))
        assert bool(calls) == (large == 1)
    for other in found[1:]:
        for mine, theirs in zip(other, found[0], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("from_wide", [1, 10**9])
@pytest.mark.parametrize("fill", PAD_MODES)
def test_looked_up_windows_are_sampled_as_defined(fill, from_wide, monkeypatch):
    """The definition in float64 holds for look-ups, one after the other; so does the transpose."""
    monkeypatch.setattr(resample_map, "LARGE", 1)
    monkeypatch.setattr(look_up, "LARGE", 1)
    monkeypatch.setattr(look_up, "WIDE", from_wide)
    rng = np.random.default_rng(2)
    images, upstream = (tf.constant(rng.normal(size=(3, 7, 6, 2))) for _ in range(2))
    (top, left), (tall, wide) = np.float32((rng.uniform(-1, 1, (2, 3)), rng.uniform(0, 2, (2, 3))))
    places = tensors(top, left, tall, wide)
    window = AffineMap.window(*places, (7, 6), border=fill, fill=0.7, shrink=2.0)
    with tf.GradientTape() as tape:
        tape.watch(images)
        output = window(images)
    expected = numpy_window(images.numpy(), top, left, tall, wide, fill, 0.7)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
    gradient = tape.gradient(output, images, output_gradients=upstream)
    constant = tf.reduce_sum(window(tf.zeros_like(images)) * upstream)
    value = tf.reduce_sum(output * upstream) - constant
    np.testing.assert_allclose(value, tf.reduce_sum(gradient * images), rtol=1e-9)


@pytest.mark.parametrize("xla", [False, True])
def test_look_ups_need_no_known_size_and_pass_xla(xla):
    values = tf.constant(np.random.default_rng(0).normal(size=(6, 3)))
    index, weight = tf.constant([5, 0, 5, 2]), tf.constant([0.5, 2.0, -1.0, 1.0], tf.float64)
    taps = lambda: iter([(index, weight), (5 - index, weight)])  # noqa: E731

    @tf.function(
        jit_compile=xla,
        autograph=False,
        input_signature=[tf.TensorSpec([6 if xla else None, 3], tf.float64)],
    )
    def run(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            output = look_up.look_up(values, taps)
        return output, tape.gradient(output, values)

    matrix = np.zeros((4, 6))
    for row, (i, w) in enumerate(zip(index.numpy(), weight.numpy(), strict=True)):
        matrix[row, i] += w
        matrix[row, 5 - i] += w
    output, gradient = run(values)
    np.testing.assert_allclose(output, matrix @ values.numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, matrix.T @ np.ones((4, 3)), rtol=1e-12)
