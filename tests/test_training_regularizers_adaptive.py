from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import SHAPE, descent, make_conditional_gan, make_gan, make_images, values
from tf_diffaug.images import to_float
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import ADA, APA, Diffusion, parse_regularizers

POLICY = "color,cutout"
NOISE = "color,diffusion_noise"


def turn(logits, dtype=tf.float32):
    outputs = {"real_aug": Outputs(tf.constant(logits, dtype))}
    return SimpleNamespace(outputs=outputs, mode=MODES["both"])


def set_p(gan, p, term=None):
    (term or gan.regularizers[0]).variables[0].assign([p, 0.0, 0.0])


@pytest.mark.parametrize("kind", [ADA, APA, Diffusion])
def test_p_is_its_restatement_update_by_update(kind):
    term = kind(0.3, every=3, kimg=0.1, limit=0.4)
    term.build(SimpleNamespace(augment="both"))
    rng = np.random.default_rng(0)
    p, signs, seen = 0.0, [], []
    for update in range(60):
        # D learns the images by heart, then forgets them.
        logits = rng.normal(2.0 if 9 <= update < 39 else -0.3, 1.0, (10, 1))
        assert term.discriminator_term(turn(logits)) is None
        signs.extend(np.sign(logits))
        if update % 3 == 2:
            p += np.sign(np.mean(signs) - 0.3) * 30 / 100
            p, signs = min(max(p, 0.0), 0.4), []
        np.testing.assert_allclose(term.gauges()[f"{term.name}_p"], p, atol=1e-6)
        seen.append(round(p, 6))
    assert set(seen) == {0.0, 0.1, 0.3, 0.4}  # down from the limit; both bounds hold
    assert seen[8] == seen[-1] == 0


def test_the_sign_is_of_an_image_not_of_a_patch_and_taken_in_float32():
    term = ADA(0.0, every=1, kimg=0.01)
    term.build(SimpleNamespace(augment="both"))
    # Two images in three are called real, by the mean of their patches: r_t is above 0.
    logits = [[[3.0, -1.0]], [[3.0, -1.0]], [[-3.0, 1.0]]]
    term.discriminator_term(turn(logits, tf.bfloat16))
    np.testing.assert_allclose(term.variables[0], [0.3, 0, 0])


def step_of(gan, seed=1):
    gan.train_step(tf.constant(make_images(8, seed)))
    return values(gan, "generator", "discriminator")


