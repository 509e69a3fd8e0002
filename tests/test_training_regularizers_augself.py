"""AugSelf, restated in NumPy from the uniform numbers that an update draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    SHAPE,
    make_discriminator,
    make_feature_gan,
    make_feature_networks,
    make_generator,
    make_images,
    update_d,
    update_g,
    values,
)
from tf_diffaug import random
from tf_diffaug.images import to_float
from tf_diffaug.training import GAN
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import Loss
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import Update, parse_regularizers
from tf_diffaug.training.views import Views, discriminate

# Asks nothing: what moves, the regularizer moves.
SILENT = Loss("silent", *[lambda logits: 0.0 * logits] * 3)
POLICY = "color,translation:0.25,cutout:0.75"
COUNT = 6


def make_gan(text="augself", policy=POLICY, **options):
    return make_feature_gan(regularizers=text, policy=policy, **options)


def make_turn(gan, outputs=None, probability=None):
    """A turn of random images, with D's outputs as given."""
    images = to_float(tf.constant(make_images(2 * COUNT)))
    draws = Draws(0, tf.constant(3, tf.int64), COUNT, gan.augmenter, probability)
    views = Views(
        images[:COUNT],
        images[COUNT:],
        augment_real=draws.augmentation("augment_real"),
        augment_fake=draws.augmentation("augment_fake"),
    )
    index = tf.constant(3, tf.int64)
    return Update(gan.networks, draws, views, outputs or {}, MODES["both"], index)


def random_outputs(rng):
    names = ("real", "real_aug", "fake", "fake_aug")
    return {n: Outputs(None, tf.constant(rng.normal(size=(COUNT, 128)), tf.float32)) for n in names}


def drawn(turn, purpose):
    """The parameters that the authors' code has of each op, from the draw's uniform numbers."""
    uniform = random.uniform([7, COUNT], turn.draws.seed(purpose)).numpy().astype(np.float64)
    side, shift, box = SHAPE[0], 2, 6  # of 8 pixels: a quarter and three quarters
    shifts = np.minimum(np.floor(uniform[3:5] * (2 * shift + 1)), 2 * shift) - shift
    centers = np.minimum(np.floor(uniform[5:7] * (side - box % 2 + 1)), side - box % 2)
    return [
        uniform[:3].T,
        (shifts / shift / 2 + 0.5).T,
        (centers / (side - box % 2)).T,
    ]


def guesses(gan, features):
    """What each head makes of features, in float64; kernels over their spectral norms."""
    found = []
    for _, head in gan.regularizers[0]._told.values():
        kernel, bias = sorted(head.trainable_variables, key=lambda v: -len(v.shape))
        kernel = np.asarray(kernel).astype(np.float64)
        norm = np.linalg.norm(kernel @ np.asarray(head.layer.u))
        found.append(features @ kernel / norm + np.asarray(bias))
    return found


def errors(gan, turn, kind, purpose, sign, applied=None):
    outputs = turn.outputs
    difference = outputs[f"{kind}_aug"].features.numpy().astype(np.float64)
    difference -= outputs[kind].features.numpy()
    total = np.zeros(COUNT)
    for k, (guess, told) in enumerate(
        zip(guesses(gan, difference), drawn(turn, purpose), strict=True)
    ):
        done = told if applied is None else np.where(applied[:, k : k + 1], told, 0.5)
        total += ((guess - sign * done) ** 2).mean(axis=1)
    return total


def with_bias(gan, rng):
    for variable in gan.regularizers[0].trainable_variables:
        if len(variable.shape) == 1:
            variable.assign(rng.normal(size=variable.shape).astype(np.float32))
    return gan


