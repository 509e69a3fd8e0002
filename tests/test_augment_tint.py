"""Tints and SimCLR's colour distortion against their formulas in NumPy."""

import colorsys
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.augment import ColorMap, color_map, parse_policy, placement
from tf_diffaug.augment.ops.color_jitter import ColorJitterOp

MANY = 20_000
SEED = tf.constant([5, 6])
NAMES = ("redness", "greenness", "blueness")
TURN = 2 * np.pi


def images_of(shape, dtype="float64"):
    # Far outside the usual range: nothing clips.
    return np.random.default_rng(0).normal(0, 3, shape).astype(dtype)


def apply(text, images, params, value_range=(-1, 1)):
    params = [{k: tf.constant(v, tf.float32) for k, v in params.items()}]
    output = parse_policy(text).apply(tf.constant(images), params, value_range=value_range)
    return output.numpy()


def drawn(text, shape=(MANY, 8, 8, 3)):
    (params,) = parse_policy(text).sample(shape, SEED)
    return {name: value.numpy() for name, value in params.items()}


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("value_range", "unit"), [((-1, 1), 2), ((0, 1), 1), ((0, 255), 255)])
def test_one_channel_is_raised(channel, channels, value_range, unit):
    images, delta = images_of((4, 5, 6, channels)), np.array([0.1, -0.3, 0.0, 0.25])
    output = apply(NAMES[channel] + ":0.4", images, {"delta": delta}, value_range)
    expected = images.copy()
    expected[..., channel if channels > 1 else 0] += unit * delta[:, None, None]
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6 * unit)


@pytest.mark.parametrize("name", NAMES)
def test_one_channel_of_an_unknown_kind_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} takes images of 1, 3 or 4 channels"):
        apply(f"{name}:0.1", images_of((1, 2, 2, 2)), {"delta": [0.1]})


@pytest.mark.parametrize("name", NAMES)
def test_a_strength_is_asked_for(name):
    with pytest.raises(ValueError, match=f"no published default.*'{name}:0.1'"):
        parse_policy(name)
    with pytest.raises(ValueError, match="from 0 to 1"):
        parse_policy(f"{name}:1.5")


def numpy_jitter(images, brightness, contrast, saturation, hue, order, black=-1.0):
    """The four ops one after the other, in any order, on float64 images (N, H, W, 3)."""
    axis = np.ones(3) / np.sqrt(3)
    cross = np.cross(np.eye(3), axis)  # rows: e_i x axis
    across = np.eye(3) - np.outer(axis, axis)
    for name in order:
        if name == "brightness":
            f = brightness[:, None, None, None]
            images = black + f * (images - black)
        elif name == "contrast":
            mean = images.mean((1, 2, 3), keepdims=True)
            images = (images - mean) * contrast[:, None, None, None] + mean
        elif name == "saturation":
            grey = images.mean(3, keepdims=True)
            images = (images - grey) * saturation[:, None, None, None] + grey
        else:  # Rodrigues' rotation about the axis of grey
            turned = []
            for image, angle in zip(images, TURN * hue, strict=True):
                rotation = np.outer(axis, axis) + np.cos(angle) * across - np.sin(angle) * cross
                turned.append(image @ rotation)
            images = np.stack(turned)
    return images


PARAMS = {
    "brightness": np.array([1.3, 0.6, 1.0, 1.8]),
    "contrast": np.array([0.4, 1.5, 1.0, 0.9]),
    "saturation": np.array([0.0, 1.7, 1.0, 0.5]),
    "hue": np.array([0.15, -0.2, 0.0, 0.07]),
}


