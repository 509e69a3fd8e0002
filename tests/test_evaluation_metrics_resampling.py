"""MIND, the FID's interval and its extrapolation."""

import numpy as np
import pytest

from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure, readings
from tf_diffaug.evaluation.metrics.resampling import Resampled
from tf_diffaug.evaluation.statistics import Statistics, frechet_distance


def rows(count, size, seed, center=0.0, spread=1.0):
    return np.random.default_rng(seed).normal(center, spread, (count, size)).astype(np.float32)


def pair(fakes, reals):
    return FeatureSets(FeatureSet(fakes), FeatureSet(reals))


@pytest.mark.parametrize(
    ("num_fakes", "num_reals", "size"),
    [(60, 9, 40), (9, 60, 40), (15, 15, 40), (50, 50, 8), (8, 8, 8), (2, 2, 5), (9, 8, 8)],
)
def test_the_fid_of_rows_is_that_of_their_statistics(num_fakes, num_reals, size):
    fakes, reals = rows(num_fakes, size, 1, 0.5), rows(num_reals, size, 2)
    resampled, rng = Resampled(pair(fakes, reals)), np.random.default_rng(0)
    picks = [(np.arange(num_fakes), np.arange(num_reals))]
    picks += [(rng.integers(0, num_fakes, 5), rng.integers(0, num_reals, 7)) for _ in range(4)]
    for first, second in picks:
        expected = frechet_distance(
            Statistics.from_features(fakes[first]), Statistics.from_features(reals[second])
        )
        assert resampled.fid(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_interval_holds_the_fid_and_those_of_other_samples():
    sets = pair(rows(300, 8, 1, 0.5), rows(200, 8, 2))
    found = measure(sets, ["fid", "fid_interval"])
    assert found["fid_low"] < found["fid"] < found["fid_high"]
    assert found["fid_interval"] == pytest.approx(found["fid_high"] - found["fid_low"])
    others = [
        measure(pair(rows(300, 8, 2 * k, 0.5), rows(200, 8, 2 * k + 1)), ["fid"])["fid"]
        for k in range(50, 110)
    ]
    # As wide as what other samples of the same distributions give.
    width = np.subtract(*np.percentile(others, [97.5, 2.5]))
    assert found["fid_interval"] == pytest.approx(width, rel=0.4)
    assert f"{found['fid_low']:.4g}" in readings(found, sets)["fid_interval"]


def test_the_extrapolation_is_nearer_to_the_distance_of_the_distributions():
    true = 20 * 0.3**2 + 20 * 0.2**2  # means 0.3 apart and deviations 0.2
    found = []
    for seed in range(6):
        sets = pair(rows(200, 20, 2 * seed, 0.3, 1.2), rows(150, 20, 2 * seed + 1))
        found.append(measure(sets, ["fid", "fid_infinity"]))
        assert "fid_infinity" not in readings(found[-1], sets)
    plain, extrapolated = (
        np.mean([values[key] for values in found]) for key in ("fid", "fid_infinity")
    )
    assert plain > true + 0.5
    assert extrapolated == pytest.approx(true, abs=0.3)


def test_an_extrapolation_from_too_few_images_says_so():
    sets = pair(rows(30, 11, 1), rows(100, 11, 2))
    found = measure(sets, ["fid_infinity"])
    assert "30 images of 11 features are too few" in readings(found, sets)["fid_infinity"]


def test_mind_is_three_times_the_squared_shift():
    """Every projection moves by u.s, whose mean square over directions is |s|^2 / d."""
    reals = rows(500, 16, 1)
    shift = rows(1, 16, 2)
    found = measure(pair(reals + shift, reals), ["mind"])["mind"]
    assert found == pytest.approx(3 * float((shift**2).sum()), rel=0.1)
    assert measure(pair(reals, reals), ["mind"])["mind"] == 0.0


def test_mind_of_one_feature_is_three_times_the_squared_distance_of_sorted_values():
    fakes, reals = rows(40, 1, 1, 0.5) + 100, rows(40, 1, 2) + 100
    difference = np.sort(fakes[:, 0]).astype(np.float64) - np.sort(reals[:, 0])
    found = measure(pair(fakes, reals), ["mind"])["mind"]
    assert found == pytest.approx(3 * np.mean(difference**2), rel=1e-3)


def test_mind_is_that_of_loops(monkeypatch):
    from tf_diffaug.evaluation.metrics import mind
    from tf_diffaug.evaluation.metrics.sets import rng

    monkeypatch.setattr(mind, "_BLOCK", 900)
    fakes, reals = rows(30, 5, 1, 0.5), rows(30, 5, 2)
    directions = rng(3, "mind").normal(size=(1000, 5))
    terms = []
    for direction in directions:
        direction = direction / np.linalg.norm(direction)
        difference = np.sort(fakes @ direction) - np.sort(reals @ direction)
        terms.append(np.mean(difference**2))
    found = measure(pair(fakes, reals), ["mind"], seed=3)["mind"]
    assert found == pytest.approx(15 * np.mean(terms), rel=1e-5)
    more = np.concatenate([fakes, fakes])
    assert measure(pair(more, reals), ["mind"])["mind"] > 0
