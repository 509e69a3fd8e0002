from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_discriminator, make_generator, make_images, mixed_precision, values
from tests.networks import make_feature_gan as make_gan
from tf_diffaug._keras import raw_variables
from tf_diffaug.training import GAN
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.regularizers import Cntr, parse_regularizers
from tf_diffaug.training.regularizers.contrastive import nt_xent

NAMES = ("real_aug", "cntr_real_2", "fake_aug", "cntr_fake_2")


def expected_nt_xent(ones, others, temperature):
    """By the formula, one pair of images after the other, in float64."""
    h = np.concatenate([ones, others]).astype(np.float64)
    n = len(ones)
    losses = np.zeros(2 * n)
    for i in range(2 * n):
        cosine = [h[i] @ v / np.linalg.norm(h[i]) / np.linalg.norm(v) for v in h]
        exps = np.exp(np.array(cosine) / temperature)
        losses[i] = -np.log(exps[(i + n) % (2 * n)] / (exps.sum() - exps[i]))
    return (losses[:n] + losses[n:]) / 2


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5])
def test_nt_xent_is_its_formula(temperature, rng):
    ones = rng.normal(size=(5, 7)).astype(np.float32)
    others = (ones + 0.5 * rng.normal(size=(5, 7))).astype(np.float32)
    found = nt_xent(tf.constant(ones), tf.constant(others), temperature)
    expected = expected_nt_xent(ones, others, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_nt_xent_is_finite_at_its_edges(rng):
    same = tf.ones([4, 3])
    np.testing.assert_allclose(nt_xent(same, same, 0.1), np.full(4, np.log(7)), rtol=1e-5)
    alone = rng.normal(size=(2, 1, 3)).astype(np.float32)
    np.testing.assert_allclose(nt_xent(*alone, 0.1), [0.0], atol=1e-6)  # it has no negatives
    nothing = tf.Variable(tf.zeros([4, 3]))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(nt_xent(nothing, same, 0.01))
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, nothing)).all()


def test_the_gradient_of_nt_xent_is_its_finite_difference(rng):
    ones, others = rng.normal(size=(2, 3, 4)).astype(np.float32)
    point = tf.Variable(ones)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(nt_xent(point, others, 0.3))
    gradient = tape.gradient(total, point)
    for index in np.ndindex(3, 4):
        offset = np.zeros((3, 4))
        offset[index] = 1e-5
        up, down = (expected_nt_xent(ones + s * offset, others, 0.3).sum() for s in (1, -1))
        np.testing.assert_allclose(gradient[index], (up - down) / 2e-5, rtol=1e-3, atol=1e-4)


def test_cntr_is_its_formula(rng):
    gan = make_gan(policy="color", regularizers="cntr(0.3, temperature=0.2, hidden=32, out=3)")
    (term,) = gan.regularizers
    features = {name: rng.normal(size=(6, 128)).astype(np.float32) for name in NAMES}
    outputs = {name: Outputs(None, tf.constant(v)) for name, v in features.items()}
    found = term.discriminator_term(SimpleNamespace(seen=0, outputs=outputs))
    first, bias, second = (v.numpy().astype(np.float64) for v in term.variables)
    assert (first.shape, bias.shape, second.shape) == ((128, 32), (32,), (32, 3))
    heads = {name: np.maximum(v @ first + bias, 0) @ second for name, v in features.items()}
    real = expected_nt_xent(heads["real_aug"], heads["cntr_real_2"], 0.2)
    fake = expected_nt_xent(heads["fake_aug"], heads["cntr_fake_2"], 0.2)
    np.testing.assert_allclose(found, 0.3 * (real + fake), rtol=1e-4)


def test_it_trains_the_head_and_d_and_leaves_g(rng):
    gan = make_gan(policy="color", regularizers="cntr:1000", loss="hinge")
    (term,) = gan.regularizers
    images = tf.constant(rng.uniform(-1, 1, (6, 8, 8, 3)).astype(np.float32))
    latents = tf.constant(rng.normal(size=(6, 4)).astype(np.float32))
    with tf.GradientTape() as tape:
        fakes = gan.generator(latents, training=True)
        seen = {name: images if "real" in name else tf.stop_gradient(fakes) for name in NAMES}
        seen = {n: tf.reverse(view, [2]) if "2" in n else view for n, view in seen.items()}
        outputs = {n: Outputs(None, gan.discriminator(v)["features"]) for n, v in seen.items()}
        total = tf.reduce_sum(term.discriminator_term(SimpleNamespace(seen=0, outputs=outputs)))
    convolution = raw_variables(gan.discriminator, trainable=True)[0]
    trained = [convolution, *term.variables]
    gradients = tape.gradient(total, trained + raw_variables(gan.generator, trainable=True))
    assert all(np.abs(g).max() > 0 for g in gradients[: len(trained)])
    assert all(g is None for g in gradients[len(trained) :])


