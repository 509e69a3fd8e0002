"""FastGAN's decoders."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    draws,
    make_feature_networks,
    make_gan,
    make_generator,
    update_d,
    update_g,
)
from tests.networks import values as values_of
from tests.test_models_fastgan import batch_normed, conv, convolve, norm, normalized, sigmoid, up
from tf_diffaug.errors import UserError
from tf_diffaug.models import FastGANDiscriminator, FastGANGenerator
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training import GAN
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import Loss
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import Reconstruction, parse_regularizers
from tf_diffaug.training.regularizers.reconstruction import quarter, thinned

# Asks nothing: what moves, the regularizer moves.
SILENT = Loss("silent", *[lambda logits: 0.0 * logits] * 3)
GROUPS = ("generator", "discriminator", "regularizers")


def fastgan(regularizers="reconstruction(2, width=2)", resolution=32, rate=0.1, **options):
    gan = GAN(
        FastGANGenerator(resolution, width=1, latent_dim=4, seed=0),
        FastGANDiscriminator(resolution, width=1, seed=1),
        regularizers=regularizers,
        **options,
    )
    gan.compile(keras.optimizers.Adam(rate), keras.optimizers.Adam(rate))
    return gan


def striped_images(count, side=32):
    """Each of two colours, one a side of the middle: little to remember."""
    rng = np.random.default_rng(2)
    colors = rng.integers(0, 256, (count, 1, 2, 3))
    return np.repeat(np.repeat(colors, side // 2, axis=2), side, axis=1).astype(np.uint8)


def decoded(decoder, hidden):
    """In NumPy's float64: repeat, convolve, normalise, gate; at the end convolve and tanh."""
    if hidden.shape[1] > 8:
        times = hidden.shape[1] // 8
        hidden = hidden.reshape(len(hidden), 8, times, 8, times, -1).mean((2, 4))
    *doublings, last = decoder.layers
    for layer, normal in zip(doublings[::2], doublings[1::2], strict=True):
        hidden = hidden.repeat(2, axis=1).repeat(2, axis=2)
        hidden = batch_normed(normal, convolve(hidden, normalized(layer), padding=1))
        half = hidden.shape[-1] // 2
        hidden = hidden[..., :half] * sigmoid(hidden[..., half:])
    return np.tanh(convolve(hidden, normalized(last), padding=1))


def turn_of(gan, images, maps, mode="none", number=0):
    shown = MODES[mode].d_real
    outputs = {shown: Outputs(None, maps={name: tf.constant(m) for name, m in maps.items()})}
    views = {shown: tf.constant(images)}
    own = draws(gan, number, len(images))
    return SimpleNamespace(mode=MODES[mode], outputs=outputs, views=views, draws=own, seen=0)


def stir(regularizer):
    rng = np.random.default_rng(4)
    for variable in regularizer.trainable_variables:
        variable.assign(rng.normal(0.3, 0.5, variable.shape))
    regularizer.discriminator_views(None)  # the norms follow


def examples(gan, rng, count=3):
    side = gan.image_shape[0]
    images = rng.uniform(-1, 1, (count, side, side, 3)).astype(np.float32)
    shapes = {"image": (8, 8, 8), "part": (16, 16, 4), "small": (8, 8, 4)}
    maps = {k: rng.normal(size=(count, *s)).astype(np.float32) for k, s in shapes.items()}
    return images, maps


@pytest.mark.parametrize("mode", ["none", "both"])
def test_the_term_is_its_formula(mode, rng):
    gan = fastgan(resolution=64)
    (term,) = gan.regularizers
    stir(term)
    images, maps = examples(gan, rng)
    corners = set()
    for number in range(6):
        found = term.discriminator_term(turn_of(gan, images, maps, mode, number))
        assert (found.dtype, found.shape) == (tf.float32, (3,))
        of_image, of_part, of_small = term._decoders
        whole = [
            np.abs(decoded(of_image, maps["image"]) - images[:, ::2, ::2]).mean((1, 2, 3)),
            np.abs(decoded(of_small, maps["small"]) - images[:, ::2, ::2]).mean((1, 2, 3)),
        ]
        parts = {}
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            seen = maps["part"][:, 8 * row :, 8 * column :][:, :8, :8]
            wanted = images[:, 32 * row :, 32 * column :][:, :32, :32]
            distance = np.abs(decoded(of_part, seen) - wanted).mean((1, 2, 3))
            parts[row, column] = 2.0 * (sum(whole) + distance)
        right = [c for c, expected in parts.items() if np.allclose(found, expected, rtol=1e-4)]
        assert len(right) == 1
        corners.add(right[0])
    assert len(corners) > 1