def test_plain_images_at_0_and_diffaugment_at_1():
    for p, options in ((0.0, {}), (1.0, {"policy": POLICY})):
        gan = make_gan(policy=POLICY, regularizers="ada(limit=1)", optimizer=descent)
        assert gan.augment == "both"
        set_p(gan, p)
        found, expected = step_of(gan), step_of(make_gan(**options, optimizer=descent))
        for group in expected:
            for a, b in zip(expected[group], found[group], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_the_noise_is_that_of_a_part_of_its_strength(p):
    def make(policy, **options):
        # What the regularizers make of the run's policy follows p too; a policy of their own not.
        terms = "bcr,cr(policy='diffusion_noise')"
        options = {**options, "regularizers": terms + options.get("regularizers", "")}
        return make_gan(policy=policy, augment="both", optimizer=descent, **options)

    gan = make("color,diffusion_noise:0.8", regularizers=",diffusion")
    set_p(gan, p, gan.regularizers[-1])
    twin = make(f"color,diffusion_noise:{0.8 * p}")
    found, expected = step_of(gan), step_of(twin)
    for group in expected:
        for a, b in zip(expected[group], found[group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    images, step = to_float(tf.constant(make_images(16))), tf.constant(3, tf.int64)
    set_p(gan, p, gan.regularizers[-1])  # it has moved meanwhile
    ones, others = (one.measure(images, step=step) for one in (gan, twin))
    for name, value in others.items():
        np.testing.assert_allclose(ones[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_at_0_pseudo_reals_are_the_reals():
    gan = make_gan(regularizers="apa", optimizer=descent)
    found, expected = step_of(gan), step_of(make_gan(optimizer=descent))
    for group in expected:
        for a, b in zip(expected[group], found[group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("p", [0.25, 1.0])
def test_pseudo_reals_are_fakes_with_probability_p_and_bring_their_labels(p):
    count = 2000
    term = APA(limit=1)
    term.build(None)
    term.variables[0].assign([p, 0.0, 0.0])
    reals = tf.random.stateless_uniform([count, 2, 2, 1], [1, 2]), tf.zeros([count], tf.int32)
    fakes = tf.random.stateless_uniform([count, 2, 2, 1], [3, 4]), tf.ones([count], tf.int32)
    draws = [Draws(0, tf.constant(t, tf.int64), count, None) for t in (5, 5, 6)]
    shown, again, other = (term.exchange_reals(None, d, reals, fakes) for d in draws)
    taken = shown[1].numpy() == 1
    expected = np.where(taken[:, None, None, None], fakes[0], reals[0])
    np.testing.assert_array_equal(shown[0], expected)
    np.testing.assert_array_equal(shown[0], again[0])
    assert taken.mean() == pytest.approx(p, abs=0.04)
    assert p == 1 or np.any(shown[1] != other[1])
    unlabelled = term.exchange_reals(None, draws[0], (reals[0], None), (fakes[0], None))
    np.testing.assert_array_equal(unlabelled[0], expected)
    assert unlabelled[1] is None


@pytest.mark.parametrize(
    ("regularizers", "policy"),
    [("ada(kimg=0.5)", POLICY), ("apa(kimg=0.5)", None), ("diffusion(kimg=0.5)", NOISE)],
)
def test_p_rises_where_d_learns_its_images_by_heart(regularizers, policy):
    # A G that stands still is no match for D.
    gan = make_gan(policy=policy, regularizers=regularizers, loss="non_saturating")
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.Adam(5e-3))
    (term,) = gan.regularizers
    images = np.repeat(make_images(8), 10, axis=0)
    history = gan.fit(images, batch_size=8, epochs=5, verbose=0).history
    # Not to the end: p is what keeps D from it.
    assert max(history[f"{term.name}_p"]) > 0.1, history
    assert term.name not in history


def test_p_stays_0_where_d_takes_reals_for_fakes():
    gan = make_gan(policy=POLICY, regularizers="ada(kimg=0.5),apa(kimg=0.5)")
    gan.compile(descent(), keras.optimizers.SGD(0.0))
    gan.discriminator.trainable_variables[-1].assign([-50.0])
    history = gan.fit(make_images(64), batch_size=8, epochs=2, verbose=0).history
    assert history["ada_p"] == history["apa_p"] == [0.0, 0.0]


def test_measuring_sees_t_as_the_losses_do():
    gan = make_gan(policy="color", regularizers="ada(limit=1)")
    greys = np.linspace(100, 150, 16, dtype=np.uint8)[:, None, None, None]
    images = to_float(tf.constant(np.broadcast_to(greys, (16, *SHAPE))))
    # With its median for a threshold D calls half of them real, until they are augmented.
    logits = gan.discriminator(images, training=False).numpy()
    gan.discriminator.trainable_variables[-1].assign([-np.median(logits)])
    for p in (0.0, 1.0):
        set_p(gan, p)
        r_t = [float(gan.measure(images, step=tf.constant(k, tf.int64))["r_t"]) for k in range(3)]
        assert (r_t == [0, 0, 0]) == (p == 0)


@pytest.mark.parametrize("name", ["ada", "diffusion"])
def test_a_resumed_run_has_its_p_and_its_counts(tmp_path, name):
    def make():
        regularizers = f"{name}(0, every=2, kimg=0.2),apa(0, every=2, kimg=0.1)"
        gan = make_gan(policy=NOISE, regularizers=regularizers, optimizer=descent)
        gan.discriminator.trainable_variables[-1].assign([5.0])
        return gan

    def train(gan, steps):
        for step in steps:
            gan.train_step(tf.constant(make_images(8, step)))
        return [term.variables[0].numpy() for term in gan.regularizers]

    first, second, whole = make(), make(), make()
    saved = train(first, range(3))
    assert np.all(np.stack(saved) > 0)  # in the middle of a count
    CheckpointStore(first, tmp_path).save()
    assert CheckpointStore(second, tmp_path).restore() == 3
    np.testing.assert_array_equal([term.variables[0] for term in second.regularizers], saved)
    ends = train(second, range(3, 6))
    np.testing.assert_array_equal(ends, train(whole, range(6)))
    assert np.all(np.stack(ends)[:, 0] > np.stack(saved)[:, 0])


def test_two_replicas_have_one_p_and_end_where_one_does(two_replicas):
    ends, ps = [], []
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        with strategy.scope():
            gan = make_conditional_gan(
                policy=POLICY,
                regularizers="ada(0, kimg=0.1),apa(0.1, every=3, kimg=0.1)",
                optimizer=descent,
                loss="non_saturating",
            )
        examples = make_images(64), np.arange(64) % 3
        dataset = tf.data.Dataset.from_tensor_slices(examples).repeat().batch(8)
        history = gan.fit(dataset, steps_per_epoch=5, epochs=6, verbose=0).history
        ps.append([history["ada_p"], history["apa_p"]])
        ends.append(values(gan))
    np.testing.assert_array_equal(*ps)
    assert np.ptp(ps[0], axis=1).min() > 0
    for group, expected in ends[0].items():
        for a, b in zip(expected, ends[1][group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5, err_msg=group)


def test_ada_needs_losses_that_see_augmented_images():
    for options in ({}, {"policy": POLICY, "augment": "none", "regularizers": "ada,bcr:10"}):
        with pytest.raises(ValueError, match=r"applies it there.* Received: policy="):
            make_gan(**{"regularizers": "ada", **options})
    assert make_gan(policy=POLICY, augment="reals", regularizers="ada").augment == "reals"
    assert make_gan(regularizers="apa").augment == "none"


def test_diffusion_needs_its_op_and_goes_without_ada():
    for policy in (None, POLICY):
        with pytest.raises(ValueError, match=r"how far diffusion_noise goes.* Received: policy="):
            make_gan(policy=policy, regularizers="diffusion")
    with pytest.raises(ValueError, match="diffusion cannot be combined with ada"):
        make_gan(policy=NOISE, regularizers="ada,diffusion")
    assert make_gan(policy=NOISE, regularizers="diffusion").augment == "both"


def test_they_are_read_and_written():
    ada, apa = parse_regularizers("ada:0.5,apa(kimg=100)")
    diffusion = "diffusion(target=0.6, every=4, kimg=100, limit=1)"
    assert str(parse_regularizers("diffusion")[0]) == diffusion
    assert str(ada) == "ada(target=0.5, every=4, kimg=500, limit=0.85)"
    assert str(apa) == "apa(target=0.6, every=4, kimg=100, limit=0.85)"
    assert str(parse_regularizers(str(ada))[0]) == str(ada)
    for wrong in ("target=2", "target=x", "every=0", "kimg=0", "limit=1.5", "limit=True"):
        for name in ("ada", "apa", "diffusion"):
            with pytest.raises(ValueError, match=f"Received: {name} {wrong.split('=')[0]}="):
                parse_regularizers(f"{name}({wrong})")