@pytest.mark.parametrize("accelerated", [False, True])
def test_jitter_is_the_four_in_any_order(accelerated, monkeypatch):
    monkeypatch.setattr(placement, "accelerated", lambda: accelerated)
    images = images_of((4, 5, 6, 4))
    output = apply("color_jitter", images, PARAMS)
    for order in itertools.permutations(PARAMS):
        expected = numpy_jitter(images[..., :3], **PARAMS, order=order)
        np.testing.assert_allclose(output[..., :3], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(output[..., 3], images[..., 3])


def test_jitter_scales_from_black():
    images = images_of((4, 5, 6, 3))
    for value_range in ((-1, 1), (0, 255)):
        expected = numpy_jitter(images, **PARAMS, order=PARAMS, black=value_range[0])
        output = apply("color_jitter", images, PARAMS, value_range)
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_jitter_without_three_colors_has_no_hue(channels):
    images = images_of((4, 5, 6, channels))
    still = {**PARAMS, "hue": np.zeros(4)}
    expected = numpy_jitter(images, **still, order=("brightness", "contrast", "saturation"))
    output = apply("color_jitter", images, PARAMS)
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def hue_of(colors, turn):
    ones, zeros = np.ones(len(colors)), np.zeros(len(colors))
    params = {"brightness": ones, "contrast": ones, "saturation": ones, "hue": zeros + turn}
    return apply("color_jitter", colors[:, None, None], params)[:, 0, 0]


def test_a_third_of_a_turn_is_that_of_hsv():
    colors = np.random.default_rng(1).uniform(0, 1, (50, 3))
    for turn in (1 / 3, -1 / 3):
        theirs = []
        for color in colors:
            hue, saturation, value = colorsys.rgb_to_hsv(*color)
            theirs.append(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
        np.testing.assert_allclose(hue_of(colors, turn), theirs, atol=1e-6)


def test_hue_keeps_grey_and_the_distance_to_it():
    colors = np.random.default_rng(1).uniform(0, 1, (50, 3))
    turned = hue_of(colors, 0.1)
    np.testing.assert_allclose(turned.mean(1), colors.mean(1), atol=1e-6)
    for x in (turned, colors):
        x -= x.mean(1, keepdims=True)
    lengths = np.linalg.norm(turned, axis=1) * np.linalg.norm(colors, axis=1)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(colors, axis=1))
    np.testing.assert_allclose((turned * colors).sum(1), lengths * np.cos(0.1 * TURN), atol=1e-6)


MIXED = "redness:0.2,color_jitter:1,greenness:0.1,brightness,color,color_jitter,blueness:0.3"


@pytest.mark.parametrize("shape", [(6, 9, 14, 3), (6, 8, 8, 1), (6, 7, 11, 4)])
@pytest.mark.parametrize("accelerated", [False, True])
def test_fused_and_unfused_agree(shape, accelerated, monkeypatch):
    monkeypatch.setattr(placement, "accelerated", lambda: accelerated)
    policy = parse_policy(MIXED)
    images = tf.constant(images_of(shape))
    params = policy.sample(shape, SEED)
    results = []
    for fuse in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = policy.apply(images, params, fuse=fuse)
            loss = tf.reduce_sum(tf.cos(images) * output)
        results.append((output, tape.gradient(loss, images)))
    for fused, unfused in zip(*results, strict=True):
        np.testing.assert_allclose(fused, unfused, atol=2e-5)


def test_all_colors_are_one_pass(monkeypatch):
    passes, run = [], color_map._run_color
    monkeypatch.setattr(color_map, "_run_color", lambda *a: passes.append(1) or run(*a))
    policy = parse_policy(MIXED)
    policy.apply(tf.zeros([2, 8, 8, 3]), policy.sample((2, 8, 8, 3), SEED))
    assert len(passes) == 1


def test_the_gradient_is_the_transposed_map():
    generator = np.random.default_rng(3)
    numbers = {
        name: tf.constant(generator.normal(size=3), tf.float32)
        for name in ("color", "level", "mean", "offset", "turn")
    }
    tint = generator.normal(size=(3, 3))
    tint -= tint.mean(1, keepdims=True)
    color = ColorMap(**numbers, tint=tf.constant(tint, tf.float32))
    x, y = tf.constant(generator.normal(size=(2, 3, 4, 5, 3)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        product = tf.reduce_sum(y * color(x))
    moved = color(x) - color(tf.zeros_like(x))
    np.testing.assert_allclose(
        tf.reduce_sum(tape.gradient(product, x) * x), tf.reduce_sum(y * moved), rtol=1e-6
    )


def test_tints_get_no_gradient():
    for text in ("redness:0.2", "color_jitter"):
        policy = parse_policy(text)
        params = policy.sample((4, 8, 8, 3), SEED)
        flat = tf.nest.flatten(params)
        with tf.GradientTape() as tape:
            tape.watch(flat)
            loss = tf.reduce_sum(policy.apply(tf.ones([4, 8, 8, 3]), params))
        assert tape.gradient(loss, flat) == [None] * len(flat)


def assert_uniform(values, low, high):
    assert low <= values.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 0.01 * (high - low)
    assert abs(values.std() - (high - low) / np.sqrt(12)) < 0.01 * (high - low)


def test_draws_are_uniform_over_their_range():
    for name in NAMES:
        assert_uniform(drawn(f"{name}:0.3")["delta"], -0.3, 0.3)
    params = drawn("color_jitter(1, probability=1, grayscale=0, contrast=0.5)")
    assert_uniform(params["brightness"], 0.2, 1.8)
    assert_uniform(params["contrast"], 0.5, 1.5)
    assert_uniform(params["saturation"], 0.2, 1.8)
    assert_uniform(params["hue"], -0.2, 0.2)
    assert_uniform(drawn("color_jitter(probability=1)")["hue"], -0.1, 0.1)


def test_jitter_and_grey_have_their_probabilities():
    params = drawn("color_jitter")
    still = (params["hue"] == 0.0) & (params["contrast"] == 1.0) & (params["brightness"] == 1.0)
    grey = params["saturation"] == 0.0
    sigma = 0.4 / np.sqrt(MANY)
    assert abs(still.mean() - 0.2) < 4 * sigma
    assert abs(grey.mean() - 0.2) < 4 * sigma
    assert abs((still & grey).mean() - 0.04) < 4 * sigma
    assert ((params["saturation"] == 1.0) == (still & ~grey)).all()
    assert (drawn("color_jitter(grayscale=1)")["saturation"] == 0).all()
    assert (drawn("color_jitter(probability=0)")["hue"] == 0).all()


def test_quantiles_are_those_of_the_four():
    shape = (2, 8, 8, 3)
    low, middle, high = (ColorJitterOp(1.0).params_at(q, shape) for q in (0.0, 0.5, 1.0))
    ends = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
    for name, reach in ends.items():
        center = 0.0 if name == "hue" else 1.0
        values = [params[name][0] for params in (low, middle, high)]
        np.testing.assert_allclose(values, [center - reach, center, center + reach], atol=1e-6)
    assert float(ColorJitterOp(grayscale=1.0).params_at(0.5, shape)["saturation"][0]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("color_jitter(hue=0.6)", "hue is a number from 0 to 0.5"),
        ("color_jitter:2", "strength is a number from 0 to 1"),
        ("color_jitter(probability=-1)", "probability is a number from 0 to 1"),
    ],
)
def test_settings_are_checked(text, message):
    with pytest.raises(ValueError, match=message):
        parse_policy(text)