def test_at_256_px_the_decoders_have_the_published_sizes():
    gan = GAN(
        FastGANGenerator(256, width=1, latent_dim=4),
        FastGANDiscriminator(256, width=4),
        regularizers="reconstruction",
    )
    (term,) = gan.regularizers
    # `SimpleDecoder(nfc_in, 3)`, with nfc of 32 times 4, 2, 2 and 1.
    expected = [
        up(inputs, 128) + up(128, 64) + up(64, 64) + up(64, 32) + conv(32, 3, 3)
        for inputs in (8 * 4, 4 * 4, 4 * 4)
    ]
    assert sum(int(np.prod(v.shape)) for v in term.trainable_variables) == sum(expected)
    assert term._target == 128
    assert norm(1) == 2


def test_an_image_of_512_px_is_thinned_to_what_is_decoded():
    images = tf.reshape(tf.range(2 * 8 * 8), (2, 8, 8, 1))
    np.testing.assert_array_equal(thinned(images, 2), images[:, ::4, ::4])
    for row, column in ((False, True), (True, False)):
        found = quarter(images, tf.constant([row, column]))
        np.testing.assert_array_equal(found, images[:, 4 * row :, 4 * column :][:, :4, :4])


def test_its_gradient_is_the_finite_difference(rng):
    gan = fastgan()
    (term,) = gan.regularizers
    stir(term)
    images, maps = examples(gan, rng)
    for name in maps:
        way = rng.normal(size=maps[name].shape).astype(np.float32)

        def value(step, name=name, way=way):
            moved = {**maps, name: maps[name] + step * way}
            return tf.reduce_sum(term.discriminator_term(turn_of(gan, images, moved)))

        step = tf.constant(0.0)
        turn = turn_of(gan, images, maps)
        with tf.GradientTape() as tape:
            tape.watch(step)
            turn.outputs["real"].maps[name] += step * way
            total = tf.reduce_sum(term.discriminator_term(turn))
        found = tape.gradient(total, step)
        expected = (value(0.01) - value(-0.01)) / 0.02
        np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.02)


def test_it_trains_the_decoders_and_what_of_d_they_see():
    gan = fastgan(loss=SILENT)
    images = tf.constant(striped_images(4), tf.float32) / 127.5 - 1

    def moved(step):
        before = values_of(gan, *GROUPS)
        logs = step()
        after = values_of(gan, *GROUPS)
        kernels = {
            group: [
                np.any(a != b)
                for a, b in zip(before[group], after[group], strict=True)
                if a.ndim > 1
            ]
            for group in GROUPS
        }
        return kernels, set(logs)

    index = tf.constant(0, tf.int64)
    norms = [layer for layer in gan.regularizers[0]._layers() if hasattr(layer, "u")]
    before = [layer.u.numpy() for layer in norms]
    kernels, logs = moved(lambda: update_d(gan, (images, None), draws(gan, 0, 4), index))
    assert logs == {"d_loss", "reconstruction"}
    assert all(kernels["regularizers"])
    assert not any(kernels["generator"])
    assert all(np.any(layer.u.numpy() != u) for layer, u in zip(norms, before, strict=True))
    # All of D but the three layers that make logits.
    assert kernels["discriminator"].count(False) == 3
    heads = (gan.discriminator.before_logits.conv, gan.discriminator.to_logits)
    for layer in (*heads, gan.discriminator.to_small_logits):
        before = built_again(gan)[layer.name if layer is not heads[0] else "before_logits"]
        np.testing.assert_array_equal(layer.layer.kernel.numpy(), before)
    kernels, logs = moved(lambda: update_g(gan, draws(gan, 1, 4), index))
    assert logs == {"g_loss"}
    assert not any(map(any, kernels.values()))


def built_again(gan):
    network = FastGANDiscriminator.from_config(gan.discriminator.get_config())
    network.build()
    layers = {"before_logits": network.before_logits.conv, "to_logits": network.to_logits}
    layers |= {"to_small_logits": network.to_small_logits}
    return {name: layer.layer.kernel.numpy() for name, layer in layers.items()}


