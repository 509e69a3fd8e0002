import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import LOSSES, Loss, get_loss, per_example

LOGITS = np.array([-3.0, -1.0, -0.5, 0.0, 0.25, 0.999, 1.001, 4.0])

# The papers' formulas, again, in float64.
RESTATED = {
    "hinge": (
        lambda x: np.maximum(0, 1 - x),
        lambda x: np.maximum(0, 1 + x),
        lambda x: -x,
    ),
    "non_saturating": (
        lambda x: -np.log(1 / (1 + np.exp(-x))),
        lambda x: -np.log(1 - 1 / (1 + np.exp(-x))),
        lambda x: -np.log(1 / (1 + np.exp(-x))),
    ),
    "smooth_hinge": (
        lambda x: np.maximum(0, 1 - x),
        lambda x: np.maximum(0, 1 + x),
        lambda x: -x,
    ),
    "wasserstein": (lambda x: -x, lambda x: x, lambda x: -x),
}


# Of the logits of a real less those of the fake beside it (R3GAN, equation 2).
PAIRED = {
    "relativistic": (
        lambda x: -np.log(1 / (1 + np.exp(-x))),
        lambda x: -np.log(1 / (1 + np.exp(-x))),
    )
}
PARTS = [(name, part) for name in RESTATED for part in ("real", "fake", "generator")]
PARTS += [(name, part) for name in PAIRED for part in ("real", "generator")]


def test_every_loss_is_restated():
    assert {name: loss.paired for name, loss in LOSSES.items()} == {
        **dict.fromkeys(RESTATED, False),
        **dict.fromkeys(PAIRED, True),
    }


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_losses_are_the_papers(name, part):
    restated = {**RESTATED, **PAIRED}[name][0 if part == "real" else -1]
    restated = RESTATED[name][1] if part == "fake" else restated
    found = getattr(LOSSES[name], part)(tf.constant(LOGITS))
    np.testing.assert_allclose(found, restated(LOGITS), atol=1e-12)


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_gradients_are_the_finite_differences(name, part):
    loss, epsilon = getattr(LOSSES[name], part), 1e-6
    points = tf.constant([-3.0, -0.5, 0.25, 4.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = tf.reduce_sum(loss(points))
    differences = (loss(points + epsilon) - loss(points - epsilon)) / (2 * epsilon)
    np.testing.assert_allclose(tape.gradient(total, points), differences, atol=1e-6)


def test_both_networks_pay_for_single_logits_or_for_pairs():
    real, fake = LOGITS.astype(np.float32), LOGITS[::-1].astype(np.float32).copy()
    hinge, paired = LOSSES["hinge"], LOSSES["relativistic"]
    expected = np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)
    np.testing.assert_allclose(hinge.of_discriminator(real, fake), expected, rtol=1e-6)
    np.testing.assert_allclose(hinge.of_generator(fake), -fake)
    margin = (real - fake).astype(np.float64)
    np.testing.assert_allclose(
        paired.of_discriminator(real, fake), np.log1p(np.exp(-margin)), rtol=1e-5
    )
    np.testing.assert_allclose(paired.of_generator(fake, real), np.log1p(np.exp(margin)), rtol=1e-5)


def test_a_smoothed_losss_targets_are_drawn_for_each_logit():
    loss, real, fake = LOSSES["smooth_hinge"], LOGITS.reshape(4, 2), LOGITS[::-1].reshape(4, 2)
    paid, seen = [], []
    for update in (0, 0, 1):
        draws = Draws(5, tf.constant(update, tf.int64), 4, None)
        paid.append(loss.of_discriminator(tf.constant(real), tf.constant(fake), draws).numpy())
        u = [draws.uniform([2], "loss/smooth_hinge", name).numpy() for name in ("real", "fake")]
        # The authors' is 0.8 + 0.2 times a uniform number, and 1 less such a number is one.
        targets = [0.8 + 0.2 * (1 - numbers) for numbers in u]
        expected = np.maximum(0, targets[0] - real) + np.maximum(0, targets[1] + fake)
        np.testing.assert_allclose(paid[-1], expected.mean(1), rtol=1e-5)
        seen += targets
    np.testing.assert_array_equal(paid[0], paid[1])
    assert np.all(paid[0][:3] != paid[2][:3])  # the last one pays nothing
    assert np.unique(seen).size == 2 * 2 * LOGITS.size
    assert 0.8 <= np.min(seen) < 0.9 < np.max(seen) <= 1.0
    np.testing.assert_allclose(loss.of_generator(tf.constant(fake)), -fake.mean(1), rtol=1e-6)


def test_per_example_takes_patches_and_low_precision():
    patches = tf.cast(tf.reshape(tf.range(24), [2, 3, 4, 1]), tf.bfloat16)
    assert per_example(patches).dtype == tf.float32
    np.testing.assert_allclose(per_example(patches), [5.5, 17.5])
    np.testing.assert_allclose(per_example(tf.constant([1.0, 2.0])), [1.0, 2.0])


def test_a_loss_of_ones_own_passes_and_an_unknown_name_does_not():
    own = Loss("least_squares", tf.square, tf.square, tf.square)
    assert get_loss(own) is own
    with pytest.raises(ValueError, match=r"Did you mean 'hinge'\?.*Received: loss='hing'"):
        get_loss("hing")
