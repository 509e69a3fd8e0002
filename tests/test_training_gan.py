"""The steps of a GAN, and what `fit` and `predict` make of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    LATENT_DIM,
    SHAPE,
    Spy,
    draws,
    make_discriminator,
    make_gan,
    make_generator,
    make_images,
    mixed_precision,
    update_d,
    update_g,
    values,
)
from tf_diffaug.layers import MinibatchStddev, SpectralNormalization
from tf_diffaug.training import GAN, MODES, NonFiniteLossError
from tf_diffaug.training.regularizers import R1
from tf_diffaug.training.views import check_groups

POLICY = "color,translation,cutout"


def changed(gan, before, group):
    after = values(gan, group)[group]
    return [not np.array_equal(a, b) for a, b in zip(before[group], after, strict=True)]


def step_d(gan, reals, turn_draws):
    return update_d(gan, (reals, None), turn_draws, tf.constant(0, tf.int64))


def step_g(gan, turn_draws):
    return update_g(gan, turn_draws, tf.constant(0, tf.int64))


@pytest.mark.parametrize("augment", MODES)
def test_each_mode_shows_d_what_the_paper_says(augment):
    policy = "none" if augment == "none" else "brightness"
    spy = Spy()
    gan = GAN(make_generator(), spy, policy=policy, augment=augment, views="separate")
    gan.compile(run_eagerly=True)
    reals = tf.random.stateless_uniform([8, *SHAPE], (0, 0), -1, 1)
    for turn, step in enumerate((lambda d: step_d(gan, reals, d), None)):
        spy.seen.clear()
        turn_draws = draws(gan, turn)
        fakes = gan.generator(turn_draws.latents(LATENT_DIM), training=True).numpy()
        if step is not None:
            step(turn_draws)
            expected = [(reals.numpy(), augment != "none"), (fakes, augment in ("d_only", "both"))]
        else:
            step_g(gan, turn_draws)
            expected = [(fakes, augment == "both")]
        assert len(spy.seen) == len(expected)
        for seen, (plain, augmented) in zip(spy.seen, expected, strict=True):
            shift = (seen - plain).mean(axis=(1, 2, 3), keepdims=True)
            np.testing.assert_allclose(seen, plain + shift, atol=1e-5)
            assert (np.abs(shift) > 1e-4).all() == augmented
            assert len(set(shift.round(6).ravel())) == (8 if augmented else 1), "a draw an image"


def test_reals_and_fakes_have_draws_of_their_own_and_every_step_too():
    gan = make_gan(policy="brightness")
    images = tf.zeros([8, *SHAPE])
    seen = [
        draws(gan, turn).augmentation(purpose)(images)[:, 0, 0, 0].numpy()
        for turn in (0, 1)
        for purpose in ("augment_real", "augment_fake", "augment_generator")
    ]
    seen += [draws(gan).latents(LATENT_DIM)[:, 0].numpy()]
    assert np.unique(np.concatenate(seen).round(6)).size == 7 * 8


def test_the_generator_learns_through_the_augmentation():
    gan = make_gan(policy=POLICY)
    kernels = [len(v.shape) > 1 for v in gan.generator.variables]
    before = values(gan)
    step_g(gan, draws(gan))
    moved = changed(gan, before, "generator")
    assert all(change for change, kernel in zip(moved, kernels, strict=True) if kernel)


def test_each_step_moves_its_own_network_and_its_own_spectral_norms():
    gan = make_gan(policy=POLICY)
    reals = tf.random.stateless_uniform([8, *SHAPE], (0, 0), -1, 1)
    before = values(gan)
    step_g(gan, draws(gan))
    assert not any(changed(gan, before, "discriminator"))
    before = values(gan)
    step_d(gan, reals, draws(gan))
    assert not any(changed(gan, before, "g_optimizer"))
    weights = {id(v) for v in gan.generator.trainable_weights}
    trainable = [id(v) in weights for v in gan.generator.variables]
    moved = changed(gan, before, "generator")
    assert not any(m for m, t in zip(moved, trainable, strict=True) if t)
    # But for biases: the hinge pulls one bias up for a real and down for a fake alike.
    moved = changed(gan, before, "discriminator")
    assert all(
        m for m, v in zip(moved, gan.discriminator.variables, strict=True) if "bias" not in v.name
    )


def test_power_iteration_advances_once_per_update_of_d(monkeypatch):
    calls = []
    monkeypatch.setattr(SpectralNormalization, "advance", lambda self, _: calls.append(self))
    gan = make_gan(policy=POLICY, regularizers="r1:1", d_steps=3)
    gan.train_step(tf.constant(make_images(24)))
    assert len(calls) == 3


def test_measuring_and_generating_change_nothing():
    gan = make_gan(policy=POLICY, batch_norm=True)
    gan.fit(make_images(16), batch_size=8, verbose=0)
    before = values(gan)
    images = tf.random.stateless_uniform([8, *SHAPE], (0, 0), -1, 1)
    logs = gan.measure(images, held_out=(images, None), step=tf.constant(1, tf.int64))
    gan.generate(tf.zeros([4, LATENT_DIM]))
    gan.generate(tf.zeros([4, LATENT_DIM]), ema=False)
    assert not any(any(changed(gan, before, group)) for group in before)
    assert logs["d_real"] == logs["d_held_out"]
    assert all(0 <= logs[name] <= 1 for name in logs if name.startswith("accuracy"))


def test_accuracies_are_shares_of_right_signs():
    gan = make_gan(policy="none")
    bias = gan.discriminator.trainable_variables[-1]
    images = tf.zeros([8, *SHAPE])
    for sign, right in ((100.0, (1, 0, 0)), (-100.0, (0, 1, 1))):
        bias.assign([sign])
        logs = gan.measure(images, step=tf.constant(0, tf.int64))
        assert tuple(
            float(logs[f"accuracy_{name}"]) for name in ("real_aug", "fake_aug", "fake")
        ) == tuple(map(float, right))
        assert float(logs["d_real"]) == pytest.approx(sign, abs=5)
        assert "d_held_out" not in logs


def test_a_step_with_several_d_steps_takes_them_in_order():
    images = make_images(24)
    together = make_gan(policy=POLICY, d_steps=3)
    together.train_step(tf.constant(images))
    alone = make_gan(policy=POLICY, d_steps=3)
    reals = tf.cast(images, tf.float32) / 127.5 - 1
    for turn in range(3):
        step_d(alone, reals[turn::3], draws(alone, turn))
    step_g(alone, draws(alone, 3))
    for group in ("generator", "discriminator"):
        for a, b in zip(values(together)[group], values(alone)[group], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert int(together.step) == 1


def test_uint8_and_floats_are_the_same_images():
    images = make_images(8)
    floats = images.astype(np.float32) / 127.5 - 1
    runs = []
    for given in (images, floats):
        # The bias before a batch norm has no gradient but rounding, which Adam would blow up.
        gan = make_gan(policy=POLICY, optimizer=lambda: keras.optimizers.SGD(0.01))
        gan.fit(given, batch_size=8, epochs=2, shuffle=False, verbose=0)
        runs.append(values(gan, "generator")["generator"])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_seed_decides_and_nothing_else_does():
    def run(seed, elsewhere):
        tf.random.set_seed(elsewhere)
        gan = make_gan(policy=POLICY, seed=seed, optimizer=lambda: keras.optimizers.SGD(0.1))
        gan.fit(make_images(16), batch_size=8, shuffle=False, verbose=0)
        return np.concatenate([v.ravel() for v in values(gan, "generator")["generator"]])

    one = run(0, elsewhere=1)
    # Several threads may round sums in another order.
    np.testing.assert_allclose(run(0, elsewhere=2), one, atol=1e-6)
    assert np.abs(run(1, elsewhere=1) - one).max() > 1e-4


@pytest.mark.parametrize("loss", ["hinge", "non_saturating", "wasserstein"])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_losses_of_a_step_are_the_mean_over_the_batch(loss, run_eagerly):
    gan = make_gan(policy="none", loss=loss, ema=None)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0), run_eagerly=run_eagerly)
    images = make_images(8)
    logs = gan.fit(images, batch_size=8, shuffle=False, verbose=0).history
    fakes = gan.generator(draws(gan).latents(LATENT_DIM), training=True)
    reals = images.astype(np.float32) / 127.5 - 1
    real, fake = (gan.discriminator(x).numpy().ravel() for x in (reals, fakes))
    terms = gan.adversarial_loss
    expected = np.mean(terms.real(real) + terms.fake(fake))
    assert logs["d_loss"][0] == pytest.approx(float(expected), abs=1e-5)


def test_a_d_with_batch_norm_judges_views_one_by_one():
    assert make_gan().joint_views
    assert not make_gan(batch_norm=True).joint_views
    assert make_gan(batch_norm=True, views="joint").joint_views


def test_a_loss_that_is_not_finite_ends_the_run():
    gan = make_gan()
    gan.fit(make_images(8), batch_size=8, verbose=0)
    kernel = gan.generator.trainable_variables[0]
    kernel.assign(kernel * np.nan)
    with pytest.raises(NonFiniteLossError, match=r"step 2: d_loss is nan, g_loss is nan") as error:
        gan.fit(make_images(16), batch_size=8, verbose=0)
    assert error.value.step == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_steps": 0}, "Received: d_steps=0"),
        ({"views": "joined"}, "Did you mean 'joint'"),
        ({"augment": "both"}, "needs a policy"),
        ({"policy": "colour"}, "color"),
        ({"loss": "wgan"}, "Received: loss='wgan'"),
        ({"ema": 0.99}, "Received: ema=0.99"),
        ({"d_steps": 1.5}, "Received: d_steps=1.5"),
        ({"latent_dim": 4.0}, "Received: latent_dim=4.0"),
        ({"num_images": -5}, "Received: num_images=-5"),
        ({"seed": 1.5}, "Received: seed=1.5"),
        ({"loss": ["hinge"]}, "Received: loss="),
        ({"augment": ["both"]}, "Received: augment="),
        ({"regularizers": R1()}, "list of Regularizer objects. Received: regularizers="),
        ({"regularizers": ["r1:10"]}, "list of Regularizer objects. Received: regularizers="),
        ({"label_frequencies": [1, 2]}, "Received: label_frequencies="),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_gan(**options)


def test_networks_that_do_not_fit_are_named():
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"Received: shape=\(2, 3\)"):
        GAN(flat, make_discriminator())
    with pytest.raises(ValueError, match="pass latent_dim="):
        GAN(Spy(), make_discriminator())


def test_predict_gives_images_of_the_average():
    gan = make_gan()
    latents = np.ones([4, LATENT_DIM], np.float32)
    np.testing.assert_allclose(gan.predict(latents, verbose=0), gan.generate(latents), atol=1e-6)


def test_weights_that_are_not_finite_are_found_before_a_loss_shows_them():
    gan = make_gan()
    gan.check_finite()
    kernel = gan.generator.trainable_variables[0]
    kernel.assign(tf.fill(kernel.shape, 3e38))
    with pytest.raises(NonFiniteLossError, match="samples is nan"):
        gan.check_finite()
    kernel.assign(tf.fill(kernel.shape, np.nan))
    with pytest.raises(NonFiniteLossError, match="generator is nan"):
        gan.check_finite()


def test_networks_may_compute_in_bfloat16():
    with mixed_precision("bfloat16"):
        gan = make_gan(policy=POLICY, regularizers="r1:1")
        gan.fit(make_images(8), batch_size=8, verbose=0)


def test_groups_of_a_discriminators_minibatch_never_mix_views():
    discriminator = keras.Sequential([keras.Input(SHAPE), MinibatchStddev(4)])
    check_groups(discriminator, 8)
    with pytest.raises(ValueError, match=r"in groups of 4.*Received: batch_size=6"):
        check_groups(discriminator, 6)
