"""Each op against its formula in NumPy, with the parameters given."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_diffaug.augment import color_map, functional, pixel_map, placement
from tf_diffaug.augment.policy import Policy, parse_policy

SETTINGS = hypothesis.settings(max_examples=12)
SIDES = st.integers(1, 13)
CHANNELS = st.sampled_from([1, 3, 4])
SEEDS = st.integers(0, 2**31)
FILLS = st.sampled_from(["constant", "reflect", "nearest"])


def draw_images(rng, height, width, channels, batch=5):
    # Far outside the usual range: nothing clips.
    return rng.normal(0, 3, (batch, height, width, channels)).astype("float32")


def colored(images):
    """The channels that are colours."""
    return images[..., :3] if images.shape[-1] == 4 else images


def with_alpha(colors, images):
    return np.concatenate([colors, images[..., 3:]], -1) if images.shape[-1] == 4 else colors


def numpy_brightness(images, delta):
    return with_alpha(colored(images) + delta[:, None, None, None], images)


def numpy_saturation(images, factor):
    x = colored(images)
    grey = x.mean(3, keepdims=True)
    return with_alpha((x - grey) * factor[:, None, None, None] + grey, images)


def numpy_contrast(images, factor):
    x = colored(images)
    mean = x.mean((1, 2, 3), keepdims=True)
    return with_alpha((x - mean) * factor[:, None, None, None] + mean, images)


def numpy_translate(images, dy, dx, fill="constant", fill_value=0.0):
    _, height, width, _ = images.shape
    output = np.full_like(images, fill_value)
    inside = {"reflect": mirror, "nearest": lambda i, n: min(max(i, 0), n - 1)}.get(fill)
    for n in range(len(images)):
        for y in range(height):
            for x in range(width):
                sy, sx = y - dy[n], x - dx[n]
                if inside:
                    sy, sx = inside(sy, height), inside(sx, width)
                if 0 <= sy < height and 0 <= sx < width:
                    output[n, y, x] = images[n, sy, sx]
    return output


def mirror(i, n):
    while not 0 <= i < n:
        i = 0 if n == 1 else (-i if i < 0 else 2 * (n - 1) - i)
    return i


def numpy_cutout(images, center_y, center_x, size_y, size_x, fill_value=0.0):
    """As the published code: a grid of places, clamped to the image."""
    output = images.copy()
    _, height, width, _ = images.shape
    for n in range(len(images)):
        for i in range(size_y):
            for j in range(size_x):
                y = min(max(i + center_y[n] - size_y // 2, 0), height - 1)
                x = min(max(j + center_x[n] - size_x // 2, 0), width - 1)
                output[n, y, x] = fill_value
    return output


@SETTINGS
@hypothesis.given(SIDES, SIDES, CHANNELS, SEEDS)
def test_color_ops(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    images = draw_images(rng, height, width, channels)
    number = rng.uniform(0, 2, len(images)).astype("float32")
    for ours, formula in (
        (functional.adjust_brightness, numpy_brightness),
        (functional.adjust_saturation, numpy_saturation),
        (functional.adjust_contrast, numpy_contrast),
    ):
        output = ours(images, number).numpy()
        np.testing.assert_allclose(output, formula(images, number), rtol=1e-5, atol=1e-5)
        if channels == 4:
            np.testing.assert_array_equal(output[..., 3], images[..., 3])


@SETTINGS
@hypothesis.given(
    SIDES, SIDES, CHANNELS, SEEDS, st.sampled_from(["constant", "reflect", "nearest"])
)
def test_translate(height, width, channels, seed, fill):
    rng = np.random.default_rng(seed)
    images = draw_images(rng, height, width, channels)
    dy, dx = (rng.integers(-side, side + 1, len(images)) for side in (height, width))
    value = 0.5 if fill == "constant" else 0.0
    output = functional.translate(images, dy, dx, fill=fill, fill_value=value)
    np.testing.assert_array_equal(output, numpy_translate(images, dy, dx, fill, value))


@SETTINGS
@hypothesis.given(SIDES, SIDES, CHANNELS, SEEDS, st.floats(0, 1))
def test_cutout(height, width, channels, seed, ratio):
    rng = np.random.default_rng(seed)
    images = draw_images(rng, height, width, channels)
    sizes = [int(side * ratio + 0.5) for side in (height, width)]
    centers = [
        rng.integers(0, side + 1 - size % 2, len(images))
        for side, size in zip((height, width), sizes, strict=True)
    ]
    output = functional.cutout(images, *centers, size_y=sizes[0], size_x=sizes[1], fill_value=-1.0)
    np.testing.assert_array_equal(output, numpy_cutout(images, *centers, *sizes, fill_value=-1.0))


def test_one_number_serves_all_images():
    images = draw_images(np.random.default_rng(0), 4, 6, 3)
    np.testing.assert_allclose(functional.adjust_brightness(images, 0.5), images + 0.5, rtol=1e-6)
    moved = functional.translate(images, 1, -2)
    np.testing.assert_array_equal(moved[:, 1:, :-2], images[:, :-1, 2:])
    assert not np.any(moved[:, 0])
    assert not np.any(moved[:, :, -2:])


def test_saturation_of_one_channel_is_the_identity():
    images = draw_images(np.random.default_rng(0), 4, 6, 1)
    np.testing.assert_allclose(functional.adjust_saturation(images, 0.0), images, rtol=1e-6)


def test_contrast_of_half_floats_accumulates_in_float32():
    images = tf.fill([1, 256, 256, 3], tf.constant(1.5, tf.float16))
    np.testing.assert_array_equal(functional.adjust_contrast(images, 0.0), images)


def test_a_box_leaves_no_trace_of_what_is_not_finite():
    images = np.full((1, 4, 4, 3), np.nan, "float32")
    assert not np.any(functional.cutout(images, 2, 2, size_y=4, size_x=4))
    assert not np.any(functional.translate(images, 4, 0))


def test_fill_is_one_of_its_choices():
    with pytest.raises(ValueError, match="Received: fill='wrap'"):
        functional.translate(np.zeros([1, 2, 2, 3]), 1, 1, fill="wrap")


def test_accelerators_mix_channels_without_a_product(monkeypatch):
    images = draw_images(np.random.default_rng(0), 5, 6, 4)
    expected = functional.adjust_saturation(images, 0.3)
    monkeypatch.setattr(placement, "accelerated", lambda: True)
    np.testing.assert_allclose(
        functional.adjust_saturation(images, 0.3), expected, rtol=1e-5, atol=1e-6
    )


def test_a_trace_knows_whether_it_is_for_xla():
    answers = {}
    for xla in (True, False):

        @tf.function(jit_compile=xla)
        def traced(x, xla=xla):
            answers[xla] = placement.traced_for_xla()
            return x

        traced(tf.zeros([]))
    assert answers == {True: True, False: False}
    assert not placement.traced_for_xla()


@pytest.mark.parametrize(
    "text",
    [
        "color,translation,cutout",
        "contrast,saturation,brightness,color",
        "cutout,translation,cutout:0.25,translation:0.4",
        "translation(fill=black),cutout(fill=black)",
        "translation,cutout(fill=black),translation(fill=reflect),cutout,color",
    ],
)
@pytest.mark.parametrize("shape", [(6, 9, 14, 3), (6, 8, 8, 1), (6, 7, 11, 4)])
def test_fused_and_unfused_agree(text, shape):
    policy = parse_policy(text)
    images = tf.random.stateless_uniform(shape, [1, 2], -1, 1)
    params = policy.sample(shape, tf.constant([3, 4]))
    results = []
    for fuse in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = policy.apply(images, params, fuse=fuse)
            loss = tf.reduce_sum(tf.cos(images) * output)
        results.append((output, tape.gradient(loss, images)))
    for fused, unfused in zip(*results, strict=True):
        np.testing.assert_allclose(fused, unfused, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("color,translation,cutout", (9, 12, 10, 3)),
        ("color,translation(0.4, fill=black),cutout(fill=black)", (9, 8, 8, 4)),
        ("cutout:0.3,translation:0.4,cutout:0.3,brightness", (9, 8, 9, 1)),
        ("redness:0.3,color_jitter,blueness:0.2,contrast", (9, 7, 8, 3)),
        # Zooms that stood side by side would compose, and not be one by one.
        ("zoomin:0.4,brightness,zoomout:0.4,translation(0.3, fill=reflect)", (9, 8, 8, 3)),
        ("rotation:0.3,flip,cutmix:0.4,mixup:0.4,instance_noise:0.1", (9, 8, 8, 3)),
    ],
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_op_that_an_image_does_not_go_through_leaves_it(text, shape, jit_compile):
    policy = parse_policy(text)
    images = tf.random.stateless_uniform(shape, [1, 2], -1, 1)
    params = policy.sample(shape, tf.constant([3, 4]))
    applied = tf.random.stateless_uniform([shape[0], len(policy.ops)], [5, 6]) < 0.5
    # The first image goes through none, the second through all.
    applied = tf.concat(
        [tf.zeros_like(applied[:1]), tf.ones_like(applied[:1]), applied[2:]], axis=0
    )

    def one_by_one(images):
        for index, (op, found) in enumerate(zip(policy.ops, params, strict=True)):
            changed = Policy((op,)).apply(images, [found])
            images = tf.where(applied[:, index, None, None, None], changed, images)
        return images

    def run(apply):
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = apply(images)
            loss = tf.reduce_sum(tf.cos(images) * output)
        return output, tape.gradient(loss, images)

    expected = run(one_by_one)
    fused = tf.function(jit_compile=jit_compile, autograph=False)(
        lambda: run(lambda images: policy.apply(images, params, applied=applied))
    )
    output, gradient = fused()
    np.testing.assert_allclose(output, expected[0], atol=2e-6)
    np.testing.assert_allclose(gradient, expected[1], atol=5e-6)
    np.testing.assert_array_equal(output[0], images[0])


def test_neighbours_that_compose_run_as_one_pass(monkeypatch):
    passes = []
    for home, name in (
        (color_map, "_run_color"),
        (pixel_map, "_look_up"),
        (pixel_map, "_mask"),
    ):
        run = getattr(home, name)
        monkeypatch.setattr(home, name, lambda *a, run=run: passes.append(1) or run(*a))
    policy = parse_policy("brightness,color,contrast,cutout,translation,cutout")
    shape = (2, 8, 8, 3)
    policy.apply(tf.zeros(shape), policy.sample(shape, tf.constant([0, 1])))
    assert len(passes) == 2


@pytest.fixture
def addons():
    """TensorFlow Addons, on the stack that has it."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow_addons")


