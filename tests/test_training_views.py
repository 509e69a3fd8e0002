import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import SHAPE, make_discriminator, make_images
from tf_diffaug.images import to_float
from tf_diffaug.layers import MinibatchStddev
from tf_diffaug.training.views import Views, discriminate


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