def test_both_terms_are_the_authors(rng):
    gan = with_bias(make_gan("augself(2, generator_weight=0.5)"), rng)
    turn = make_turn(gan, random_outputs(rng))
    (term,) = gan.regularizers
    assert [len(scaled.names) for scaled, _ in term._told.values()] == [3, 2, 2]
    real = errors(gan, turn, "real", "augment_real", 1)
    fake = errors(gan, turn, "fake", "augment_fake", -1)
    found = term.discriminator_term(turn)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, 2 * (real + fake), rtol=1e-4)
    as_real = errors(gan, turn, "fake", "augment_fake", 1)
    np.testing.assert_allclose(term.generator_term(turn), 0.5 * (as_real - fake), rtol=1e-3)


def test_ops_that_the_coins_left_out_were_neutral(rng):
    gan = with_bias(make_gan(), rng)
    turn = make_turn(gan, random_outputs(rng), probability=tf.constant(0.5))
    _, applied = turn.views.augment["real"].params(turn.views["real"])
    assert 0 < np.mean(applied) < 1
    both = [
        errors(gan, turn, kind, f"augment_{kind}", sign, applied_to.numpy())
        for kind, sign in (("real", 1), ("fake", -1))
        for applied_to in [turn.views.augment[kind].params(turn.views[kind])[1]]
    ]
    found = gan.regularizers[0].discriminator_term(turn)
    np.testing.assert_allclose(found, sum(both), rtol=1e-4)


