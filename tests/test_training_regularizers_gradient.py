"""DRAGAN, the Jensen-Shannon regularizer and adversarial defence, by finite differences of D."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import SHAPE, make_discriminator, make_generator, make_images
from tf_diffaug.images import to_float
from tf_diffaug.training import GAN
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import (
    DRAGAN,
    AdversarialDefence,
    JensenShannon,
    Update,
    parse_regularizers,
)
from tf_diffaug.training.views import Views, discriminate

# What is called here is called as within a step.
pytestmark = pytest.mark.usefixtures("held_norms")

NAMES = ("dragan", "js", "adversarial_defence")


def with_features(*, smooth=False, normalized=True):
    """A D that gives its last hidden representation too."""
    *layers, last = make_discriminator(smooth=smooth).layers
    if not normalized:
        initializer = keras.initializers.RandomNormal(stddev=0.2, seed=0)
        options = {"strides": 2, "padding": "same", "kernel_initializer": initializer}
        layers[0] = keras.layers.Conv2D(8, 4, **options)
    images = keras.Input(SHAPE)
    features = keras.Sequential([keras.Input(SHAPE), *layers])(images)
    return keras.Model(images, {"logits": last(features), "features": features})


def make_gan(regularizers, *, optimizer=None, smooth=False, normalized=True, **options):
    discriminator = with_features(smooth=smooth, normalized=normalized)
    gan = GAN(make_generator(), discriminator, regularizers=regularizers, **options)
    make = optimizer or (lambda: keras.optimizers.Adam(0.01, beta_1=0.5))
    gan.compile(make(), make())
    return gan


def make_turn(mode="none", index=0, d_steps=1, smooth=True):
    """A turn of three images of each kind; the augmentation negates them."""
    images = to_float(tf.constant(make_images(6)))
    views = Views(images[:3], images[3:], augment_real=tf.negative, augment_fake=tf.negative)
    discriminator = with_features(smooth=smooth)
    names = MODES[mode][:2]
    outputs = discriminate(discriminator, views, names, joint=True, features=True)
    draws = Draws(0, tf.constant(0, tf.int64), 3, None)
    gan = SimpleNamespace(discriminator=discriminator, d_steps=d_steps)
    return Update(gan, draws, views, outputs, MODES[mode], tf.cast(index, tf.int64))


def judge(turn, images):
    found = call_discriminator(turn.networks.discriminator, tf.constant(images), features=True)
    return found.logits[:, 0].numpy().astype(np.float64), found.features.numpy().astype(np.float64)


def slopes(turn, images, epsilon=1e-2):
    """∇D by central differences, every coordinate of every image in one call."""
    size = images[0].size
    offsets = epsilon * np.eye(size, dtype=np.float32).reshape(1, size, *images.shape[1:])
    ends = []
    for sign in (1, -1):
        moved = images[:, None] + sign * offsets
        ends.append(judge(turn, moved.reshape(-1, *images.shape[1:]).astype(np.float32))[0])
    return ((ends[0] - ends[1]) / (2 * epsilon)).reshape(images.shape)


def sums(numbers):
    return numbers.reshape(len(numbers), -1).sum(axis=1)


@pytest.mark.parametrize("mode", ["none", "both"])
def test_dragan_is_its_finite_difference(mode):
    turn = make_turn(mode)
    noise = turn.draws.uniform(SHAPE, "dragan", "noise").numpy()
    share = turn.draws.uniform((1, 1, 1), "dragan", "share").numpy()
    assert noise.min() >= 0
    assert noise.std() > 0.2
    assert len(np.unique(share)) == 3
    reals = turn.views["real"].numpy() * (1 if mode == "none" else -1)
    around = reals + share * 0.25 * reals.astype(np.float64).std() * noise
    lengths = np.sqrt(sums(slopes(turn, around.astype(np.float32)) ** 2))
    found = DRAGAN(3.0, scale=0.25).discriminator_term(turn)
    np.testing.assert_allclose(found, 3 * (lengths - 1) ** 2, rtol=5e-3)


@pytest.mark.parametrize("mode", ["none", "d_only"])
def test_js_is_its_finite_difference(mode):
    turn = make_turn(mode)
    expected = np.zeros(3)
    for kind, sign in (("real", -1), ("fake", 1)):
        images = turn.views[kind].numpy() * (1 if mode == "none" else -1)
        share = 1 / (1 + np.exp(-sign * judge(turn, images)[0]))
        expected += share**2 * sums(slopes(turn, images) ** 2)
    found = JensenShannon(3.0).discriminator_term(turn)
    np.testing.assert_allclose(found, 1.5 * expected, rtol=5e-3)


def test_js_is_annealed_by_g_steps():
    plain = JensenShannon(3.0).discriminator_term(make_turn())
    annealed = JensenShannon(3.0, anneal=4, decay=0.01)
    for index, factor in ((0, 1.0), (1, 1.0), (4, 0.1), (8, 0.01)):
        found = annealed.discriminator_term(make_turn(index=index, d_steps=2))
        np.testing.assert_allclose(found, factor * plain, rtol=1e-5)


@pytest.mark.parametrize(("mode", "steps"), [("none", 1), ("both", 2)])
def test_adversarial_defence_follows_the_finite_difference(mode, steps):
    turn, epsilon = make_turn(mode), 0.5
    expected = np.zeros(3)
    for kind, sign in (("real", -1), ("fake", 1)):
        images = attacked = turn.views[kind].numpy() * (1 if mode == "none" else -1)
        for _ in range(steps):
            gradient = slopes(turn, attacked)
            length = np.sqrt(sums(gradient**2))[:, None, None, None]
            attacked = attacked + (sign * epsilon / steps * gradient / length).astype(np.float32)
        logits = [judge(turn, batch)[0] for batch in (images, attacked)]
        assert np.all(sign * (logits[1] - logits[0]) > 0)
        features = [judge(turn, batch)[1] for batch in (images, attacked)]
        expected += np.sqrt(sums((features[1] - features[0]) ** 2))
    term = AdversarialDefence(3.0, epsilon=epsilon, steps=steps)
    np.testing.assert_allclose(term.discriminator_term(turn), 3 * expected, rtol=5e-3)


def test_a_small_attack_changes_the_features_in_proportion():
    turn = make_turn()
    changes = [
        AdversarialDefence(1.0, epsilon=e).discriminator_term(turn).numpy() / e
        for e in (1e-4, 1e-2)  # the first is the default
    ]
    np.testing.assert_allclose(changes[0], changes[1], rtol=0.05)


@pytest.mark.parametrize("term", [DRAGAN(1.0), JensenShannon(1.0), AdversarialDefence(1.0, 0.1)])
def test_the_gradient_of_the_weights_is_its_finite_difference(term):
    turn = make_turn()
    weight = max(turn.networks.discriminator.trainable_variables, key=lambda v: len(v.shape))
    attack = term.name == "adversarial_defence"
    images, kinds = dict(turn.views._images), ("real", "fake")
    if attack:  # its own images are held fixed, so that they must not follow the weight
        fixed = {}
        for kind, sign in (("real", -1), ("fake", 1)):
            gradient = slopes(turn, images[kind].numpy())
            length = np.sqrt(sums(gradient**2))[:, None, None, None]
            step = (sign * 0.1 * gradient / length).astype(np.float32)
            fixed[kind] = images[kind].numpy() + step

    def value():
        fresh = discriminate(
            turn.networks.discriminator, turn.views, kinds, joint=True, features=True
        )
        turn.outputs.update(fresh)
        return tf.reduce_sum(term.discriminator_term(turn))

    def restated():
        if not attack:
            return float(value())
        ends = [judge(turn, batch[kind])[1] for kind in kinds for batch in (fixed, images)]
        changes = [ends[0] - ends[1], ends[2] - ends[3]]
        return sum(np.sqrt(sums(change**2)).sum() for change in changes)

    with tf.GradientTape() as tape:
        total = value()
    gradient = np.asarray(tape.gradient(total, weight))
    direction = np.random.default_rng(0).normal(size=weight.shape).astype(np.float32)
    start, epsilon, ends = weight.numpy(), 2e-3, []
    for sign in (1, -1):
        weight.assign(start + sign * epsilon * direction)
        ends.append(restated())
    slope = (ends[0] - ends[1]) / (2 * epsilon)
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_they_move_d_alone(name):
    ends = []
    for weight in (0.0, 10.0):
        gan = make_gan(f"{name}:{weight}", seed=1)
        with tf.GradientTape() as tape:
            turn = real_turn(gan)
            total = tf.reduce_sum(gan.regularizers[0].discriminator_term(turn))
        variables = [*gan.generator.trainable_variables, *gan.discriminator.trainable_variables]
        found = tape.gradient(total, variables)
        count = len(gan.generator.trainable_variables)
        assert all(gradient is None for gradient in found[:count])
        ends.append(max(np.abs(g).max() for g in found[count:] if g is not None))
    assert ends[0] == 0 < ends[1]


def real_turn(gan):
    images = to_float(tf.constant(make_images(4)))
    fakes = gan.generator(tf.random.stateless_normal([4, gan.latent_dim], [1, 2]))
    views = Views(images, tf.stop_gradient(fakes), augment_real=None, augment_fake=None)
    draws = Draws(0, tf.constant(0, tf.int64), 4, None)
    outputs = discriminate(gan.discriminator, views, ["real", "fake"], joint=True, features=True)
    return Update(gan, draws, views, outputs, MODES["none"], tf.constant(0, tf.int64))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["dragan(%s)", "js(%s)", "adversarial_defence(%s, epsilon=0.1)"])
def test_they_fall_when_they_are_asked_for(text):
    ends = {}
    for weight in (0.001, 100.0):
        gan = make_gan(text % weight, loss="non_saturating", normalized=False, seed=1)
        kernel = next(v for v in gan.discriminator.trainable_variables if v.shape[-1] == 1)
        # Its slope is about 1 as it is made, which is where DRAGAN wants it.
        kernel.assign(3.0 * tf.convert_to_tensor(kernel))
        history = gan.fit(make_images(64), batch_size=8, epochs=8, verbose=0).history
        ends[weight] = history[gan.regularizers[0].name][-1] / weight
    assert ends[100.0] < ends[0.001] / 2, ends


def test_adversarial_defence_says_what_it_cannot_do():
    with pytest.raises(ValueError, match="`features`"):
        GAN(make_generator(), make_discriminator(), regularizers="adversarial_defence")
    discriminator = with_features()
    gan = SimpleNamespace(discriminator=discriminator, num_classes=None, image_shape=SHAPE, seed=0)
    AdversarialDefence().build(gan)
    for dtype in ("bfloat16", "float16"):
        gan.discriminator = _Coarse(discriminator, dtype)
        with pytest.raises(ValueError, match=f"In {dtype}.*epsilon=0.0001"):
            AdversarialDefence().build(gan)
        AdversarialDefence(epsilon=0.1).build(gan)


class _Coarse:
    def __init__(self, network, compute_dtype):
        self.call, self.compute_dtype, self.name = network.call, compute_dtype, "coarse"

    def __call__(self, images, training):
        return self.call(images, training=training)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("dragan", "dragan(weight=10.0, scale=0.5)"),
        ("js(1, anneal=100)", "js(weight=1.0, anneal=100, decay=0.01)"),
        (
            "adversarial_defence(8, epsilon=0.1, steps=2)",
            "adversarial_defence(weight=8.0, epsilon=0.1, steps=2)",
        ),
    ],
)
def test_they_are_read_and_written(text, written):
    (term,) = parse_regularizers(text)
    (expected,) = parse_regularizers(written)
    assert str(term) == str(expected)
    assert term.get_config() == expected.get_config()


@pytest.mark.parametrize(
    "text",
    [
        "dragan(scale=-1)",
        "dragan(scale=x)",
        "js(anneal=-1)",
        "js(anneal=0.5)",
        "js(decay=0)",
        "js(decay=2)",
        "adversarial_defence(epsilon=0)",
        "adversarial_defence(epsilon=x)",
        "adversarial_defence(steps=0)",
        "adversarial_defence(steps=1.5)",
    ],
)
def test_mistakes_are_named(text):
    with pytest.raises(ValueError, match=f"Received: {text.partition('(')[0]} "):
        parse_regularizers(text)
