import numpy as np
import pytest
import tensorflow as tf

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
    "wasserstein": (lambda x: -x, lambda x: x, lambda x: -x),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_losses_are_the_papers(name, part):
    loss = (LOSSES[name].real, LOSSES[name].fake, LOSSES[name].generator)[part]
    np.testing.assert_allclose(loss(tf.constant(LOGITS)), RESTATED[name][part](LOGITS), atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("part", ["real", "fake", "generator"])
def test_gradients_are_the_finite_differences(name, part):
    loss, epsilon = getattr(LOSSES[name], part), 1e-6
    points = tf.constant([-3.0, -0.5, 0.25, 4.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = tf.reduce_sum(loss(points))
    differences = (loss(points + epsilon) - loss(points - epsilon)) / (2 * epsilon)
    np.testing.assert_allclose(tape.gradient(total, points), differences, atol=1e-6)


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