def test_some_ops_alone_may_be_told(rng):
    gan = with_bias(make_gan("augself(ops='cutout, color')"), rng)
    whole = with_bias(make_gan(), np.random.default_rng(1))
    assert [*gan.regularizers[0]._told] == [0, 2]
    turn = make_turn(gan, random_outputs(rng))
    told = drawn(turn, "augment_real")
    features = turn.outputs["real_aug"].features - turn.outputs["real"].features
    found = gan.regularizers[0]._error(turn, "real", 1.0)
    heads = guesses(gan, features.numpy().astype(np.float64))
    expected = sum(
        ((q - w) ** 2).mean(axis=1) for q, w in zip(heads, (told[0], told[2]), strict=True)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert len(whole.regularizers[0].trainable_variables) == 6
    assert len(gan.regularizers[0].trainable_variables) == 4


def smooth_gan(text, policy=POLICY):
    """One whose D has a derivative everywhere."""
    plain = make_discriminator(smooth=True)
    features = plain.layers[-2].output
    discriminator = keras.Model(plain.inputs[0], {"logits": plain.outputs[0], "features": features})
    gan = GAN(make_generator(), discriminator, regularizers=text, policy=policy)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    return gan


@pytest.mark.usefixtures("held_norms")
@pytest.mark.parametrize("of", ["discriminator", "generator"])
def test_the_gradient_is_its_finite_difference(of, rng):
    gan = smooth_gan("augself(2, generator_weight=3)")
    (term,) = gan.regularizers
    latents = tf.constant(rng.normal(size=(COUNT, gan.latent_dim)), tf.float32)
    names = term.views if of == "discriminator" else ("fake", "fake_aug")

    def value():
        turn = make_turn(gan)
        fakes = gan.generator(latents, training=False)
        augment = turn.views.augment
        views = Views(
            turn.views["real"], fakes, augment_real=augment["real"], augment_fake=augment["fake"]
        )
        outputs = discriminate(gan.discriminator, views, names, joint=True, features=True)
        update = Update(gan.networks, turn.draws, views, outputs, turn.mode, turn.index)
        return tf.reduce_sum(getattr(term, f"{of}_term")(update))

    network = getattr(gan, of)
    variables = [*network.trainable_variables]
    if of == "discriminator":
        variables = variables[:2] + term.trainable_variables
    with tf.GradientTape() as tape:
        total = value()
    gradients = tape.gradient(total, variables)
    moves = [rng.normal(size=v.shape).astype(np.float32) for v in variables]
    starts, ends, epsilon = [v.numpy() for v in variables], [], 2e-3
    for sign in (1, -1):
        for variable, start, move in zip(variables, starts, moves, strict=True):
            variable.assign(start + sign * epsilon * move)
        ends.append(float(value()))
    slope = (ends[0] - ends[1]) / (2 * epsilon)
    found = sum(np.sum(np.asarray(g) * m) for g, m in zip(gradients, moves, strict=True))
    np.testing.assert_allclose(found, slope, rtol=0.02)


def test_each_term_moves_its_own_network():
    gan = make_gan(loss=SILENT, optimizer=lambda: keras.optimizers.SGD(0.1))
    images = to_float(tf.constant(make_images(8)))
    groups = ("generator", "discriminator", "regularizers")
    draws, index = Draws(0, tf.constant(0, tf.int64), 8, gan.augmenter), tf.constant(0, tf.int64)

    def moved(step):
        before = values(gan, *groups)
        logs = step()
        after = values(gan, *groups)
        pairs = {name: zip(before[name], after[name], strict=True) for name in groups}
        return {name: [np.any(a != b) for a, b in pairs[name] if a.ndim > 1] for name in groups}, {
            *logs
        }

    kernels, logs = moved(lambda: update_d(gan, (images, None), draws, index))
    assert logs == {"d_loss", "augself"}
    # All of D but its last layer, which makes the logits.
    assert kernels["discriminator"] == [True, False]
    assert kernels["regularizers"] == [True] * 3
    assert not any(kernels["generator"])
    kernels, logs = moved(lambda: update_g(gan, draws, index))
    assert logs == {"g_loss", "g_augself"}
    assert all(kernels["generator"])
    assert not any(kernels["discriminator"] + kernels["regularizers"])


def losses_after(weights):
    text = f"augself({weights[0]}, generator_weight={weights[1]})"
    optimizer = {"optimizer": lambda: keras.optimizers.Adam(0.01)}
    gan = make_gan(text, "zoomout:1", loss=SILENT, seed=1, **optimizer)
    images = make_images(64) // 4
    images[:, :4] += 170  # one sees how far up they are
    history = gan.fit(images, batch_size=8, epochs=12, verbose=0).history
    pairs = zip(("augself", "g_augself"), weights, strict=True)
    return {name: np.mean(history[name][-4:]) / weight for name, weight in pairs}


@pytest.mark.slow
def test_both_terms_fall_when_they_are_asked_for():
    tiny = 1e-9  # measures, and asks next to nothing under Adam's epsilon
    nothing, d_alone, both = map(losses_after, ((tiny, tiny), (10, tiny), (10, 10)))
    assert d_alone["augself"] < nothing["augself"] / 2
    assert both["g_augself"] < d_alone["g_augself"] - 0.2


def test_without_gs_weight_there_is_no_term_and_no_view_of_it():
    gan = make_gan("augself(generator_weight=0)")
    logs = gan.fit(make_images(8), batch_size=8, verbose=0).history
    assert "augself" in logs
    assert "g_augself" not in logs


def test_it_is_read_and_written():
    (term,) = parse_regularizers("augself(0.1, generator_weight=0.2, ops='color,cutout')")
    expected = "augself(weight=0.1, generator_weight=0.2, ops='color,cutout')"
    assert str(term) == expected
    (again,) = parse_regularizers(expected)
    assert again.get_config() == term.get_config()
    for wrong in ("generator_weight=-1", "generator_weight=x", "ops=1"):
        with pytest.raises(ValueError, match="Received: augself "):
            parse_regularizers(f"augself({wrong})")


def test_it_stands_on_diffaugment():
    assert make_gan().augment == "both"
    assert make_gan(augment="none").augment == "none"


@pytest.mark.parametrize(
    ("text", "policy", "message"),
    [
        ("augself", "instance_noise:0.1", "Received: policy='instance_noise:0.1'"),
        ("augself", "none", "Received: policy='none'"),
        ("augself(ops='colour')", "color", "Did you mean 'color'.*Received: augself ops='colour'"),
        ("augself(ops='cutout')", "color", "Choose from color. Received: augself ops='cutout'"),
    ],
)
def test_what_it_needs_is_named(text, policy, message):
    with pytest.raises(ValueError, match=message):
        GAN(*make_feature_networks(), regularizers=text, policy=policy)
