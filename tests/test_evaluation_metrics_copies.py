"""AuthPct, C_T and the FLD gap against loops, TensorFlow's gradients and hand-made sets."""

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.evaluation import nearest as nearest_vectors_module
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure, mixture, readings
from tf_diffaug.evaluation.metrics import fld as fld_module
from tf_diffaug.evaluation.metrics import nearest as nearest_module

NAMES = ["auth_pct", "ct", "fld_gap"]


def images(count, seed, size=12):
    """Clusters, as real images have them."""
    mixing = np.random.default_rng(7).normal(size=(4, size))
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 4)) @ mixing + 0.5 * rng.normal(size=(count, size))
    return rows.astype(np.float32)


def measured(fakes, train, held_out, names=NAMES, seed=0):
    train, held_out = FeatureSet(train), FeatureSet(held_out)
    sets = FeatureSets(FeatureSet(fakes), train, train=train, held_out=held_out)
    values = measure(sets, names, seed=seed)
    return values, readings(values, sets)


def distances(rows, others):
    difference = rows[:, None].astype(np.float64) - others[None].astype(np.float64)
    return np.sqrt((difference**2).sum(axis=-1))


@pytest.mark.parametrize("block", [3, 1000])
def test_auth_pct_and_ct_are_those_of_loops(monkeypatch, block):
    monkeypatch.setattr(nearest_vectors_module, "ROWS", block)
    monkeypatch.setattr(nearest_module, "COLUMNS", block)
    fakes, train, held_out = images(50, 1), images(40, 2), images(30, 3)
    own = distances(train, train) + np.diag(np.full(40, np.inf))
    to_train = distances(fakes, train)
    authentic = [row.min() > own[row.argmin()].min() for row in to_train]
    larger = [
        float(a > b) + 0.5 * float(a == b)
        for a in to_train.min(axis=1)
        for b in distances(held_out, train).min(axis=1)
    ]
    z = (sum(larger) - 50 * 30 / 2) / np.sqrt(50 * 30 * 81 / 12)
    values, _ = measured(fakes, train, held_out)
    assert values["auth_pct"] == pytest.approx(100 * np.mean(authentic))
    assert values["ct"] == pytest.approx(z)


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("twice", [False, True])
def test_copies_of_the_training_images_are_called_copies(offset, twice):
    train = images(80, 1, size=64) + np.float32(offset)
    if twice:  # the data set itself holds copies
        train = np.concatenate([train, train[:30]])
    held_out = images(80, 2, size=64) + np.float32(offset)
    fakes = train[np.random.default_rng(0).integers(0, len(train), 300)]
    values, said = measured(fakes, train, held_out)
    assert values["auth_pct"] == 0.0
    assert values["ct"] < -10
    assert values["fld_gap"] < -1000
    for name in NAMES:
        assert said[name].startswith("copies"), name


def test_a_held_out_half_shows_no_sign_of_copying():
    train, held_out = images(200, 1), images(400, 2)
    values, said = measured(held_out[:200], train, held_out[200:])
    assert 40 < values["auth_pct"] < 75
    assert abs(values["ct"]) < 2
    assert abs(values["fld_gap"]) < 20
    for name in NAMES:
        assert said[name].startswith("no sign of copying"), name


def test_the_held_out_images_themselves_have_a_ct_of_zero():
    train, held_out = images(50, 1), images(60, 2)
    assert measured(held_out, train, held_out)[0]["ct"] == 0.0


def test_fakes_far_from_everything_are_no_copies_and_are_said_to_be_far():
    values, said = measured(images(50, 3) + 40, images(50, 1), images(60, 2))
    assert values["auth_pct"] == 100.0
    assert values["ct"] > 5
    assert "miss what real images are like" in said["ct"]


