import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_discriminator, make_gan, make_images
from tf_diffaug.augment import DiffAugment
from tf_diffaug.images import to_float
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import R1, parse_regularizers
from tf_diffaug.training.views import Views


def make_views(policy="color,translation,cutout"):
    images = to_float(tf.constant(make_images(3)))
    layer = DiffAugment(policy)
    params = layer.sample(images.shape, tf.constant([1, 2]))
    return Views(
        images,
        None,
        augment_real=lambda batch: layer.apply(batch, params),
        augment_fake=None,
    )


def finite_difference_penalty(function, images, epsilon=1e-2):
    """weight 1: |∇f|² / 2 by central differences, one coordinate of all images at a time."""
    total = np.zeros(len(images))
    for index in np.ndindex(*images.shape[1:]):
        offset = np.zeros(images.shape, np.float32)
        offset[(slice(None), *index)] = epsilon
        slope = (function(images + offset) - function(images - offset)) / (2 * epsilon)
        total += np.asarray(slope, np.float64) ** 2
    return total / 2


@pytest.mark.parametrize(("on", "mode"), [("raw", "both"), ("augmented", "both"), ("raw", "none")])
def test_r1_is_its_finite_difference(on, mode):
    # Smooth, as a difference across a kink is not the gradient on either side.
    discriminator, views, mode = make_discriminator(smooth=True), make_views(), MODES[mode]

    def judge(images):
        return discriminator(images)[:, 0]

    through = on == "raw" and mode.d_real == "real_aug"
    images = views["real"] if through or mode.d_real == "real" else views["real_aug"]
    function = (lambda x: judge(views.augment["real"](x))) if through else judge
    expected = finite_difference_penalty(function, images.numpy())
    np.testing.assert_allclose(R1(1.0, on)(discriminator, views, {}, mode), expected, rtol=2e-3)


def test_r1_weighs_and_trains_the_discriminator():
    discriminator, views = make_discriminator(), make_views()
    with tf.GradientTape() as tape:
        values = R1(10.0)(discriminator, views, {}, MODES["both"])
        total = tf.reduce_sum(values)
    np.testing.assert_allclose(values, 10 * R1(1.0)(discriminator, views, {}, MODES["both"]), 1e-5)
    kernels = [v for v in discriminator.trainable_variables if len(v.shape) > 1]
    gradients = tape.gradient(total, kernels)
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_r1_falls_when_it_is_asked_for():
    gan = make_gan(regularizers="r1:100", seed=1)
    history = gan.fit(make_images(64), batch_size=8, epochs=8, verbose=0).history["r1"]
    assert history[-1] < history[0] / 2


def test_strings_are_read_and_written():
    (r1,) = parse_regularizers("r1(0.1, on=augmented)")
    assert (r1.weight, r1.on) == (0.1, "augmented")
    assert str(r1) == "r1(weight=0.1, on=augmented)"
    assert str(parse_regularizers(str(r1))[0]) == str(r1)
    assert parse_regularizers("r1:3")[0].weight == 3
    assert parse_regularizers("none") == parse_regularizers(None) == ()
    assert parse_regularizers([r1]) == (r1,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r2:1", "Did you mean 'r1'"),
        ("r1:-1", "0 or more"),
        ("r1:big", "0 or more"),
        ("r1(on=row)", "Did you mean 'raw'"),
        ("r1(wait=3)", "Did you mean 'weight'"),
        ("r1,r1:2", "twice"),
        ("r1(1", "not matched"),
        ("r1(1, 2)", "by keyword"),
        ("r1(weight=__import__)", "0 or more"),
        ("r1(weight=f())", "literal"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_regularizers(text)