@pytest.mark.slow
def test_it_falls():
    gan = fastgan("reconstruction(1, width=4)", loss=SILENT, rate=0.01)
    images = tf.constant(striped_images(8), tf.float32) / 127.5 - 1

    @tf.function(autograph=False)
    def step(index):
        drawn = Draws(gan.seed, index, 8, gan.augmenter)
        return update_d(gan, (images, None), drawn, index)["reconstruction"]

    found = [float(step(tf.constant(index, tf.int64))) for index in range(60)]
    assert found[-1] < 0.6 * found[0]


def test_a_checkpoint_holds_its_decoders(tmp_path):
    gan, other = (fastgan(seed=seed) for seed in (1, 2))
    CheckpointStore(gan, tmp_path, keep=1).save()
    CheckpointStore(other, tmp_path, keep=1).restore()
    held, again = (values_of(one, "regularizers")["regularizers"] for one in (gan, other))
    # A convolution's kernel and norm, a batch norm's four, and the last kernel with its norm.
    assert len(held) == 3 * (2 + 4 + 2)
    for a, b in zip(held, again, strict=True):
        np.testing.assert_array_equal(a, b)


def mapping_discriminator():
    """A user's own, that looks at one image at a time."""
    images = keras.Input((8, 8, 3))
    part = keras.layers.Conv2D(2, 3, padding="same")(images)
    last = keras.layers.AveragePooling2D(2)(part)
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(last))
    maps = {"image": last, "part": part, "small": keras.layers.AveragePooling2D(4)(images)}
    return keras.Model(images, {"logits": logits, "maps": maps})


def test_views_that_share_a_pass_have_maps_of_their_own():
    from tf_diffaug.training.views import Views, discriminate

    network = mapping_discriminator()
    real, fake = (tf.constant(np.random.default_rng(n).normal(size=(2, 8, 8, 3))) for n in (0, 1))
    views = Views(real, fake, augment_real=None, augment_fake=None)
    together, apart = (
        discriminate(network, views, ["real", "fake"], joint=joint, features=True)
        for joint in (True, False)
    )
    for name in ("real", "fake"):
        assert together[name].features is None
        found, expected = (outputs[name].maps for outputs in (together, apart))
        assert found.keys() == expected.keys() == {"image", "part", "small"}
        for key in found:
            np.testing.assert_allclose(found[key], expected[key], atol=1e-6)


def test_it_is_read_and_written():
    (term,) = parse_regularizers("reconstruction(3, width=16)")
    assert str(term) == "reconstruction(weight=3, width=16, features=None)"
    assert str(Reconstruction()) == "reconstruction(weight=8, width=32, features=None)"
    text = "reconstruction(weight=1, width=2, features='efficientnet-lite0:128')"
    (term,) = parse_regularizers(text)
    assert term.features == "efficientnet-lite0:128"
    (again,) = parse_regularizers(str(term))
    assert again.get_config() == term.get_config()
    for wrong in ("0", "1.5", "true"):
        with pytest.raises(ValueError, match="Received: reconstruction width="):
            parse_regularizers(f"reconstruction(width={wrong})")


class Means:
    """Features of one's own: the mean colour, bent."""

    name = "means"

    def embed(self, images):
        return tf.math.exp(tf.reduce_mean(images, axis=(1, 2)))