def test_half_of_copies_is_seen():
    train, held_out = images(200, 1, size=64), images(200, 2, size=64)
    fakes = np.concatenate([train[:100], images(100, 3, size=64)])
    values, said = measured(fakes, train, held_out)
    assert 15 < values["auth_pct"] < 40
    assert all(sentence.startswith("copies") for sentence in said.values() if "FID" not in sentence)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_copies_of_a_training_set_many_times_larger_are_seen_by_the_fld_gap(monkeypatch, noise):
    monkeypatch.setattr(fld_module, "MOST", 60)
    train, held_out = images(1800, 1, size=64), images(100, 2, size=64)
    copies = train[::20] + np.float32(noise) * images(90, 4, size=64)
    values, said = measured(copies, train, held_out, ["fld_gap"])
    assert values["fld_gap"] < 4 * fld_module.COPIES
    assert said["fld_gap"].startswith("copies")
    values, said = measured(images(90, 3, size=64), train, held_out, ["fld_gap"])
    assert -20 < values["fld_gap"] < 20
    assert said["fld_gap"].startswith("no sign of copying")


@pytest.mark.parametrize("rows", [7, 1000])
def test_the_widths_are_those_of_tensorflows_gradients_and_adam(monkeypatch, rows):
    monkeypatch.setattr(mixture, "_ROWS", rows)
    monkeypatch.setattr(mixture, "_BLOCK", rows)
    train, fakes = images(25, 1).astype(np.float64), images(15, 2).astype(np.float64)
    scaled = mixture.scaled_distances(train, fakes)
    np.testing.assert_allclose(scaled, distances(train, fakes) ** 2 / 12, rtol=1e-6)
    least = (12 * scaled.min(axis=0) + 1e-3) / 12
    logs = tf.Variable(np.append(np.log(least), 0.0))
    origin = 0.81 * ((train - train.mean(axis=0)) ** 2).sum(axis=1, keepdims=True)
    squares = tf.constant(np.concatenate([12 * scaled, origin], axis=1))
    weights = tf.constant(np.append(np.full(15, 1 / 15), 1.0))
    first, second, losses = 0.0, 0.0, []
    for step in range(1, 51):
        with tf.GradientTape() as tape:
            variances = tf.exp(logs)
            density = -0.5 * squares / variances - 6 * tf.math.log(2 * np.pi * variances)
            likelihood = tf.reduce_logsumexp(density + tf.math.log(weights), axis=1)
            loss = -tf.reduce_mean(likelihood) / 12
        losses.append(float(loss))
        gradient = tape.gradient(loss, logs).numpy()
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        up = first / (1 - 0.9**step)
        down = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        logs.assign_sub(0.5 * up / down)
        if step >= 7 and max(abs(np.subtract(losses[-5:], losses[-1]))) < 5e-4:
            break
    found = mixture.fit_variances(scaled, train)
    np.testing.assert_allclose(found, logs.numpy()[:-1], rtol=1e-6)

    points = images(9, 4).astype(np.float64)
    squares, variances = distances(points, fakes) ** 2, np.exp(found)
    density = np.exp(-0.5 * squares / variances) / (2 * np.pi * variances) ** 6
    np.testing.assert_allclose(
        mixture.log_likelihoods(mixture.scaled_distances(points, fakes), found, 12),
        np.log(density.mean(axis=1)),
        rtol=1e-6,
    )


def test_the_fld_gap_does_not_change_with_the_scale_of_a_feature():
    fakes, train, held_out = images(30, 1), images(25, 2), images(20, 3)
    scale = np.linspace(0.1, 50, 12).astype(np.float32)
    plain, _ = measured(fakes, train, held_out, ["fld_gap"])
    scaled, _ = measured(fakes * scale, train * scale, held_out * scale, ["fld_gap"])
    assert scaled["fld_gap"] == pytest.approx(plain["fld_gap"], rel=1e-3)


def test_a_feature_that_never_changes_does_no_harm():
    sets = [images(30, seed) for seed in (1, 2, 3)]
    for rows in sets:
        rows[:, 3] = 2.0
    values, _ = measured(*sets)
    assert np.isfinite(list(values.values())).all()
