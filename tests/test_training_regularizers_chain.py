from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    descent,
    draws,
    make_discriminator,
    make_feature_networks,
    make_generator,
    make_images,
    update_d,
    update_g,
    values,
)
from tf_diffaug._keras import sublayers
from tf_diffaug.images import to_float
from tf_diffaug.layers import ChainNorm
from tf_diffaug.models import BigGANDiscriminator, SNDCGANDiscriminator
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training import GAN
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import Chain, parse_regularizers
from tf_diffaug.training.views import Views, discriminate


def make_gan(regularizers="chain", **options):
    discriminator = make_discriminator(normalization="chain")
    gan = GAN(make_generator(), discriminator, regularizers=regularizers, **options)
    gan.compile(descent(), descent())
    return gan


def layer_of(gan):
    (layer,) = sublayers(gan.discriminator, ChainNorm)
    return layer


def test_the_term_and_p_are_their_restatement_update_by_update(rng):
    term = Chain(7.0, p0=0.2, target=0.3, rate=0.25, start=3)
    networks = SimpleNamespace(discriminator=make_discriminator(normalization="chain"), d_steps=2)
    term.build(networks)
    p, mean, seen = 0.0, 0.0, []
    for index in range(40):
        logits = rng.normal(2.0 if index < 20 else -2.0, 1.0, (10, 1)).astype(np.float32)
        squares = rng.uniform(size=2).astype(np.float32)
        outputs = {
            "real_aug": Outputs(tf.constant(logits), None, tf.constant(squares[:1])),
            "fake_aug": Outputs(tf.constant(-logits), None, tf.constant(squares[1:])),
        }
        update = SimpleNamespace(
            outputs=outputs,
            mode=MODES["both"],
            index=tf.constant(index, tf.int64),
            networks=networks,
            seen=0,
        )
        found = term.discriminator_term(update)
        np.testing.assert_allclose(found, [7.0 * (p + 0.2) * squares.sum()], rtol=1e-5)
        if index // 2 >= 3:
            mean = 0.9 * mean + 0.1 * np.sign(logits).mean()
            p = min(max(p + 0.25 * np.sign(mean - 0.3), 0.0), 1.0)
        np.testing.assert_allclose(term.gauges()["chain_p"], p, atol=1e-6)
        for layer in sublayers(networks.discriminator, ChainNorm):
            np.testing.assert_allclose(layer.p, p, atol=1e-6)
        seen.append(p)
    assert seen[5] == 0
    assert set(seen) == {0, 0.25, 0.5, 0.75, 1}
    assert seen[-1] == 0


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.usefixtures("held_norms")
def test_what_d_gives_beside_its_logits_is_of_each_view(joint):
    real, fake = np.split(to_float(tf.constant(make_images(8))).numpy(), 2)
    views = Views(real, fake, augment_real=tf.negative, augment_fake=tf.negative)
    discriminator = make_discriminator(normalization="chain")
    outputs = discriminate(discriminator, views, ["real", "fake", "real_aug"], joint=joint)
    convolution = discriminator.layers[0]
    for name, images in (("real", real), ("fake", fake), ("real_aug", -real)):
        expected = np.sum(np.mean(convolution(images), axis=(0, 1, 2)) ** 2)
        np.testing.assert_allclose(outputs[name].squared_means, [expected], rtol=1e-5)
    plain = discriminate(make_discriminator(), views, ["real", "fake"], joint=joint)
    assert plain["real"].squared_means is None


@pytest.mark.usefixtures("held_norms")
def test_the_gradient_of_the_term_is_its_finite_difference():
    real, fake = np.split(to_float(tf.constant(make_images(8))).numpy(), 2)
    discriminator = make_discriminator(normalization="chain")
    networks = SimpleNamespace(discriminator=discriminator, d_steps=1)
    term = Chain(7.0, p0=0.2)
    term.build(networks)

    def value():
        views = Views(real, fake, augment_real=tf.identity, augment_fake=tf.identity)
        outputs = discriminate(discriminator, views, ["real", "fake"], joint=True)
        update = SimpleNamespace(
            outputs=outputs,
            mode=MODES["none"],
            index=tf.constant(0, tf.int64),
            networks=networks,
            seen=0,
        )
        return tf.reduce_sum(term.discriminator_term(update))

    weights = discriminator.trainable_variables
    with tf.GradientTape() as tape:
        found = value()
    gradients = tape.gradient(found, weights)
    # Those of the convolution before the layer; the logits' have no part in it.
    *moved, kernel, bias = gradients
    assert kernel is bias is None
    direction = np.random.default_rng(0).normal(size=moved[0].shape).astype(np.float32)
    start, values = weights[0].numpy(), []
    for sign in (1, -1):
        weights[0].assign(start + sign * 1e-2 * direction)
        values.append(float(value()))
    slope = np.sum(moved[0].numpy() * direction)
    # Of a square, central differences are exact but for the spectral norm beside it.
    np.testing.assert_allclose((values[0] - values[1]) / 2e-2, slope, rtol=1e-2)


