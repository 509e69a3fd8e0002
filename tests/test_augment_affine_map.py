"""Geometry that is composed: turns, flips, scales, windows and shifts as one map."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.resample_reference import draw_images, numpy_place, numpy_window, padded
from tf_diffaug.augment import AffineMap, DiffAugment, look_up
from tf_diffaug.augment.policy import parse_policy

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


@pytest.mark.parametrize(
    ("text", "jit_compile"),
    [
        ("zoomin:0.5,zoomout:0.5", False),
        ("zoomin:0.5,zoomout:0.5", True),
        ("flip,zoomout(0.5, fill=black),translation(0.3, fill=black, continuous=True)", False),
        ("scale:0.3,rotation:0.3,flip,crop_resize", False),
        ("flip,flip", False),
        ("scale(0.3, fill=black),zoomin:0.3,scale:0.3,rotation:0.3", False),
    ],
)
def test_coins_choose_the_parts_of_one_map(text, jit_compile):
    policy, shape = parse_policy(text), (9, 8, 7, 3)
    images = tf.random.stateless_uniform(shape, [1, 2], -1, 1)
    params = policy.sample(shape, tf.constant([3, 4]))
    coins = tf.random.stateless_uniform([shape[0], len(policy.ops)], [5, 6]) < 0.5
    coins = tf.concat([tf.zeros_like(coins[:1]), tf.ones_like(coins[:1]), coins[2:]], axis=0)

    def run(params, **options):
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = policy.apply(images, params, **options)
            loss = tf.reduce_sum(tf.cos(images) * output)
        return output, tape.gradient(loss, images)

    run = tf.function(run, jit_compile=jit_compile, autograph=False)
    some = [
        {key: tf.where(coins[:, k], drawn[key], neutral[key]) for key in drawn}
        for k, (op, drawn) in enumerate(zip(policy.ops, params, strict=True))
        for neutral in [op.neutral_params(shape)]
    ]
    found = run(params, applied=coins)
    for one, other in zip(found, run(some), strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6)
    np.testing.assert_array_equal(found[0][0], images[0])
    always, all_coins = run(params), run(params, applied=tf.ones_like(coins))
    for one, other in zip(always, all_coins, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


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
