"""Windows resized to the whole, place by place in NumPy, and maps one after the other."""

import math

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_diffaug.augment import AffineMap, DiffAugment, functional, look_up, resample_map
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


PARTS = {
    "flip": lambda q: np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1.0]]),
    "rotation": lambda q: np.array(
        [[math.cos(q), math.sin(q), 0], [-math.sin(q), math.cos(q), 0], [0, 0, 1.0]]
    ),
    "scale": lambda q: np.diag([2.0**-q, 2.0**-q, 1.0]),
}


def numpy_affine(images, matrices, border, fill_value, looks):
    """Each place at matrix·(y, x, 1) from the centre: the mean of some looks between the pixels."""
    output = np.zeros(images.shape)
    _, height, width, _ = images.shape
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    for n, (image, matrix) in enumerate(zip(images, matrices, strict=True)):
        pixel = padded(image, border, fill_value)
        steps = np.maximum(np.linalg.norm(matrix[:2, :2], axis=0), 1.0)
        offsets = (np.arange(looks) + 0.5) / looks - 0.5
        for y in range(height):
            for x in range(width):
                for pair in zip(offsets, [*offsets[1::2], *offsets[::2]], strict=True):
                    spread = np.array(pair) * (1 - 1 / steps)
                    place = np.array([y - middle[0], x - middle[1]]) + spread
                    row, column = (matrix @ [*place, 1.0])[:2] + middle
                    output[n, y, x] += numpy_place(pixel, row, column, 1.0, 1.0) / looks
    return output


@pytest.mark.parametrize("large", [1, look_up.LARGE])
@pytest.mark.parametrize("border", ["reflect", "nearest", "black"])
@pytest.mark.parametrize("names", [("scale", "rotation", "scale"), ("rotation", "flip", "scale")])
def test_turns_flips_and_scales_are_one_affine_map(names, border, large, monkeypatch):
    monkeypatch.setattr(look_up, "LARGE", large)
    texts = {"flip": "flip:0.5", "rotation": f"rotation(0.6, fill={border})"}
    texts["scale"] = f"scale(0.5, fill={border})"
    policy = parse_policy(",".join(texts[name] for name in names))
    images = draw_images(np.random.default_rng(0), 7, 6, channels=1)
    params = policy.sample(images.shape, tf.constant([3, 4]))
    matrices, shrink = [], math.prod(2**0.5 for name in names if name == "scale")
    for n in range(len(images)):
        matrix = np.eye(3)
        for name, drawn in zip(names, params, strict=True):
            if name == "flip":
                part = PARTS[name](0) if drawn["mirrored"][n] else np.eye(3)
            elif name == "rotation":
                part = PARTS[name](float(drawn["angle"][n]))
            else:
                part = PARTS[name](-math.log2(float(drawn["height"][n])))
            matrix = matrix @ part
        matrices.append(matrix)
    mode = "constant" if border == "black" else border
    looks = math.ceil(shrink - 1e-6)
    expected = numpy_affine(images, matrices, mode, -1.0, looks)
    output = policy.apply(tf.constant(images), params)
    np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3)


def test_windows_flips_and_shifts_are_one_window():
    shape = (3, 9, 8, 2)
    images = tf.constant(draw_images(np.random.default_rng(0), *shape[1:]))
    policy = parse_policy("zoomout:0.6,flip:1,translation(0.3, fill=reflect, continuous=True)")
    params = policy.sample(shape, tf.constant([3, 4]))
    top, left, height, width = (params[0][k].numpy() for k in ("top", "left", "height", "width"))
    dy, dx = (params[2][key].numpy() for key in ("dy", "dx"))
    # From right to left, and moved back by parts of its own sides.
    right = left + width + dx * width
    expected = numpy_window(
        images.numpy()[:, :, ::-1], top - dy * height, 1 - right, height, width, "reflect"
    )
    np.testing.assert_allclose(policy.apply(images, params), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("scale:0.2,rotation:0.1,scale:0.2", 1),
        ("scale:0.2,flip,rotation:0.1,flip,zoomout:0.2,crop_resize", 1),
        ("zoomin:0.2,flip,translation(0.2, fill=reflect, continuous=True)", 1),
        ("flip,flip", 1),
        ("scale(0.2, fill=black),scale(0.2, fill=reflect)", 2),
        ("scale:0.2,cutout,scale:0.2", 2),
    ],
)
def test_geometry_runs_as_one_pass(text, passes, monkeypatch):
    calls = []
    run = AffineMap.__call__
    monkeypatch.setattr(AffineMap, "__call__", lambda *a: calls.append(1) or run(*a))
    policy = parse_policy(text)
    policy.apply(tf.zeros([2, 8, 8, 3]), policy.sample((2, 8, 8, 3), tf.constant([0, 1])))
    assert len(calls) == passes


def test_flips_stay_exact_look_ups():
    images = tf.constant(draw_images(np.random.default_rng(0), 6, 7))
    flips = parse_policy("flip:1,flip:1,flip:1")
    output = flips.apply(images, flips.sample(images.shape, tf.constant([0, 1])))
    np.testing.assert_array_equal(output, images[:, :, ::-1])


@pytest.mark.parametrize("fill", ["zero", "black", "reflect", "nearest"])
def test_composed_geometry_of_no_strength_is_the_identity(fill):
    images = tf.constant(draw_images(np.random.default_rng(0), 9, 7))
    text = f"scale(0, fill={fill}),flip:0,rotation(0, fill={fill}),zoomout(0, fill={fill})"
    layer = DiffAugment(text, seed=0)
    np.testing.assert_array_equal(layer(images), images)


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