def test_the_views_of_a_step_are_judged_in_one_pass_and_kept_apart():
    gan = make_gan("chain,bcr:1", policy="color")
    assert gan.joint_views
    batch = to_float(tf.constant(make_images(8)))
    update_d(gan, (batch, None), draws(gan), tf.constant(0, tf.int64))
    layer = layer_of(gan)
    first = [tf.identity(v) for v in (layer.squares, layer.d_gradients, layer.g_gradients)]
    assert np.all(first[0][0] != first[0][1])
    assert np.all(first[1] == 0)  # nothing is normalised while p is 0
    layer.p.assign(0.5)
    update_g(gan, draws(gan, 1), tf.constant(0, tf.int64))
    assert np.all(layer.squares[0] == first[0][0])  # G's update sees fakes alone
    assert np.all(layer.squares[1] != first[0][1])
    assert np.all(layer.g_gradients[0] == 0)
    assert np.any(layer.g_gradients[1] != 0)
    assert np.all(layer.d_gradients == first[1])


def test_gradient_penalties_see_a_batch_of_their_own_and_move_nothing():
    moved = []
    for regularizers in ("chain", "chain,r1,wgan_gp,dragan,js,r2(every=2)"):
        gan = make_gan(regularizers)
        gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
        layer = layer_of(gan)
        layer.p.assign(0.5)
        batch = to_float(tf.constant(make_images(8)))
        logs = update_d(gan, (batch, None), draws(gan), tf.constant(0, tf.int64))
        assert all(np.isfinite(value) for value in logs.values()), logs
        moved.append(layer.squares.numpy())
        assert int(layer._calls) == 0  # every draw is the update's
    assert logs["r1"] > 0
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-6)


def spread_gan(regularizers, averages, **options):
    """With running averages that are not those of any batch, and all channels divided by them."""
    networks = make_feature_networks(normalization="chain")
    gan = GAN(*networks, regularizers=f"chain,{regularizers}", **options)
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    layer = layer_of(gan)
    layer.p.assign(1.0)
    layer.squares.assign(tf.constant(averages, tf.float32)[:, None] * tf.ones_like(layer.squares))
    layer.squares[:, 0].assign([1.0, 1.0])
    return gan


