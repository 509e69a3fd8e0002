import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import SHAPE, make_discriminator, make_images
from tf_diffaug.images import to_float
from tf_diffaug.layers import MinibatchStddev
from tf_diffaug.models import SNDCGANDiscriminator
from tf_diffaug.training.views import Views, discriminate, looks_across_batch


def make_views():
    images = to_float(tf.constant(make_images(8)))
    made = []

    def augment(kind):
        def run(batch):
            made.append(kind)
            return -batch

        return run

    views = Views(
        images[:4], images[4:], augment_real=augment("real"), augment_fake=augment("fake")
    )
    return views, made


def test_only_what_is_asked_for_is_made_and_once():
    views, made = make_views()
    discriminate(make_discriminator(), views, ["real", "fake"], joint=True)
    assert made == []
    discriminate(make_discriminator(), views, ["real_aug", "fake", "real_aug"], joint=True)
    assert made == ["real"]


@pytest.mark.usefixtures("held_norms")
def test_one_pass_says_what_several_say():
    views, _ = make_views()
    discriminator = make_discriminator()
    names = ["real", "fake_aug", "fake"]
    joint = discriminate(discriminator, views, names, joint=True)
    separate = discriminate(discriminator, views, names, joint=False)
    assert list(joint) == list(separate) == names
    for name in names:
        np.testing.assert_allclose(joint[name].logits, separate[name].logits, atol=1e-6)
    assert not np.allclose(joint["fake"].logits, joint["fake_aug"].logits)


class WithFeatures:
    def __call__(self, images, training):
        features = tf.reduce_mean(images, axis=[1, 2])
        return {"logits": features[:, :1], "features": features}


@pytest.mark.parametrize("joint", [True, False])
def test_features_are_split_like_logits(joint):
    views, _ = make_views()
    outputs = discriminate(WithFeatures(), views, ["real", "fake"], joint=joint)
    for name in ("real", "fake"):
        expected = tf.reduce_mean(views[name], axis=[1, 2])
        np.testing.assert_allclose(outputs[name].features, expected, atol=1e-6)
        np.testing.assert_allclose(outputs[name].logits, expected[:, :1], atol=1e-6)


def test_groups_do_not_mix_views_of_unknown_size():
    discriminator = keras.Sequential(
        [keras.Input(SHAPE), MinibatchStddev(4), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    images = to_float(tf.constant(make_images(12)))

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE))] * 2)
    def run(real, fake):
        views = Views(real, fake, augment_real=None, augment_fake=None)
        outputs = discriminate(discriminator, views, ["real", "fake"], joint=True)
        return outputs["real"].logits, outputs["fake"].logits

    # Of 12 in one pass the second group of 4 would hold two of each.
    for found, view in zip(run(images[:6], images[6:]), (images[:6], images[6:]), strict=True):
        np.testing.assert_allclose(found, discriminator(view), atol=1e-6)


def test_a_batch_norm_is_seen():
    assert not looks_across_batch(make_discriminator(), SHAPE)
    assert looks_across_batch(make_discriminator(batch_norm=True), SHAPE)


class Deviation(keras.layers.Layer):
    """A user's own: what an image differs by from its batch's mean."""

    def call(self, images):
        return images - tf.reduce_mean(images, axis=0, keepdims=True)


def own_discriminator(*layers):
    return keras.Sequential(
        [keras.Input(SHAPE), *layers, keras.layers.Flatten(), keras.layers.Dense(1)]
    )


@pytest.mark.parametrize(
    ("layer", "across"),
    [(Deviation, True), (lambda: MinibatchStddev(4), False), (lambda: keras.layers.ReLU(), False)],
)
def test_a_layer_of_ones_own_is_found_out(layer, across):
    discriminator = own_discriminator(layer())
    before = discriminator.get_weights()
    assert looks_across_batch(discriminator, SHAPE) == across
    for a, b in zip(before, discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_is_found_out_behind_a_weight_of_zero_and_beside_dropout():
    zero = keras.layers.Conv2D(3, 1, kernel_initializer="zeros")
    assert looks_across_batch(own_discriminator(Deviation(), zero), SHAPE)
    assert looks_across_batch(own_discriminator(keras.layers.Dropout(0.5)), SHAPE)


def test_a_regularizer_may_define_a_view_of_its_own():
    views, made = make_views()
    name = views.define("own_real", "real", lambda: 2 * views["real_aug"])
    outputs = discriminate(make_discriminator(), views, [name, "fake"], joint=True)
    assert list(outputs) == ["own_real", "fake"]
    assert made == ["real"]
    np.testing.assert_array_equal(views[name], -2 * views["real"].numpy())
    with pytest.raises(ValueError, match="of this name already"):
        views.define(name, "real", lambda: views["real"])


def test_a_view_has_the_labels_of_its_kind():
    labels = {"real": tf.constant([1, 2]), "fake": tf.constant([0, 0])}
    views = Views(None, None, augment_real=None, augment_fake=None, labels=labels)
    views.define("own", "fake", lambda: None)
    assert views.labels("own") is labels["fake"]
    assert views.labels("real_aug") is labels["real"]


def test_spectral_norms_that_a_call_would_move_are_no_look_across_the_batch():
    # At the published width an iteration more changes the logits by half a percent.
    discriminator = SNDCGANDiscriminator(32, width=64, seed=0)
    discriminator.build()
    assert not looks_across_batch(discriminator, (32, 32, 3))
