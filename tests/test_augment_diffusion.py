"""`diffusion_noise`: its steps and noise against Diffusion-GAN's definition, and its level."""

import numpy as np
import pytest
import tensorflow as tf

from tests.test_augment_noise import numpy_noise
from tf_diffaug.augment import DiffAugment, DiffusionNoise, Policy, parse_policy
from tf_diffaug.augment.ops.diffusion_noise import DiffusionNoiseOp

SHAPE = (6, 5, 4, 3)


def kept(last):
    """a-bar after 0, 1, ..., T steps."""
    betas = np.linspace(1e-4, 2e-2, last)
    return np.concatenate([[1.0], np.cumprod(1 - betas)])


def numpy_steps(uniform, last):
    """Half are 0, the others go by the weights 0, 1, ..., T - 1."""
    weights = np.cumsum(np.arange(last)) / np.arange(last).sum()
    found = 1 + np.searchsorted(weights, 2 * uniform - 1, side="right")
    return np.where(uniform < 0.5, 0, np.minimum(found, last))


@pytest.mark.parametrize(
    ("strength", "level", "last"),
    [(1.0, None, 1000), (0.0, None, 10), (0.2, None, 208), (1.0, 0.0, 10), (0.5, 0.3, 158)],
)
def test_the_parameters_are_those_of_the_definition(strength, level, last):
    op = DiffusionNoiseOp(strength, sigma=0.1)
    # Away from the borders between two steps, which rounding moves.
    uniform = (np.arange(997) + 0.39) / 997
    drawn = tf.constant(np.stack([uniform, uniform, uniform]), tf.float32)
    given = {} if level is None else {"level": tf.constant(level)}
    params = op.params(drawn, (997, 4, 4, 3), **given)
    expected = kept(last)[numpy_steps(uniform.astype("float32"), last)]
    np.testing.assert_allclose(params["signal"], np.sqrt(expected), rtol=1e-4)
    np.testing.assert_allclose(params["sigma"], 0.1 * np.sqrt(1 - expected), rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(params["seed"], tf.transpose(drawn[1:]))


def test_the_ends_of_the_draw():
    ends = {0.0: 0, 0.49: 0, 0.5: 2, 1.0: 1000}
    for quantile, steps in ends.items():
        signal = DiffusionNoiseOp().params_at(quantile, SHAPE)["signal"]
        np.testing.assert_allclose(signal, np.full(6, np.sqrt(kept(1000)[steps])), rtol=1e-4)


def test_the_steps_have_the_odds_of_the_authors_table():
    count, last = 40_000, 10
    params = DiffusionNoiseOp(0.0).sample((count, 1, 1, 1), tf.constant([3, 4]))
    signals = np.sqrt(kept(last))
    steps = np.abs(params["signal"].numpy()[:, None] - signals).argmin(1)
    odds = np.array([32 / 64, *(32 / 64 * np.arange(last) / np.arange(last).sum())])
    found = np.bincount(steps, minlength=last + 1) / count
    np.testing.assert_allclose(found, odds, atol=4.5 * np.sqrt(0.25 / count))
    assert found[1] == 0


@pytest.mark.parametrize(
    ("value_range", "middle", "unit"), [((-1, 1), 0, 2), ((0, 1), 0.5, 1), ((0, 255), 127.5, 255)]
)
def test_the_image_is_its_restatement(value_range, middle, unit):
    images = np.random.default_rng(0).normal(size=SHAPE).astype("float32") * unit
    layer = DiffusionNoise(sigma=0.1, value_range=value_range)
    params = layer.sample(SHAPE, 6)
    signal, sigma, seed = (params[name].numpy() for name in ("signal", "sigma", "seed"))
    noise = unit * sigma[:, None] * numpy_noise(seed, 60)
    expected = signal[:, None, None, None] * (images - middle) + middle + noise.reshape(SHAPE)
    found = layer.apply(images, params)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5 * unit)
    assert {*(signal == 1)} == {True, False}
    np.testing.assert_array_equal(found.numpy()[signal == 1], images[signal == 1])


def test_the_gradient_is_the_signal_and_none_goes_to_the_parameters():
    layer, images = DiffusionNoise(), tf.ones(SHAPE)
    params = layer.sample(SHAPE, 6)
    with tf.GradientTape() as tape:
        tape.watch([images, params])
        total = tf.reduce_sum(layer.apply(images, params))
    gradients = tape.gradient(total, [images, params])
    expected = np.broadcast_to(params["signal"].numpy()[:, None, None, None], SHAPE)
    np.testing.assert_array_equal(gradients[0], expected)
    assert {*gradients[1].values()} == {None}


def test_a_policys_level_is_for_the_ops_that_have_one():
    policy = parse_policy("brightness,diffusion_noise,instance_noise:0.1")
    seed, shape = tf.constant([1, 2]), (60, *SHAPE[1:])
    plain, low, high = (policy.sample(shape, seed, level=level) for level in (None, 0.1, 1.0))
    weak = parse_policy("brightness,diffusion_noise:0.1,instance_noise:0.1").sample(shape, seed)
    tf.nest.map_structure(np.testing.assert_array_equal, plain, high)
    tf.nest.map_structure(np.testing.assert_allclose, weak, low)
    assert np.all(low[1]["signal"] >= high[1]["signal"])
    assert np.any(low[1]["signal"] != high[1]["signal"])


def test_an_op_that_samples_itself_gets_the_level():
    class Own(DiffusionNoiseOp):
        def sample(self, shape, seed, level=1.0):
            return {"level": tf.fill([shape[0]], level)}

    (params,) = Policy((Own(),)).sample(SHAPE, tf.constant([1, 2]), level=0.25)
    np.testing.assert_array_equal(params["level"], np.full(6, 0.25))


def test_it_is_read_and_written():
    for text in ("diffusion_noise", "diffusion_noise:0.5", "diffusion_noise(0.5, sigma=0.1)"):
        assert str(DiffAugment(text).policy) == text
    for wrong in ("diffusion_noise:500", "diffusion_noise(sigma=2)"):
        with pytest.raises(ValueError, match="a number from 0 to 1"):
            parse_policy(wrong)