def test_an_attack_is_no_change_of_the_normalisation():
    batch = to_float(tf.constant(make_images(8)))
    found = []
    for averages in ((1.0, 1.0), (9.0, 400.0)):
        gan = spread_gan("adversarial_defence(1, epsilon=1e-3)", averages)
        logs = update_d(gan, (batch, None), draws(gan), tf.constant(0, tf.int64))
        found.append(float(logs["adversarial_defence"]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)
    assert 0 < found[0] < 0.1


def test_the_slow_d_takes_the_averages_of_its_images_kind():
    gan = spread_gan("insgen(queue=8)", (9.0, 400.0), policy="color")
    term = gan.regularizers[1]
    seen = []
    inner = ChainNorm._squares
    slow = sublayers(term.slow, ChainNorm)

    def noted(layer, values, views, **options):
        if any(layer is one for one in slow):
            seen.append(list(views.kinds.values()))
        return inner(layer, values, views, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChainNorm, "_squares", noted)
        batch = to_float(tf.constant(make_images(8)))
        update_d(gan, (batch, None), draws(gan), tf.constant(0, tf.int64))
    assert sorted(seen) == [["fake"], ["real"]]


def test_measuring_moves_nothing_and_tells_reals_from_fakes():
    gan = make_gan()
    layer = layer_of(gan)
    layer.p.assign(1.0)
    layer.squares.assign([[1.0] * 8, [1.0] + [100.0] * 7])
    before = values(gan)
    images = to_float(tf.constant(make_images(8)))
    first, second = (gan.measure(images, step=tf.constant(0, tf.int64)) for _ in range(2))
    layer.squares.assign([[1.0] * 8, [1.0] * 8])
    other = gan.measure(images, step=tf.constant(0, tf.int64))
    assert first == second
    assert other["d_real"] == first["d_real"]
    assert other["d_fake"] != first["d_fake"]
    layer.squares.assign([[1.0] * 8, [1.0] + [100.0] * 7])
    for group, found in values(gan).items():
        for a, b in zip(before[group], found, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_the_means_fall_when_they_are_asked_to():
    runs = {}
    for weight in (0.0, 20.0):
        gan = make_gan(f"chain({weight}, p0=1)", seed=1)
        gan.fit(make_images(64), batch_size=8, epochs=10, verbose=0)
        gan.regularizers[0].weight = 1.0
        gan.compile(descent(), descent(), run_eagerly=True)
        runs[weight] = float(gan.train_step(tf.constant(make_images(64)))["chain"])
    assert runs[20.0] < runs[0.0] / 2, runs


def test_p_follows_d_in_a_run():
    # A D that takes all for real, and then all for fake.
    gan = make_gan("chain(rate=0.1, start=2)")
    gan.compile(descent(), keras.optimizers.SGD(0.0))
    found = []
    for bias in (50.0, -50.0):
        gan.discriminator.trainable_variables[-1].assign([bias])
        logs = [gan.train_step(tf.constant(make_images(8))) for _ in range(14)]
        found += [float(one["chain_p"]) for one in logs]
    assert found[1] == 0
    np.testing.assert_allclose(max(found), 0.8, atol=0.11)
    assert found[-1] < max(found)
    np.testing.assert_allclose(layer_of(gan).p, found[-1])


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    def make():
        return make_gan("chain(target=-1, rate=0.2, start=1),r1", policy="cutout", augment="both")

    def train(gan, steps):
        for step in steps:
            gan.train_step(tf.constant(make_images(8, step)))
        return values(gan)

    first, second, whole = make(), make(), make()
    train(first, range(3))
    CheckpointStore(first, tmp_path).save()
    assert CheckpointStore(second, tmp_path).restore() == 3
    expected = train(whole, range(6))
    for group, found in train(second, range(3, 6)).items():
        for a, b in zip(expected[group], found, strict=True):
            np.testing.assert_array_equal(a, b)
    assert float(layer_of(second).p) == 1
    assert np.any(layer_of(second).d_gradients != 0)


def test_a_d_without_the_layers_is_refused():
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)], name="mine"
    )
    with pytest.raises(ValueError, match=r"chain needs a .*Received: 'mine' with none") as caught:
        GAN(make_generator(), network, regularizers="chain")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="relativistic"):
        make_gan(loss="relativistic")


def test_it_is_read_and_written():
    (term,) = parse_regularizers("chain(10, p0=0)")
    assert str(term) == "chain(weight=10, p0=0, target=0.5, rate=0.001, start=5000)"
    assert str(parse_regularizers(str(term))[0]) == str(term)
    for wrong in ("weight=-1", "p0=-1", "target=2", "rate=x", "start=-1", "start=1.5"):
        with pytest.raises(ValueError, match="Received: chain"):
            parse_regularizers(f"chain({wrong})")


def test_where_the_layers_stand():
    """Behind every convolution but those that see the image; see the docstrings."""
    discriminator = SNDCGANDiscriminator(16, 3, 2, normalization="chain", seed=0)
    names = [layer.name for layer in sublayers(discriminator, ChainNorm)]
    convs = ("down1", "conv2", "down2", "conv3", "down3", "conv4")
    assert names == [f"norm_{name}" for name in convs]
    discriminator = BigGANDiscriminator(32, 3, 2, normalization="chain", seed=0)
    norms = {layer.name: sublayers(layer, ChainNorm) for layer in discriminator.layers}
    names = {name: [norm.name for norm in found] for name, found in norms.items() if found}
    assert names == {
        "block2": ["norm1", "norm2", "norm_shortcut"],
        "block3": ["norm1", "norm2"],
        "block4": ["norm1", "norm2"],
    }
    seeds = [norm.seed for found in norms.values() for norm in found]
    assert len({*seeds}) == len(seeds)
    with pytest.raises(ValueError, match="Did you mean 'chain'"):
        SNDCGANDiscriminator(normalization="chian")


@pytest.mark.parametrize("kind", [SNDCGANDiscriminator, BigGANDiscriminator])
def test_with_p_0_a_network_computes_what_the_plain_one_does(kind):
    plain, chained = (kind(32, 3, 2, normalization=n, seed=0) for n in ("none", "chain"))
    images = tf.random.stateless_uniform((4, 32, 32, 3), (1, 2), -1.0, 1.0)
    np.testing.assert_array_equal(plain(images), chained(images))
    assert len(plain.trainable_weights) == len(chained.trainable_weights)
