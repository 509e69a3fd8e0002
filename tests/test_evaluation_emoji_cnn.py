"""The shipped features: what they are, and that they see what a policy may leak into samples."""

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.data import load
from tf_diffaug.evaluation import Statistics, frechet_distance, load_extractor
from tf_diffaug.evaluation.emoji_cnn import CODE, WEIGHTS, weight_shapes

# The first four features by the code's number. Whoever changes the features does not correct these:
# they raise the number in emoji_cnn.CODE and write theirs, so that no statistics kept from before
# pass for theirs.
GOLDEN = {
    "emoji-cnn 1": {
        "emoji 0": [-0.4365, 2.5483, 0.5448, -0.3841],
        "emoji 500": [-0.2938, 0.9777, 0.0708, 0.7655],
        "emoji 1500": [-0.3221, -0.5539, 1.4159, -0.1760],
        "grey": [-0.4571, 0.8128, -1.0330, -0.5496],
        "alpha": [0.3383, 1.6259, 1.6400, 0.2008],
        "resized": [1.4628, 0.8361, 1.3025, 0.6239],
    }
}


@pytest.fixture(scope="module")
def extractor():
    return load_extractor("emoji-cnn")


@pytest.fixture(scope="module")
def emoji():
    return load("emoji").images


@pytest.fixture(scope="module")
def faces():
    images = load("emoji_faces").images
    return tf.image.resize(images, (32, 32), antialias=True).numpy()


def rounded(images):
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def fid(extractor, first, second):
    return frechet_distance(
        *(
            Statistics.from_features(extractor(rounded(images)).numpy())
            for images in (first, second)
        )
    )


def half_to_half(extractor, images):
    return fid(extractor, images[::2], images[1::2])


def test_the_weights_are_small_and_of_the_networks_shapes(extractor):
    assert WEIGHTS.stat().st_size < 1_000_000
    with np.load(WEIGHTS) as stored:
        assert {name: stored[name].shape for name in stored.files} == weight_shapes()
    assert (extractor.name, extractor.num_features) == ("emoji-cnn", 64)


def test_features_have_mean_0_and_variance_1_over_all_emoji(extractor, emoji):
    features = np.concatenate([extractor(emoji[i : i + 256]) for i in range(0, len(emoji), 256)])
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=0.02)


def test_features_are_the_same_on_every_stack_and_as_the_version_says(extractor, emoji):
    first = emoji[:1]
    ramp = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8)[:, None], (1, 32, 32, 1))
    images = {f"emoji {index}": emoji[index : index + 1] for index in (0, 500, 1500)}
    images |= {"grey": first[..., :1], "alpha": np.concatenate([first, ramp], axis=-1)}
    images["resized"] = first.repeat(2, 1).repeat(2, 2)[:, :48, :40]
    golden = GOLDEN[CODE]
    assert golden.keys() == images.keys()
    for name, expected in golden.items():
        features = extractor(images[name]).numpy()[0, :4]
        np.testing.assert_allclose(features, expected, atol=2e-3, err_msg=name)


def test_other_sizes_and_grey_images_are_taken(extractor):
    large = load("emoji_faces").images[:8]
    small = rounded(tf.image.resize(large, (32, 32), antialias=True))
    np.testing.assert_allclose(extractor(large), extractor(small), atol=0.15)
    assert extractor(large[..., :1]).shape == (8, 64)


def with_noise(images, strength):
    return images + np.random.default_rng(0).normal(0, 100 * strength, images.shape)


def with_blur(images, strength):
    small = max(2, round(32 * (1 - strength)))
    return tf.image.resize(
        tf.image.resize(images, (small, small), antialias=True), (32, 32)
    ).numpy()


def with_hole(images, strength):
    images, size = images.copy(), round(32 * strength)
    rng = np.random.default_rng(0)
    for image, (top, left) in zip(
        images, rng.integers(0, 33 - size, (len(images), 2)), strict=True
    ):
        image[top : top + size, left : left + size] = 127.5
    return images


def with_shift(images, strength):
    distance = round(32 * strength)
    padded = np.pad(images, ((0, 0), (distance,) * 2, (distance,) * 2, (0, 0)), constant_values=255)
    rng = np.random.default_rng(0)
    starts = rng.choice([0, distance, 2 * distance], (len(images), 2))
    return np.stack([p[y : y + 32, x : x + 32] for p, (y, x) in zip(padded, starts, strict=True)])


def with_brightness(images, strength):
    shift = np.random.default_rng(0).uniform(-1, 1, (len(images), 1, 1, 1))
    return images + 255 * strength * shift


def with_saturation(images, strength):
    grey = images.mean(axis=-1, keepdims=True)
    return grey + (images - grey) * (1 - strength)


def with_contrast(images, strength):
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * (1 - strength)


@pytest.mark.parametrize(
    ("distort", "strengths"),
    [
        (with_noise, (0.1, 0.25, 0.5, 1.0)),
        (with_blur, (0.25, 0.5, 0.75, 0.85)),
        (with_hole, (0.125, 0.25, 0.375, 0.5)),
        (with_shift, (1 / 32, 2 / 32, 4 / 32, 8 / 32)),
        (with_brightness, (0.1, 0.2, 0.35, 0.5)),
        (with_saturation, (0.25, 0.5, 0.75, 1.0)),
        (with_contrast, (0.2, 0.4, 0.6, 0.8)),
    ],
)
def test_the_fid_rises_with_what_may_leak(extractor, faces, distort, strengths):
    values = [fid(extractor, faces, distort(faces, strength)) for strength in strengths]
    assert all(np.diff([0.0, *values]) > 0), values
    assert values[-1] > 1.5 * half_to_half(extractor, faces), values


def test_reals_are_near_reals_and_far_from_other_images(extractor, faces, emoji):
    near = half_to_half(extractor, faces)
    assert near < fid(extractor, faces, emoji) / 4
    assert near < fid(extractor, faces, np.repeat(faces[:1], len(faces), axis=0)) / 4
