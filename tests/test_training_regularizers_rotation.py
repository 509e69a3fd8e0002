from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    assert_trained_alike,
    make_feature_gan,
    make_gan,
    update_d,
    update_g,
    values,
)
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training import GAN, make_strategy
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import Loss
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import SSGAN, Update, parse_regularizers
from tf_diffaug.training.regularizers.rotation import rotate, rotations
from tf_diffaug.training.views import Views

# Asks nothing: what moves, the regularizer moves.
SILENT = Loss("silent", *[lambda logits: 0.0 * logits] * 3)


def images_with_a_top(count):
    """Noise under a bright upper half: one sees which way up they are."""
    images = np.random.default_rng(1).integers(0, 80, (count, 8, 8, 3), np.uint8)
    images[:, :4] += 170
    return images


def first_draws(batch_size):
    return Draws(0, tf.constant(0, tf.int64), batch_size, None)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_images_are_turned_counterclockwise_as_numpy_turns_them(rng):
    images = rng.normal(size=(8, 5, 5, 2)).astype(np.float32)
    quarters = np.arange(8) % 4
    found = rotate(tf.constant(images), tf.constant(quarters, tf.int32))
    expected = [np.rot90(image, k) for image, k in zip(images, quarters, strict=True)]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_every_image_takes_the_next_turn_whatever_the_batch(rows):
    found = []
    for index in range(8):
        draws = SimpleNamespace(batch_size=rows)
        turn = SimpleNamespace(index=tf.constant(index, tf.int64), draws=draws)
        found += rotations(turn).numpy().tolist()
    assert found == [k % 4 for k in range(8 * rows)]


@pytest.mark.parametrize(
    ("term", "view", "weight"),
    [("discriminator_term", "ssgan_real", 2.0), ("generator_term", "ssgan_fake", 0.5)],
)
def test_both_terms_are_their_cross_entropy(term, view, weight, rng):
    (ssgan,) = make_feature_gan(regularizers="ssgan(2, generator_weight=0.5)").regularizers
    features = rng.normal(size=(6, 128)).astype(np.float32)
    outputs = {view: Outputs(None, tf.constant(features))}
    index = tf.constant(4, tf.int64)
    turn = SimpleNamespace(
        seen=0, outputs=outputs, index=index, draws=SimpleNamespace(batch_size=6)
    )
    by_shape = {v.shape.rank: v for v in ssgan.trainable_variables}
    by_shape[1].assign(rng.normal(size=4).astype(np.float32))
    kernel, bias = (np.asarray(by_shape[rank]).astype(np.float64) for rank in (2, 1))
    u = np.asarray(ssgan._classifier.layer.u)
    logits = features @ (kernel / np.linalg.norm(kernel @ u)) + bias
    expected = -log_softmax(logits)[range(6), [0, 1, 2, 3, 0, 1]]
    found = getattr(ssgan, term)(turn)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, weight * expected, rtol=1e-4)


@pytest.mark.parametrize("mode", ["none", "reals", "both"])
def test_what_the_adversarial_loss_shows_is_turned(mode, rng):
    images = tf.constant(rng.normal(size=(4, 8, 8, 3)).astype(np.float32))
    (ssgan,) = make_feature_gan(regularizers="ssgan").regularizers
    views = Views(
        images,
        images + 1,
        augment_real=lambda batch: batch * 2,
        augment_fake=lambda batch: batch * 3,
        labels={"real": tf.range(4), "fake": tf.range(4, 8)},
    )
    turn = Update(None, first_draws(4), views, {}, MODES[mode], tf.constant(0, tf.int64))
    assert ssgan.discriminator_views(turn) == ("ssgan_real",)
    assert ssgan.generator_views(turn) == ("ssgan_fake",)
    for view, shown in (("ssgan_real", MODES[mode].d_real), ("ssgan_fake", MODES[mode].g_fake)):
        expected = [np.rot90(image, k) for k, image in enumerate(views[shown].numpy())]
        np.testing.assert_array_equal(views[view], expected)
        np.testing.assert_array_equal(views.labels(view), views.labels(shown))


def test_each_term_moves_its_own_network():
    gan = make_feature_gan(
        regularizers="ssgan", loss=SILENT, optimizer=lambda: keras.optimizers.SGD(0.1)
    )
    images = tf.constant(images_with_a_top(8), tf.float32) / 127.5 - 1
    groups = ("generator", "discriminator", "regularizers")

    def moved(step):
        before = values(gan, *groups)
        logs = step(gan)
        after = values(gan, *groups)
        kernels = {
            name: [
                np.any(a != b) for a, b in zip(before[name], after[name], strict=True) if a.ndim > 1
            ]
            for name in groups
        }
        return kernels, set(logs)

    index = tf.constant(0, tf.int64)
    kernels, logs = moved(lambda g: update_d(g, (images, None), first_draws(8), index))
    assert logs == {"d_loss", "ssgan"}
    # All of D but its last layer, which makes the logits.
    assert kernels["discriminator"] == [True, False]
    assert all(kernels["regularizers"])
    assert not any(kernels["generator"])
    kernels, logs = moved(lambda g: update_g(g, first_draws(8), index))
    assert logs == {"g_loss", "g_ssgan"}
    assert all(kernels["generator"])
    assert not any(kernels["discriminator"] + kernels["regularizers"])


