import collections
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    LATENT_DIM,
    SHAPE,
    descent,
    make_discriminator,
    make_generator,
    make_images,
    values,
)
from tests.networks import make_feature_gan as make_gan
from tf_diffaug._keras import ordered_variables, raw_variables
from tf_diffaug.models import SNDCGANDiscriminator, SNDCGANGenerator, freeze_blocks
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training import GAN
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import Update, momentum_contrast, parse_regularizers
from tf_diffaug.training.regularizers.momentum_contrast import Instances, info_nce
from tf_diffaug.training.views import Views

NAMES = ("insgen", "fakeclr")
SMALL = "queue=5, hidden=16, out=3"


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def expected_info_nce(queries, keys, negatives, temperature, margin=0.0):
    """By the formula, one query after the other, in float64."""
    losses = []
    for query, key in zip(unit(queries), np.asarray(keys, np.float64), strict=True):
        own = np.exp(query @ key / temperature)
        others = [np.exp((query @ n + margin) / temperature) for n in np.float64(negatives)]
        losses.append(-np.log(own / (own + sum(others))))
    return np.array(losses)


def make_turn(gan, batch_size=6):
    """An update on reals and fakes of the third of a run, for D or for G."""
    draws = Draws(0, tf.constant(3, tf.int64), batch_size, gan.augmenter)
    views = Views(
        tf.constant(make_images(batch_size) / np.float32(127.5) - 1.0),
        tf.cast(gan.generator(draws.latents(LATENT_DIM), training=True), tf.float32),
        augment_real=draws.augmentation("augment_real"),
        augment_fake=draws.augmentation("augment_fake"),
    )
    return Update(gan.networks, draws, views, {}, MODES["both"], tf.constant(0, tf.int64))


def judge(gan, turn, names):
    for name in names:
        outputs = gan.discriminator(turn.views[name], training=True)
        turn.outputs[name] = Outputs(outputs["logits"], outputs["features"])


def projected(variables, features):
    first, bias, second, last_bias = (v.numpy().astype(np.float64) for v in variables)
    return np.maximum(np.float64(features) @ first + bias, 0) @ second + last_bias


def test_info_nce_is_its_formula_and_its_gradient_the_finite_difference(rng):
    queries = rng.normal(size=(3, 4)).astype(np.float32)
    keys, negatives = (unit(rng.normal(size=(n, 4))).astype(np.float32) for n in (3, 5))
    for temperature, margin in ((0.2, 0.0), (0.2, 1.0), (1.0, -0.5)):
        given = keys, negatives, temperature, margin
        point = tf.Variable(queries)
        with tf.GradientTape() as tape:
            found = info_nce(point, *map(tf.constant, given[:2]), temperature, margin)
            total = tf.reduce_sum(found)
        np.testing.assert_allclose(found, expected_info_nce(queries, *given), rtol=1e-4)
        gradient = tape.gradient(total, point)
        for index in np.ndindex(3, 4):
            offset = np.zeros((3, 4))
            offset[index] = 1e-5
            up, down = (expected_info_nce(queries + s * offset, *given).sum() for s in (1, -1))
            np.testing.assert_allclose(gradient[index], (up - down) / 2e-5, rtol=1e-3, atol=1e-4)


def test_info_nce_is_finite_at_its_edges():
    same = tf.constant(unit(np.ones((2, 3))), tf.float32)
    np.testing.assert_allclose(info_nce(same, same, same, 0.2), np.log([3, 3]), rtol=1e-5)
    nothing = tf.Variable(tf.zeros([2, 3]))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(info_nce(nothing, same, same, 0.01))
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, nothing)).all()


