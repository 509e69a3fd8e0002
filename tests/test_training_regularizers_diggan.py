"""DigGAN, restated in NumPy from finite differences of D."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import SHAPE, make_discriminator, make_gan, make_images, values
from tf_diffaug.images import to_float
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import DigGAN, Update, parse_regularizers
from tf_diffaug.training.views import Views

# What is called here is called as within a step.
pytestmark = pytest.mark.usefixtures("held_norms")
COUNT = 3


def make_term(weight=3.0):
    term = DigGAN(weight)
    term.build(None)
    return term


def make_turn(discriminator, index, *, d_steps=1, mode="none", seed=0):
    """A turn of three images of each kind; the augmentation negates them."""
    images = to_float(tf.constant(make_images(2 * COUNT, seed)))
    views = Views(
        images[:COUNT], 0.5 * images[COUNT:], augment_real=tf.negative, augment_fake=tf.negative
    )
    draws = Draws(0, tf.constant(index, tf.int64), COUNT, None)
    networks = SimpleNamespace(discriminator=discriminator, d_steps=d_steps)
    return Update(networks, draws, views, {}, MODES[mode], tf.constant(index, tf.int64))


def lengths(discriminator, images, epsilon=1e-2):
    """|∇D| of each image by central differences, float64."""
    size = int(np.prod(SHAPE))
    offsets = epsilon * np.eye(size, dtype=np.float32).reshape(1, size, *SHAPE)
    ends = []
    for sign in (1, -1):
        moved = (images[:, None] + sign * offsets).reshape(-1, *SHAPE)
        logits = call_discriminator(discriminator, tf.constant(moved)).logits
        ends.append(logits.numpy().astype(np.float64).reshape(len(images), size))
    return np.sqrt((((ends[0] - ends[1]) / (2 * epsilon)) ** 2).sum(axis=1))


@pytest.mark.parametrize("mode", ["none", "both"])
def test_it_is_its_formula_step_by_step(mode):
    discriminator, term, last = make_discriminator(smooth=True), make_term(), None
    sign = 1 if mode == "none" else -1
    for index in range(3):
        turn = make_turn(discriminator, index, mode=mode, seed=index)
        now = [lengths(discriminator, sign * turn.views[k].numpy()) for k in ("real", "fake")]
        assert abs(now[0].mean() - now[1].mean()) > 0.01
        if last is not None:
            now = [0.5 * one + 0.5 * mean for one, mean in zip(now, last, strict=True)]
        last = [one.mean() for one in now]
        found = term.discriminator_term(turn)
        np.testing.assert_allclose(found, 3 * (now[0] - now[1]) ** 2, rtol=2e-2, atol=1e-5)
        np.testing.assert_allclose(term.variables[0], last, rtol=1e-3)


def test_it_is_a_term_of_the_first_update_of_a_step():
    discriminator, term = make_discriminator(), make_term()
    kernel = discriminator.trainable_variables[0]
    for index in range(5):
        before = term.variables[0].numpy()
        with tf.GradientTape() as tape:
            found = term.discriminator_term(make_turn(discriminator, index, d_steps=2, seed=index))
        gradient = tape.gradient(found, kernel)
        gradient = np.zeros(1) if gradient is None else np.asarray(gradient)
        assert np.all(np.isfinite(gradient))
        first = index % 2 == 0
        assert np.any(found.numpy() > 0) == first
        assert np.any(gradient != 0) == first
        assert np.any(term.variables[0].numpy() != before) == first


def test_its_gradient_is_the_mean_of_the_authors_over_all_orders_of_the_last_batch(rng):
    # Of n, by hand: theirs keeps the last lengths by their place in the batch.
    now, last = rng.uniform(1, 2, size=(2, 4)), rng.uniform(1, 2, size=(2, 4))

    def gradient(kept):
        half = 0.5 * now + 0.5 * kept
        return (half[0] - half[1]) * np.array([[1.0], [-1.0]])

    theirs = np.mean([gradient(np.roll(last, k, axis=1)) for k in range(4)], axis=0)
    np.testing.assert_allclose(gradient(last.mean(axis=1, keepdims=True)), theirs)


def test_the_gradient_of_the_weights_is_its_finite_difference(rng):
    discriminator = make_discriminator(smooth=True)
    kernel = discriminator.trainable_variables[0]
    turn = make_turn(discriminator, 0)

    def value():
        return tf.reduce_sum(make_term(30.0).discriminator_term(turn))

    with tf.GradientTape() as tape:
        total = value()
    gradient = np.asarray(tape.gradient(total, kernel))
    move, start, ends = rng.normal(size=kernel.shape).astype(np.float32), kernel.numpy(), []
    for sign in (1, -1):
        kernel.assign(start + sign * 2e-3 * move)
        ends.append(float(value()))
    np.testing.assert_allclose(np.sum(gradient * move), (ends[0] - ends[1]) / 4e-3, rtol=0.02)


def gaps_after(weight):
    gan = make_gan(regularizers=f"diggan:{weight}", loss="non_saturating", seed=1)
    history = gan.fit(make_images(64), batch_size=8, epochs=12, verbose=0).history
    return np.mean(history["diggan"][-3:]) / weight


@pytest.mark.slow
def test_the_gap_falls_when_it_is_asked_for():
    assert gaps_after(1e4) < gaps_after(1e-3) / 2


def test_a_checkpoint_holds_its_means(tmp_path):
    gan = make_gan(regularizers="diggan", seed=1)
    gan.fit(make_images(16), batch_size=8, verbose=0)
    CheckpointStore(gan, tmp_path, keep=1).save()
    other = make_gan(regularizers="diggan", seed=2)
    CheckpointStore(other, tmp_path, keep=1).restore()
    (held,), (found,) = (values(one, "regularizers")["regularizers"] for one in (gan, other))
    assert np.all(held > 0)
    np.testing.assert_array_equal(held, found)


def test_it_is_read_and_written():
    (term,) = parse_regularizers("diggan:10")
    assert str(term) == "diggan(weight=10)"
    assert str(DigGAN()) == "diggan(weight=1000)"