def losses_after(regularizer):
    gan = make_feature_gan(
        regularizers=regularizer,
        loss=SILENT,
        optimizer=lambda: keras.optimizers.Adam(0.01),
        seed=1,
    )
    history = gan.fit(images_with_a_top(64), batch_size=8, epochs=12, verbose=0).history
    return {name: history[name][-1] for name in ("ssgan", "g_ssgan") if name in history}


@pytest.mark.slow
def test_both_terms_fall_when_they_are_asked_for():
    tiny = 1e-5  # measures, and asks next to nothing under Adam's epsilon
    nothing = losses_after(f"ssgan({tiny}, generator_weight={tiny})")
    ds_alone = losses_after(f"ssgan(10, generator_weight={tiny})")
    both = losses_after("ssgan(10, generator_weight=10)")
    assert ds_alone["ssgan"] / 10 < nothing["ssgan"] / tiny / 2
    assert both["g_ssgan"] / 10 < ds_alone["g_ssgan"] / tiny / 2


def test_without_gs_weight_there_is_no_term_and_no_view_of_it():
    gan = make_feature_gan(regularizers="ssgan(generator_weight=0)")
    logs = gan.fit(images_with_a_top(8), batch_size=8, verbose=0).history
    assert "ssgan" in logs
    assert "g_ssgan" not in logs


@pytest.mark.slow
@pytest.mark.parametrize("batch", [8, 6])
def test_two_replicas_end_where_one_does(two_replicas, batch):
    images = images_with_a_top(48)
    dataset = tf.data.Dataset.from_tensor_slices(images).repeat().batch(batch, drop_remainder=True)
    trained = []
    for strategy in (make_strategy("one_device"), two_replicas):
        with strategy.scope():
            gan = make_feature_gan(
                regularizers="ssgan(generator_weight=1)",
                optimizer=lambda: keras.optimizers.SGD(0.02),
            )
        history = gan.fit(dataset, steps_per_epoch=12, verbose=0).history
        trained.append((values(gan), history))
    assert_trained_alike(*trained)


def test_it_runs_under_xla_and_in_bfloat16():
    gan = make_feature_gan(regularizers="ssgan", policy="color", jit_compile=True)
    history = gan.fit(images_with_a_top(8), batch_size=8, verbose=0).history
    assert np.isfinite([history["ssgan"], history["g_ssgan"]]).all()
    (ssgan,) = gan.regularizers
    outputs = {"ssgan_real": Outputs(None, tf.ones([4, 128], tf.bfloat16))}
    index, drawn = tf.constant(0, tf.int64), SimpleNamespace(batch_size=4)
    turn = SimpleNamespace(seen=0, outputs=outputs, index=index, draws=drawn)
    assert ssgan.discriminator_term(turn).dtype == tf.float32


def test_a_checkpoint_holds_its_head(tmp_path):
    gan = make_feature_gan(regularizers="ssgan", seed=1)
    gan.fit(images_with_a_top(16), batch_size=8, verbose=0)
    CheckpointStore(gan, tmp_path, keep=1).save()
    other = make_feature_gan(regularizers="ssgan", seed=2)
    held = values(gan, "regularizers")["regularizers"]
    assert {v.shape for v in held} == {(128, 4), (4,)}
    CheckpointStore(other, tmp_path, keep=1).restore()
    for a, b in zip(held, values(other, "regularizers")["regularizers"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_is_read_and_written():
    (term,) = parse_regularizers("ssgan(2, generator_weight=0.5)")
    assert str(term) == "ssgan(weight=2, generator_weight=0.5)"
    assert str(SSGAN()) == "ssgan(weight=1, generator_weight=0.2)"
    for wrong in ("-1", "x", "true"):
        with pytest.raises(ValueError, match="Received: ssgan generator_weight="):
            parse_regularizers(f"ssgan(generator_weight={wrong})")


def test_what_it_needs_is_named():
    with pytest.raises(ValueError, match="ssgan needs a discriminator that returns"):
        make_gan(regularizers="ssgan")
    generator = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8 * 4 * 3), keras.layers.Reshape((8, 4, 3))]
    )
    discriminator = keras.Sequential([keras.Input((8, 4, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="Received: ssgan with images of height 8 and width 4"):
        GAN(generator, discriminator, regularizers="ssgan")