@pytest.mark.parametrize("name", NAMES)
def test_both_terms_are_their_formulas(name):
    options = f"2, generator_weight=0.5, temperature=0.3, {SMALL}"
    gan = make_gan(policy="color", regularizers=f"{name}({options})", seed=2)
    (term,) = gan.regularizers
    weights = {"fake": 2.0}
    if name == "insgen":
        term.fake_weight = 3.0
        weights = {"real": 2.0, "fake": 3.0}
    # The slow ones are others than those that they follow, and stay where they are here.
    for variable in (*ordered_variables(term.slow), *term.instances["fake"].slow.variables):
        variable.assign(variable + 0.1)
    term.momentum = 1.0
    turn = make_turn(gan)
    names = term.discriminator_views(turn)
    assert sorted(names) == sorted(f"{kind}_aug" for kind in weights)
    queues = {kind: term.instances[kind].queue.numpy() for kind in weights}
    judge(gan, turn, names)
    found = term.discriminator_term(turn)

    expected = np.zeros(6)
    margin = 1.0 if name == "fakeclr" else 0.0
    for kind, weight in weights.items():
        own = term.instances[kind]
        features = turn.outputs[f"{kind}_aug"].features
        slow = term.slow(turn.views[f"{name}_{kind}"], training=False)["features"]
        queries = projected(own.head.variables, features)
        keys = unit(projected(own.slow.variables, slow))
        expected += weight * expected_info_nce(queries, keys, queues[kind], 0.3, margin)
        looks = [turn.views[view] for view in (kind, f"{kind}_aug", f"{name}_{kind}")]
        for one, other in itertools.combinations(looks, 2):
            assert np.abs(one - other).max() > 1e-3
        kept = keys
        if (name, kind) == ("insgen", "fake"):
            kept = unit(projected(own.slow.variables, features))
        # Of 6 the last 5 stay, in the places after the first's.
        np.testing.assert_allclose(own.queue.numpy(), kept[[5, 1, 2, 3, 4]], atol=1e-5)
        assert not np.allclose(own.queue.numpy(), queues[kind], atol=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found.dtype == tf.float32

    turn, queue = make_turn(gan), term.instances["fake"].queue.numpy()
    names = term.generator_views(turn)
    assert names == ("fake_aug",)
    judge(gan, turn, names)
    slow = term.slow(turn.views[f"{name}_fake"], training=False)["features"]
    own = term.instances["fake"]
    queries = projected(own.head.variables, turn.outputs["fake_aug"].features)
    keys = unit(projected(own.slow.variables, slow))
    expected = 0.5 * expected_info_nce(queries, keys, queue, 0.3, margin)
    np.testing.assert_allclose(term.generator_term(turn), expected, rtol=1e-4)
    np.testing.assert_array_equal(own.queue.numpy(), queue)
    # The two looks are two draws of T of one fake.
    looks = [turn.views[view] for view in ("fake", "fake_aug", f"{name}_fake")]
    for one, other in itertools.combinations(looks, 2):
        assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_ds_term_moves_d_and_the_heads_and_gs_moves_g(name):
    gan = make_gan(policy="color", regularizers=f"{name}({SMALL})")
    (term,) = gan.regularizers
    d = [raw_variables(gan.discriminator, trainable=True)[0], *term.trainable_variables]
    g = [v for v in raw_variables(gan.generator, trainable=True) if len(v.shape) > 1]
    slow = [v for each in term.instances.values() for v in each.slow.variables]
    slow += raw_variables(term.slow, trainable=True)
    assert len(term.trainable_variables) == 4 * len(term.kinds)
    turn = make_turn(gan)
    with tf.GradientTape() as tape:
        # With the fakes under D's tape too: what leads to G is cut.
        judge(gan, turn, term.discriminator_views(turn))
        total = tf.reduce_sum(term.discriminator_term(turn))
    found = tape.gradient(total, d + g + slow)
    assert all(np.abs(v).max() > 0 for v in found[: len(d)])
    assert all(v is None for v in found[len(d) :])
    with tf.GradientTape() as tape:
        turn = make_turn(gan)
        judge(gan, turn, term.generator_views(turn))
        total = tf.reduce_sum(term.generator_term(turn))
    found = tape.gradient(total, g + slow)
    assert all(np.abs(v).max() > 0 for v in found[: len(g)])
    assert all(v is None for v in found[len(g) :])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_moves_the_heads_and_the_average_alone_the_slow_ones(name):
    options = {"regularizers": f"{name}(momentum=0.75, {SMALL})", "loss": "non_saturating"}
    gan = make_gan(policy="color", optimizer=descent, **options)
    (term,) = gan.regularizers
    fast = [*ordered_variables(gan.discriminator), *term.trainable_variables]
    slow = [*ordered_variables(term.slow)]
    slow += [v for each in term.instances.values() for v in each.slow.variables]
    trained = {id(v) for v in raw_variables(gan.discriminator, trainable=True)}
    trained |= {id(v) for v in term.trainable_variables}
    steps = [[(f.numpy(), s.numpy()) for f, s in zip(fast, slow, strict=True)]]
    for _ in range(2):
        gan.train_step(tf.constant(make_images(8)))
        steps.append([(f.numpy(), s.numpy()) for f, s in zip(fast, slow, strict=True)])
    start, one, two = steps
    moved = 0
    for variable, (first, same), (then, still), (_, last) in zip(
        fast, start, one, two, strict=True
    ):
        np.testing.assert_array_equal(first, same)
        if id(variable) in trained:
            moved += np.any(first != then)
            np.testing.assert_allclose(still, first, atol=1e-7)
            np.testing.assert_allclose(last, 0.75 * first + 0.25 * then, atol=1e-6)
    assert moved == len(trained)


def test_a_queue_keeps_the_newest_in_the_places_of_the_oldest(rng):
    gan = make_gan()
    own = Instances(gan.networks, "test", "real", 4, hidden=2, out=3, length=6)
    np.testing.assert_allclose(np.linalg.norm(own.queue.numpy(), axis=1), np.ones(6), rtol=1e-5)
    expected = collections.deque(own.queue.numpy(), maxlen=6)
    for count in (4, 4, 6, 1, 8, 20, 3):
        keys = rng.normal(size=(count, 3)).astype(np.float32)
        own.enqueue(tf.constant(keys))
        expected.extend(keys)
        first = int(own._next.numpy())
        np.testing.assert_array_equal(np.roll(own.queue.numpy(), -first, axis=0), expected)


def test_the_steps_of_the_latents(rng):
    insgen, fakeclr = parse_regularizers("insgen(sigma=0.5), fakeclr(scale=0.2)")
    latents, noise = 3 * rng.normal(size=(2, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(insgen.step(latents, noise), 0.5 * noise, rtol=1e-6)
    expected = 0.2 * np.minimum(np.abs(latents), 3) * noise
    np.testing.assert_allclose(fakeclr.step(latents, noise), expected, rtol=1e-5)
    assert np.abs(latents).max() > 3


@pytest.mark.parametrize("text", ["insgen(sigma=1e-7, queue=4)", "fakeclr(scale=1e-7, queue=4)"])
def test_moved_fakes_have_the_labels_of_their_fakes(text, monkeypatch):
    apart, nearby = [], momentum_contrast.fakes_nearby

    def watched(update, *arguments):
        images = nearby(update, *arguments)
        apart.append(np.abs(images - update.views["fake"]).max())
        return images

    monkeypatch.setattr(momentum_contrast, "fakes_nearby", watched)
    gan = make_gan(conditional=True, policy="color", regularizers=text, loss="relativistic")
    labels = tf.constant(np.arange(16) % 3, tf.int32)
    gan.train_step((tf.constant(make_images(16)), labels))
    assert len(apart) == 1
    assert apart[0] < 1e-5


@pytest.mark.parametrize(("name", "keys"), [("insgen", 3), ("fakeclr", 2)])
def test_d_judges_no_more_views_and_the_slow_d_what_keys_there_are(name, keys):
    gan = make_gan(policy="color", regularizers=f"{name}({SMALL})")
    assert gan.augment == "both"
    passes = {"d": [], "slow": []}
    networks = {"d": gan.discriminator, "slow": gan.regularizers[0].slow}
    for key, network in networks.items():

        def counted(inputs, *args, key=key, call=network.call, **kwargs):
            passes[key].append(inputs.shape[0])
            return call(inputs, *args, **kwargs)

        network.call = counted
    logs = gan.train_step(tf.constant(make_images(8)))
    assert passes == {"d": [16, 8], "slow": [8] * keys}
    assert {"d_loss", name, "g_loss", f"g_{name}"} == set(logs)


def test_without_its_weight_g_has_no_term():
    gan = make_gan(policy="color", regularizers=f"insgen(generator_weight=0, {SMALL})")
    logs = gan.train_step(tf.constant(make_images(8)))
    assert "insgen" in logs
    assert "g_insgen" not in logs


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_terms_fall_when_they_are_asked_for(name):
    runs = {}
    for weight in (0.0, 1.0):
        options = f"{weight}, generator_weight={10 * weight}, momentum=0.9, queue=32"
        options += f", fake_weight={weight}" if name == "insgen" else ""
        gan = make_gan(policy="color", regularizers=f"{name}({options})", seed=1)
        gan.fit(make_images(64), batch_size=16, epochs=15, verbose=0)
        (term,) = gan.regularizers
        term.weight = term.generator_weight = term.fake_weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        logs = gan.train_step(tf.constant(make_images(64)))
        runs[weight] = {key: float(logs[key]) for key in (name, f"g_{name}")}
    for key in (name, f"g_{name}"):
        assert runs[1.0][key] < 0.8 * runs[0.0][key], runs


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_from_its_checkpoint(name, tmp_path):
    def make():
        return make_gan(policy="color", regularizers=f"{name}({SMALL})", optimizer=descent)

    whole, again = make(), make()
    images = make_images(8)
    whole.fit(images, batch_size=4, epochs=2, shuffle=False, verbose=0)
    CheckpointStore(whole, tmp_path).save()
    for variable in again.state()["regularizers"]:
        variable.assign(tf.ones_like(variable))
    CheckpointStore(again, tmp_path).restore()
    for gan in (whole, again):
        gan.fit(images, batch_size=4, epochs=2, shuffle=False, verbose=0)
    ends = values(whole), values(again)
    for group in ends[0]:
        for a, b in zip(*(end[group] for end in ends), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6, err_msg=group)


def test_a_d_with_frozen_blocks_has_its_own_copy():
    generator = SNDCGANGenerator(16, 3, 2, latent_dim=LATENT_DIM, seed=0)
    discriminator = SNDCGANDiscriminator(16, 3, 2, seed=1)
    freeze_blocks(discriminator, 2)
    options = {"policy": "color", "regularizers": "fakeclr(queue=4, momentum=0)"}
    gan = GAN(generator, discriminator, **options)
    gan.compile(descent(), descent())
    slow, images = gan.regularizers[0].slow, tf.constant(np.zeros((2, 16, 16, 3), np.float32)) + 0.3
    for _ in range(2):
        found, expected = (
            network(images, training=False, return_features=True)["features"]
            for network in (slow, discriminator)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        gan.train_step(tf.constant(np.zeros((4, 16, 16, 3), np.uint8)))
        # With no momentum the copy is D before its last update: once more, without one.
        turn = make_turn_of(gan)
        gan.regularizers[0].discriminator_views(turn)


def make_turn_of(gan):
    draws = Draws(0, tf.constant(3, tf.int64), 2, gan.augmenter)
    fakes = tf.zeros([2, *gan.image_shape])
    views = Views(fakes, fakes, augment_real=None, augment_fake=None)
    return Update(gan.networks, draws, views, {}, MODES["both"], tf.constant(0, tf.int64))


def test_the_length_of_the_queue():
    def length(text, **options):
        gan = make_gan(policy="color", regularizers=text, **options)
        return [each.queue.shape[0] for each in gan.regularizers[0].instances.values()]

    assert length("insgen", num_images=250) == [12, 12]
    assert length("fakeclr", num_images=10) == [1]
    assert length("fakeclr(queue=0.5)", num_images=10) == [5]
    assert length("fakeclr(queue=7)", num_images=10) == [7]
    with pytest.raises(ValueError, match=r"GAN\(num_images=...\).*Received: insgen queue=0.05"):
        make_gan(policy="color", regularizers="insgen")


def test_they_are_read_and_written():
    for name in NAMES:
        (term,) = parse_regularizers(f"{name}(3, queue=20, hidden=None)")
        assert str(parse_regularizers(str(term))[0]) == str(term)
        assert term.get_config()["queue"] == 20
        wrong = ["queue=0", "queue=1.5", "queue=x", "momentum=1", "momentum=x", "temperature=0"]
        wrong += ["generator_weight=-1", "hidden=0", "out=0", "out=None"]
        wrong += {
            "insgen": ["fake_weight=-1", "sigma=0"],
            "fakeclr": ["scale=0", "margin=x"],
        }[name]
        for option in wrong:
            with pytest.raises(ValueError, match=f"Received: {name}"):
                parse_regularizers(f"{name}({option})")


class Unclonable(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, images, training=False):
        features = self.dense(tf.reshape(images, [-1, int(np.prod(SHAPE))]))
        return {"logits": tf.reduce_sum(features, axis=1, keepdims=True), "features": features}

    def get_config(self):
        return {"unit": 3}


def test_they_say_what_they_need():
    options = {"policy": "color", "regularizers": "insgen(queue=4)"}
    with pytest.raises(ValueError, match="insgen needs a discriminator"):
        GAN(make_generator(), make_discriminator(), **options)
    with pytest.raises(ValueError, match=r"or leave out insgen\. Received: Unclonable"):
        GAN(make_generator(), Unclonable(3), **options)
    with pytest.raises(ValueError, match="give a policy"):
        make_gan(regularizers="fakeclr(queue=4)")