def test_features_add_the_distance_of_their_directions(rng):
    networks = fastgan().generator, fastgan().discriminator
    terms = []
    for features in (None, Means()):
        term = Reconstruction(2.0, width=2, features=features)
        gan = GAN(*networks, regularizers=[term])
        stir(term)
        images, maps = examples(gan, np.random.default_rng(0))
        terms.append((term, term.discriminator_term(turn_of(gan, images, maps))))
    (pixels, without), (term, found) = terms
    assert str(term) == "reconstruction(weight=2, width=2, features=means)"
    corner = turn_corner(gan, term)
    pairs = [
        (decoded(decoder, hidden), wanted[:, :: wanted.shape[1] // 16, :: wanted.shape[1] // 16])
        for decoder, (hidden, wanted) in zip(
            pixels._decoders,
            (
                (maps["image"], images),
                (quarter(maps["part"], corner).numpy(), quarter(images, corner).numpy()),
                (maps["small"], images),
            ),
            strict=True,
        )
    ]
    expected = 0.0
    for ones in pairs:
        one, other = (np.exp(image.mean((1, 2))) for image in ones)
        one, other = (f / np.linalg.norm(f, axis=1, keepdims=True) for f in (one, other))
        expected = expected + 2.0 * ((one - other) ** 2).sum(1)
    np.testing.assert_allclose(found - without, expected, rtol=1e-3, atol=1e-5)


def turn_corner(gan, term):
    from tf_diffaug.random import integers

    return integers([2], draws(gan, 0, 3).stream(term.name, "part"), 0, 2) > 0


def test_a_run_loads_features_by_name():
    from tf_diffaug.runs.config import Config
    from tf_diffaug.runs.parts import make_gan as make_runs_gan
    from tf_diffaug.runs.recipe import settle
    from tf_diffaug.training import make_strategy

    text = "reconstruction(width=2, features='emoji-cnn')"
    recipe = settle(Config(model="fastgan", width=1, latent_dim=4, regularizers=text))
    facts = {"channels": 3, "label_counts": None, "num_images": 8}
    gan = make_runs_gan(recipe, make_strategy("one_device"), facts)
    (term,) = gan.regularizers
    images = tf.constant(striped_images(4), tf.float32) / 127.5 - 1
    extractor = term._extractor
    np.testing.assert_allclose(
        extractor.embed(images), extractor(striped_images(4)), rtol=1e-3, atol=1e-3
    )
    maps = gan.discriminator(images, return_features=True)["maps"]
    found = term.discriminator_term(turn_of(gan, images, maps))
    assert np.all((found > 0) & np.isfinite(found))
    with pytest.raises(ValueError, match="Did you mean 'emoji-cnn'"):
        settle(Config(model="fastgan", regularizers="reconstruction(features='emoji-cn')"))
    with pytest.raises(UserError, match=r"add --model=fastgan. Received: --model=sndcgan"):
        settle(Config(regularizers="reconstruction"))


class Steps(Means):
    name = "steps"

    def embed(self, images):
        return tf.stop_gradient(super().embed(images))


def test_features_it_cannot_use_are_named():
    with pytest.raises(ValueError, match="Received: reconstruction features=3"):
        Reconstruction(features=3)
    with pytest.raises(ValueError, match=r"give it itself.*Received: features='emoji-cnn'"):
        fastgan("reconstruction(features='emoji-cnn')")
    with pytest.raises(ValueError, match="features='steps', which has none"):
        fastgan([Reconstruction(features=Steps())])


class MapsOf8(keras.Model):
    """Of images of any size."""

    def call(self, images, training=False):
        del training
        maps = {name: tf.image.resize(images, (8, 8)) for name in ("image", "small")}
        maps["part"] = tf.image.resize(images, (16, 16))
        return {"logits": tf.reduce_mean(images, axis=(1, 2, 3)), "maps": maps}


@pytest.mark.parametrize("side", [32, 33, 64, 256, 320, 384, 400, 512])
def test_a_size_is_taken_where_the_image_and_its_quarter_thin_to_what_is_decoded(side):
    term = Reconstruction(width=1)
    facts = {"image_shape": (side, side, 3), "num_classes": None, "seed": 0}
    networks = SimpleNamespace(discriminator=MapsOf8(), **facts)
    if side in (33, 320, 384, 400):
        with pytest.raises(ValueError, match=f"Received: images of height {side}"):
            term.build(networks)
        return
    term.build(networks)
    target = min(side // 2, 128)
    images = tf.zeros([1, side, side, 1])
    for shown in (images, quarter(images, tf.constant([True, False]))):
        assert thinned(shown, target).shape == (1, target, target, 1)


def test_what_it_needs_is_named():
    with pytest.raises(ValueError, match=r"maps.*as FastGAN's does.*with maps none"):
        make_gan(regularizers="reconstruction")
    generator, discriminator = make_feature_networks()
    with pytest.raises(ValueError, match="with maps none"):
        GAN(generator, discriminator, regularizers="reconstruction")
    # Half of 8 px is the map's own side: there is nothing to double.
    with pytest.raises(ValueError, match=r"height 8 and width 8, and a map 'image' of shape"):
        GAN(make_generator(), mapping_discriminator(), regularizers="reconstruction")
