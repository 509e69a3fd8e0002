from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    NUM_CLASSES,
    assert_trained_alike,
    make_conditional_gan,
    make_feature_gan,
    make_gan,
    update_d,
    values,
)
from tf_diffaug.data import ImageData, batches, hide_labels
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training import make_strategy
from tf_diffaug.training.calls import Outputs, call_discriminator
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import Loss
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import S3GAN, parse_regularizers

# Asks nothing: what moves, the regularizer moves.
SILENT = Loss("silent", *[lambda logits: 0.0 * logits] * 3)


def coloured(count):
    """Noise, each class bright in one channel of its own."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, NUM_CLASSES, count).astype(np.int32)
    images = rng.integers(0, 80, (count, 8, 8, 3), np.uint8)
    images[np.arange(count), ..., labels] += 170
    return images, labels


def as_floats(images):
    return tf.constant(images, tf.float32) / 127.5 - 1


def first_draws(batch_size):
    return Draws(0, tf.constant(0, tf.int64), batch_size, None)


def make_semi_gan(text="s3gan", **options):
    return make_feature_gan(conditional=True, regularizers=text, **options)


def logits_of(s3gan, features):
    kernel, bias = (np.asarray(v).astype(np.float64) for v in s3gan.trainable_variables)
    u = np.asarray(s3gan._classifier.layer.u)
    return features @ (kernel / np.linalg.norm(kernel @ u)) + bias


@pytest.mark.parametrize("labels", [[0, -1, 2, 1, -1], [0, 1, 2, 0, 1], [-1] * 5])
@pytest.mark.parametrize("mode", ["none", "both"])
def test_the_term_is_the_mean_cross_entropy_of_labelled_reals(labels, mode, rng):
    gan = make_semi_gan("s3gan:3")
    (s3gan,) = gan.regularizers
    s3gan.trainable_variables[1].assign([0.5, -0.3, 0.1])
    draws, images = first_draws(5), as_floats(coloured(5)[0])
    _, filled = s3gan.exchange_reals(gan, draws, (images, tf.constant(labels)), None)
    features = rng.normal(size=(5, 128)).astype(np.float32)
    view = MODES[mode].d_real
    found = s3gan.discriminator_term(
        SimpleNamespace(
            seen=0,
            outputs={view: Outputs(None, tf.constant(features))},
            views=SimpleNamespace(labels=lambda name: filled),
            mode=MODES[mode],
            draws=draws,
        )
    )
    logits = logits_of(s3gan, features)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[range(5), labels]
    known = np.array(labels) >= 0
    expected = np.where(known, 3 * losses * 5 / max(known.sum(), 1), 0)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_exactly_what_has_no_label_gets_the_likeliest():
    gan = make_semi_gan()
    (s3gan,) = gan.regularizers
    images, true = coloured(32)
    given = np.where(np.arange(32) % 3, -1, true)
    reals = as_floats(images), tf.constant(given)
    shown, filled = s3gan.exchange_reals(gan, first_draws(32), reals, None)
    outputs = call_discriminator(gan.discriminator, reals[0], tf.zeros([32], tf.int32))
    predicted = logits_of(s3gan, outputs.features.numpy()).argmax(axis=1)
    assert len(set(predicted)) > 1
    assert shown is reals[0]
    np.testing.assert_array_equal(filled, np.where(given < 0, predicted, given))
    every = s3gan.exchange_reals(gan, first_draws(32), (reals[0], tf.constant(true)), None)
    np.testing.assert_array_equal(every[1], true)


def test_d_never_meets_a_missing_label(monkeypatch):
    gan = make_semi_gan("s3gan,ssgan,r1:1", policy="color", views="separate")
    gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
    met = []
    call = type(gan.discriminator).call

    def watched(self, inputs, *args, **kwargs):
        if self is gan.discriminator:
            met.append(np.asarray(inputs[1]))
        return call(self, inputs, *args, **kwargs)

    monkeypatch.setattr(type(gan.discriminator), "call", watched)
    images, labels = coloured(8)
    labels[1:] = -1
    gan.train_step((tf.constant(images), tf.constant(labels)))
    assert len(met) >= 6
    assert min(labels.min() for labels in met) == 0


def test_it_moves_d_and_its_head_and_not_the_embedding_or_g():
    gan = make_semi_gan(loss=SILENT, optimizer=lambda: keras.optimizers.SGD(0.1))
    images, labels = coloured(8)
    labels[4:] = -1
    groups = ("generator", "discriminator", "regularizers")
    before = values(gan, *groups)
    index = tf.constant(0, tf.int64)
    logs = update_d(gan, (as_floats(images), tf.constant(labels)), first_draws(8), index)
    after = values(gan, *groups)
    assert set(logs) == {"d_loss", "s3gan"}
    moved = {
        name: {
            a.shape: np.any(a != b)
            for a, b in zip(before[name], after[name], strict=True)
            if a.ndim > 1
        }
        for name in groups
    }
    assert moved["regularizers"] == {(128, 3): True}
    assert moved["discriminator"] == {(4, 4, 3, 8): True, (128, 1): False, (3, 128): False}
    assert not any(moved["generator"].values())


def test_images_without_a_label_have_no_part_in_the_gradient(rng):
    gan = make_semi_gan()
    (s3gan,) = gan.regularizers
    images = as_floats(coloured(4)[0])
    labels = tf.constant([0, -1, 2, -1])
    draws, features = first_draws(4), tf.Variable(rng.normal(size=(4, 128)).astype(np.float32))
    _, filled = s3gan.exchange_reals(gan, draws, (images, labels), None)
    with tf.GradientTape() as tape:
        turn = SimpleNamespace(
            seen=0,
            outputs={"real": Outputs(None, tf.convert_to_tensor(features))},
            views=SimpleNamespace(labels=lambda name: filled),
            mode=MODES["none"],
            draws=draws,
        )
        total = tf.reduce_sum(s3gan.discriminator_term(turn))
    gradient = tape.gradient(total, features).numpy()
    assert np.abs(gradient).max(axis=1)[[0, 2]].min() > 0
    np.testing.assert_array_equal(gradient[[1, 3]], 0)


@pytest.mark.slow
def test_it_falls_and_its_head_learns_the_classes_from_a_few():
    images, true = coloured(96)
    given = np.where(np.arange(96) % 4, -1, true)
    runs = {}
    for weight in (0.0, 10.0):
        gan = make_semi_gan(f"s3gan:{weight}", seed=1)
        gan.fit(images, given, batch_size=16, epochs=10, verbose=0)
        (s3gan,) = gan.regularizers
        s3gan.weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        reals = tf.constant(images), tf.constant(true)
        runs[weight] = float(gan.train_step(reals)["s3gan"])
    assert runs[10.0] < runs[0.0] / 2, runs
    unknown = as_floats(images), tf.fill([96], -1)
    _, predicted = s3gan.exchange_reals(gan, first_draws(96), unknown, None)
    assert np.mean(predicted.numpy() == true) > 0.95


@pytest.mark.slow
def test_two_replicas_end_where_one_does(two_replicas):
    images, labels = coloured(64)
    # Of a batch of 8 the second replica has 4 labels, the first one or none.
    labels[np.arange(64) % 8 < 3] = -1
    labels[np.arange(64) % 16 < 4] = -1
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).repeat().batch(8)
    trained = []
    for strategy in (make_strategy("one_device"), two_replicas):
        with strategy.scope():
            gan = make_semi_gan("s3gan,ssgan", optimizer=lambda: keras.optimizers.SGD(0.02))
        history = gan.fit(dataset, steps_per_epoch=12, verbose=0).history
        trained.append((values(gan), history))
    assert_trained_alike(*trained)


def test_it_runs_under_xla_on_batches_of_partly_labelled_data():
    images, labels = coloured(32)
    data = hide_labels(ImageData("coloured", images, labels), 0.25)
    gan = make_semi_gan("s3gan,ssgan", policy="color", jit_compile=True)
    history = gan.fit(batches(data, 16, seed=0), steps_per_epoch=2, verbose=0).history
    assert np.isfinite([history[name] for name in ("s3gan", "ssgan", "g_ssgan")]).all()


def test_a_checkpoint_holds_its_head(tmp_path):
    gan, other = (make_semi_gan(seed=seed) for seed in (1, 2))
    gan.fit(*coloured(16), batch_size=8, verbose=0)
    CheckpointStore(gan, tmp_path, keep=1).save()
    held = values(gan, "regularizers")["regularizers"]
    assert {v.shape for v in held} == {(128, 3), (3,)}
    CheckpointStore(other, tmp_path, keep=1).restore()
    for a, b in zip(held, values(other, "regularizers")["regularizers"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels_may_be_missing_only_where_it_fills_them_in():
    images, labels = coloured(8)
    labels[3] = -1
    with pytest.raises(ValueError, match=r"fills labels in .*Received: labels from -1") as caught:
        make_conditional_gan().fit(images, labels, batch_size=8, verbose=0)
    assert "\n" not in str(caught.value)
    gan = make_semi_gan()
    gan.fit(images, labels, batch_size=8, verbose=0)
    labels[3] = -2
    with pytest.raises(ValueError, match="Received: labels from -2"):
        gan.fit(images, labels, batch_size=8, verbose=0)


def test_it_is_read_and_written_and_names_what_it_needs():
    (term,) = parse_regularizers("s3gan:0.5")
    assert str(term) == "s3gan(weight=0.5)"
    assert S3GAN().weight == 1.0
    with pytest.raises(ValueError, match="s3gan is about labels"):
        make_gan(regularizers="s3gan")
    with pytest.raises(ValueError, match="s3gan needs a discriminator that returns"):
        make_conditional_gan(regularizers="s3gan")


def test_fakes_among_the_reals_are_refused():
    with pytest.raises(ValueError, match="s3gan cannot be combined with apa"):
        make_feature_gan(conditional=True, regularizers="s3gan,apa")