def test_a_step_moves_the_head_and_d():
    ends = []
    for weight in (0.0, 100.0):
        gan = make_gan(policy="color", regularizers=f"cntr:{weight}", seed=3)
        before = values(gan, "regularizers")["regularizers"]
        gan.train_step(tf.constant(make_images(8)))
        ends.append(values(gan))
        assert len(before) == 3
        for old, new in zip(before, ends[-1]["regularizers"], strict=True):
            assert np.any(old != new) == (weight > 0)
    changed = zip(ends[0]["discriminator"], ends[1]["discriminator"], strict=True)
    assert any(np.any(a != b) for a, b in changed)


@pytest.mark.parametrize(
    ("regularizers", "views"),
    [
        ("none", 2),
        ("cntr:0.1", 6),
        ("cntr:0.1,bcr:5", 6),
        ("cntr(0.1, policy=cutout)", 6),
        ("cntr(0.1, policy=cutout),bcr:5", 8),
    ],
)
def test_one_pass_of_d_over_its_views_is_enough(regularizers, views):
    uses = "bcr" in regularizers or regularizers == "cntr:0.1"
    policy = "color,translation:0.25" if uses else None
    gan = make_gan(policy=policy, regularizers=regularizers)
    assert gan.augment == "none"
    passes, judge = [], gan.discriminator.call

    def counted(inputs, *args, **kwargs):
        passes.append(inputs.shape[0])
        return judge(inputs, *args, **kwargs)

    gan.discriminator.call = counted
    logs = gan.train_step(tf.constant(make_images(8)))
    assert passes == [8 * views, 8]  # D's update, then G's
    assert all(np.isfinite(value) for value in logs.values())


@pytest.mark.parametrize("own", [False, True])
def test_it_looks_at_two_draws_of_t_of_plain_images(own):
    text = "cntr(policy=color)" if own else "cntr"
    gan = make_gan(policy="color", augment="both", regularizers=text, views="separate")
    seen, judge = [], gan.discriminator.call

    def watched(inputs, *args, **kwargs):
        seen.append(inputs.numpy())
        return judge(inputs, *args, **kwargs)

    gan.discriminator.call = watched
    gan.run_eagerly = True
    gan.train_step(tf.constant(make_images(8)))
    *seen, _ = seen
    assert len(seen) == (6 if own else 4)
    for a in range(len(seen)):
        for b in range(a):
            assert np.abs(seen[a] - seen[b]).max() > 1e-3


@pytest.mark.slow
def test_cntr_falls_when_it_is_asked_for():
    runs = {}
    for weight in (0.0, 1.0):
        gan = make_gan(policy="color", regularizers=f"cntr:{weight}", seed=1)
        gan.fit(make_images(64), batch_size=16, epochs=20, verbose=0)
        gan.regularizers[0].weight = 1.0
        gan.compile(gan.g_optimizer, gan.d_optimizer, run_eagerly=True)
        runs[weight] = float(gan.train_step(tf.constant(make_images(64)))["cntr"])
    assert runs[1.0] < 0.8 * runs[0.0], runs


def test_it_is_compiled_by_xla_and_runs_in_bfloat16():
    with mixed_precision("bfloat16"):
        gan = make_gan(policy="color", regularizers="cntr", jit_compile=True)
    (term,) = gan.regularizers
    assert all(v.dtype == tf.float32 for v in term.variables)
    history = gan.fit(make_images(16), batch_size=8, verbose=0).history["cntr"]
    assert np.isfinite(history).all()


def test_the_head_is_the_seeds_and_has_simclrs_size():
    heads = [
        make_gan(policy="color", regularizers="cntr", seed=seed).regularizers[0].variables
        for seed in (0, 0, 1)
    ]
    assert [tuple(v.shape) for v in heads[0]] == [(128, 128), (128,), (128, 128)]
    same, other = (np.all(heads[0][0].numpy() == h[0].numpy()) for h in heads[1:])
    assert same
    assert not other
    assert np.any(heads[0][0].numpy() != heads[0][2].numpy())


def test_it_is_read_and_written():
    (term,) = parse_regularizers("cntr:0.2")
    assert str(term) == "cntr(weight=0.2, temperature=0.1, hidden=None, out=128)"
    assert str(parse_regularizers(str(term))[0]) == str(term)
    (term,) = parse_regularizers("cntr(policy='zoomout:0.4', hidden=64)")
    assert str(parse_regularizers(str(term))[0]) == str(term)
    assert term.get_config()["hidden"] == 64
    for wrong in ("temperature=0", "temperature=x", "hidden=0", "hidden=1.5", "out=None", "out=0"):
        with pytest.raises(ValueError, match="Received: cntr"):
            parse_regularizers(f"cntr({wrong})")


def test_it_says_what_it_needs_of_d():
    with pytest.raises(ValueError, match="cntr needs a discriminator"):
        GAN(make_generator(), make_discriminator(), policy="color", regularizers=[Cntr()])
    with pytest.raises(ValueError, match="give a policy"):
        make_gan(regularizers="cntr,bcr")
