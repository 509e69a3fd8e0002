import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    LATENT_DIM,
    NUM_CLASSES,
    SHAPE,
    make_conditional_gan,
    make_conditional_networks,
    make_discriminator,
    make_gan,
    make_generator,
    make_images,
    update_d,
    update_g,
    values,
)
from tf_diffaug import random
from tf_diffaug._keras import KERAS_3
from tf_diffaug.layers import MinibatchStddev, SpectralNormalization
from tf_diffaug.training import GAN, MODES, NonFiniteLossError
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.views import check_groups

POLICY = "color,translation,cutout"


def changed(gan, before, group):
    after = values(gan, group)[group]
    return [not np.array_equal(a, b) for a, b in zip(before[group], after, strict=True)]


def draws(gan, turn=0, batch_size=8):
    return Draws(gan.seed, tf.constant(turn, tf.int64), batch_size, gan.augmenter)


def step_d(gan, reals, turn_draws):
    return update_d(gan, (reals, None), turn_draws, tf.constant(0, tf.int64))


def step_g(gan, turn_draws):
    return update_g(gan, turn_draws, tf.constant(0, tf.int64))


class Spy(keras.Model):
    """A discriminator that keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = []

    def call(self, images, training=False):
        self.seen.append(images.numpy())
        return self.dense(tf.reshape(images, [-1, np.prod(SHAPE)]))


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
        draws(gan, turn).augment(images, purpose)[:, 0, 0, 0].numpy()
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


def test_a_ragged_batch_is_cut_to_whole_turns():
    gan = make_gan(policy=POLICY, d_steps=2)
    gan.fit(make_images(19), batch_size=8, verbose=0)
    assert int(gan.step) == 3


def test_a_batch_of_too_few_for_every_turn_is_named():
    gan = make_gan(d_steps=2)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="for each of the 2 updates of D in a step"
    ):
        gan.fit(make_images(17), batch_size=8, verbose=0)


@pytest.mark.parametrize(
    ("images", "received"),
    [
        (make_images(8).astype(np.int32), "images of dtype=int32"),
        (make_images(8).astype(np.float32), "float32 from [0-9.]+ to [0-9.]+"),
        (np.full([8, 8, 8, 3], np.nan, np.float32), "float32 from nan to nan"),
        (tf.constant(make_images(8).astype(np.float64)), "float64 from"),
    ],
)
def test_images_of_another_range_are_named(images, received):
    with pytest.raises(ValueError, match=f"uint8, or floats.* Received: {received}"):
        make_gan().fit(images, batch_size=8, verbose=0)


def test_networks_may_compute_in_bfloat16():
    set_policy = (
        keras.config.set_dtype_policy if KERAS_3 else keras.mixed_precision.set_global_policy
    )
    set_policy("mixed_bfloat16")
    try:
        gan = make_gan(policy=POLICY, regularizers="r1:1")
        gan.fit(make_images(8), batch_size=8, verbose=0)
    finally:
        set_policy("float32")


def conditional_images(count=32):
    return make_images(count), np.arange(count) % NUM_CLASSES


def test_conditional_networks_see_the_labels_of_what_they_see():
    seen = []

    class Judge(Spy):
        def call(self, inputs, training=False):
            images, labels = inputs
            seen.append((images.numpy(), labels.numpy()))
            return super().call(images)

    generator, _ = make_conditional_networks()
    gan = GAN(generator, Judge(), latent_dim=LATENT_DIM, num_classes=NUM_CLASSES, d_steps=2)
    gan.compile(run_eagerly=True)
    images, labels = conditional_images(16)
    reals = images.astype(np.float32) / 127.5 - 1
    seen.clear()
    gan.train_step((tf.constant(reals), tf.constant(labels)))
    for turn in range(2):
        np.testing.assert_allclose(seen[turn][0][:8], reals[turn::2])
        np.testing.assert_array_equal(seen[turn][1][:8], labels[turn::2])
    fakes, fake_labels = seen[2]
    latents = draws(gan, 2).latents(LATENT_DIM)
    np.testing.assert_array_equal(fake_labels, draws(gan, 2).labels(gan.label_frequencies))
    expected = gan.generate(latents, fake_labels, ema=False)
    assert fakes.shape == expected.shape
    assert len(set(fake_labels)) > 1


def test_a_conditional_gan_fits_and_its_classes_differ():
    gan = make_conditional_gan(policy="color", regularizers="r1:1")
    gan.fit(*conditional_images(), batch_size=8, epochs=2, verbose=0)
    latents = tf.zeros([NUM_CLASSES, LATENT_DIM])
    images = gan.predict((latents, tf.range(NUM_CLASSES)), verbose=0)
    assert np.abs(images[1:] - images[:-1]).max() > 1e-3
    images, labels = conditional_images(8)
    reals = tf.cast(images, tf.float32) / 127.5 - 1
    logs = gan.measure(reals, labels, held_out=(reals, labels), step=tf.constant(1, tf.int64))
    assert logs["d_real"] == logs["d_held_out"]
    wrong = gan.measure(reals, (labels + 1) % 3, step=tf.constant(1, tf.int64))
    assert logs["d_real"] != wrong["d_real"]


def test_labels_of_fakes_have_the_frequencies_asked_for():
    gan = make_conditional_gan(label_frequencies=[1, 0, 3])
    counts = np.bincount(gan.networks.labels(4000, random.as_seed(0)), minlength=3)
    np.testing.assert_allclose(counts / 4000, [0.25, 0, 0.75], atol=0.03)
    assert set(draws(gan, batch_size=64).labels(gan.label_frequencies).numpy()) == {0, 2}
    assert draws(make_gan()).labels(make_gan().label_frequencies) is None


def test_labels_that_are_missing_or_do_not_fit_are_named():
    gan = make_conditional_gan()
    with pytest.raises(ValueError, match="Received: labels=None"):
        gan.fit(make_images(8), batch_size=8, verbose=0)
    with pytest.raises(ValueError, match="Received: labels from 1 to 3"):
        gan.fit(make_images(8), np.arange(8) % 3 + 1, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match="Received: 2 label_frequencies"):
        make_conditional_gan(label_frequencies=[1, 2])

    class Two(Spy):
        num_classes = 2

    with pytest.raises(ValueError, match="num_classes=2"):
        GAN(make_conditional_networks()[0], Two(), latent_dim=LATENT_DIM, num_classes=3)


def test_groups_of_a_discriminators_minibatch_never_mix_views():
    discriminator = keras.Sequential([keras.Input(SHAPE), MinibatchStddev(4)])
    check_groups(discriminator, 8)
    with pytest.raises(ValueError, match=r"in groups of 4.*Received: batch_size=6"):
        check_groups(discriminator, 6)


def test_adam_squares_the_sum_over_a_label_that_a_batch_repeats():
    gan = make_conditional_gan(optimizer=lambda: keras.optimizers.Adam(1e-3, epsilon=1e-12))
    (before,) = (v.numpy() for v in gan.discriminator.trainable_variables if v.shape[0] == 3)
    gan.train_step((tf.constant(make_images(8)), tf.ones([8], tf.int32)))
    (after,) = (v.numpy() for v in gan.discriminator.trainable_variables if v.shape[0] == 3)
    # Adam's first step is its rate in the direction of the gradient, however large that is.
    np.testing.assert_allclose(np.abs(after - before)[1], 1e-3, rtol=1e-3)
