"""FID, KID and the Inception Score against TF-GAN and NumPy in float64."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure, readings
from tf_diffaug.evaluation.metrics import pairs as pairs_module


def features(count, size=24, seed=0, shift=0.0):
    mixing = np.random.default_rng(99).normal(size=(size, size)) / size**0.5
    rows = np.random.default_rng(seed).normal(shift, 1.0, (count, size)) @ mixing
    return np.maximum(rows + 0.2, 0.0).astype(np.float32)


def probabilities(count, classes=7, seed=0):
    logits = np.random.default_rng(seed).normal(0, 2, (count, classes))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), logits


def sets(fakes, reals, **others):
    others = {name: FeatureSet(value) for name, value in others.items()}
    return FeatureSets(FeatureSet(fakes), FeatureSet(reals), **others)


@pytest.fixture(scope="module")
def tfgan():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import tensorflow_gan
        except (ImportError, AttributeError) as error:
            pytest.skip(f"TF-GAN does not import here: {error}")
    return tensorflow_gan.eval


def kernel_distance(fakes, reals):
    """The unbiased estimate, by two loops."""
    fakes, reals = fakes.astype(np.float64), reals.astype(np.float64)

    def kernel(x, y):
        return (x @ y / x.size + 1) ** 3

    def within(rows):
        count = len(rows)
        pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
        return np.mean([kernel(rows[i], rows[j]) for i, j in pairs])

    across = np.mean([kernel(x, y) for x in fakes for y in reals])
    return within(fakes) + within(reals) - 2 * across


def test_the_fid_is_tfgans(tfgan):
    fakes, reals = features(300, seed=1, shift=0.3), features(250)
    expected = tfgan.frechet_classifier_distance_from_activations(
        reals.astype(np.float64), fakes.astype(np.float64)
    )
    assert measure(sets(fakes, reals), ["fid"])["fid"] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("count", [40, 600])
def test_the_kid_is_tfgans(tfgan, count):
    fakes, reals = features(count, seed=1, shift=0.1), features(count)
    expected = tfgan.kernel_classifier_distance_from_activations(
        tf.constant(reals, tf.float64), tf.constant(fakes, tf.float64), dtype=tf.float64
    )
    assert measure(sets(fakes, reals), ["kid"])["kid"] == pytest.approx(float(expected), rel=1e-6)


def test_the_inception_score_is_tfgans(tfgan):
    shares, logits = probabilities(100)
    measured = measure(
        FeatureSets(FeatureSet(features(100), shares), FeatureSet(features(90))), ["is"]
    )
    scores = [
        float(tfgan.classifier_score_from_logits(part.astype(np.float32)))
        for part in np.split(logits, 10)
    ]
    assert measured["is"] == pytest.approx(np.mean(scores), rel=1e-6)
    assert measured["is_std"] == pytest.approx(np.std(scores), rel=1e-5)


def test_the_kid_is_that_of_two_loops():
    fakes, reals = features(12, seed=1, shift=0.4), features(12)
    assert measure(sets(fakes, reals), ["kid"])["kid"] == pytest.approx(
        kernel_distance(fakes, reals), rel=1e-10
    )


def test_the_kid_of_unlike_counts_is_near_that_of_all_pairs():
    fakes, reals = features(60, seed=1, shift=0.4), features(20)
    measured = measure(sets(fakes, reals), ["kid"])
    assert measured["kid"] == pytest.approx(kernel_distance(fakes, reals), abs=0.1)
    assert abs(measured["kid"] - kernel_distance(fakes, reals)) < measured["kid_stderr"]


def test_the_kids_standard_error_is_the_jackknifes():
    fakes, reals = features(9, seed=1, shift=0.4), features(7)
    variance = 0.0
    for which, rows in enumerate((fakes, reals)):
        left_out = []
        for index in range(len(rows)):
            both = [fakes, reals]
            both[which] = np.delete(rows, index, axis=0)
            left_out.append(kernel_distance(*both))
        variance += (len(rows) - 1) / len(rows) * np.sum((left_out - np.mean(left_out)) ** 2)
    measured = measure(sets(fakes, reals), ["kid"])
    assert measured["kid_stderr"] == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_the_kids_standard_error_is_the_deviation_over_samples():
    draws = [
        measure(sets(features(150, seed=2 * k + 1, shift=0.2), features(150, seed=2 * k)), ["kid"])
        for k in range(60)
    ]
    deviation = np.std([draw["kid"] for draw in draws], ddof=1)
    assert np.mean([draw["kid_stderr"] for draw in draws]) == pytest.approx(deviation, rel=0.3)


@pytest.mark.parametrize("counts", [(60, 60), (60, 47)])
def test_tiles_of_any_size_give_the_same(monkeypatch, counts):
    rows = features(counts[0], seed=1, shift=0.2), features(counts[1])
    names = ["kid", "precision", "recall", "density", "coverage", "auth_pct"]

    def measured():
        reals = FeatureSet(rows[1])
        return measure(FeatureSets(FeatureSet(rows[0]), reals, reals), names)

    expected = measured()
    for size in (1, 7, 47, 48):
        monkeypatch.setattr(pairs_module, "_TILE", size)
        assert measured() == pytest.approx(expected, rel=1e-10)


def test_large_sets_in_float32_blocks_agree_with_float64(monkeypatch):
    fakes, reals = features(1100, seed=1, shift=0.1) + 3, features(1300) + 3
    names = ["kid", "precision", "recall", "density", "coverage"]
    expected = measure(sets(fakes, reals), names)
    monkeypatch.setattr(pairs_module, "_SMALL", 10)
    monkeypatch.setattr(pairs_module, "_TILE", 300)
    measured = measure(sets(fakes, reals), names)
    assert measured == pytest.approx(expected, rel=1e-4)
    assert measured["kid"] != expected["kid"]


def test_the_inception_score_has_its_known_values():
    def score(shares):
        fakes = FeatureSet(features(len(shares)), shares)
        return measure(FeatureSets(fakes, FeatureSet(features(9))), ["is"])

    assert score(np.full((50, 4), 0.25)) == pytest.approx({"is": 1.0, "is_std": 0.0})
    assert score(np.tile(np.eye(5), (10, 1))) == pytest.approx({"is": 5.0, "is_std": 0.0})
    assert score(np.eye(2)) == pytest.approx({"is": 2.0, "is_std": 0.0})


def test_an_fid_of_few_images_says_so():
    few = sets(features(50), features(40))
    assert "40 reals is too high" in readings({"fid": 3.0}, few)["fid"]
    many = sets(features(10_000, 2), features(10_001, 2))
    assert readings({"fid": 3.0}, many) == {}