def test_translate_is_that_of_tensorflow_addons(addons):
    rng = np.random.default_rng(0)
    images = draw_images(rng, 9, 12, 3)
    dy, dx = rng.integers(-5, 6, (2, 5))
    # Addons takes (dx, dy).
    theirs = addons.image.translate(images, np.stack([dx, dy], 1).astype("float32"))
    np.testing.assert_array_equal(functional.translate(images, dy, dx), theirs)


def test_cutout_is_that_of_tensorflow_addons(addons):
    rng = np.random.default_rng(0)
    images = draw_images(rng, 10, 12, 3)
    centers = np.stack([rng.integers(0, 10, 5), rng.integers(0, 12, 5)], 1)
    centers = centers.astype("int32")
    theirs = addons.image.cutout(images, (4, 6), offset=centers, constant_values=0)
    ours = functional.cutout(images, centers[:, 0], centers[:, 1], size_y=4, size_x=6)
    np.testing.assert_array_equal(ours, theirs)


def test_functions_refuse_what_is_no_floating_image():
    """250 + 20 of uint8 would wrap around to 14."""
    images = tf.fill([1, 2, 2, 3], tf.constant(250, tf.uint8))
    for call in (
        lambda x: functional.adjust_brightness(x, 20),
        lambda x: functional.adjust_saturation(x, 0.5),
        lambda x: functional.adjust_contrast(x, 0.5),
        lambda x: functional.translate(x, 1, 0),
        lambda x: functional.flip(x, True),
        lambda x: functional.rotate(x, 0.3),
        lambda x: functional.cutout(x, 1, 1, size_y=1, size_x=1),
    ):
        with pytest.raises(ValueError, match=r"takes floating images.*Rescaling.*dtype=uint8"):
            call(images)
        single = tf.cast(images[0], tf.float32)
        np.testing.assert_array_equal(call(single), call(single[None])[0])
