"""Precision, recall, density and coverage against loops and hand-made sets."""

import numpy as np
import pytest

from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure, pairs

NAMES = ["precision", "recall", "density", "coverage"]


def measured(fakes, reals):
    return measure(FeatureSets(FeatureSet(fakes), FeatureSet(reals)), NAMES)


def cloud(count, size=6, seed=0, center=0.0, spread=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(center, spread, (count, size)).astype(np.float32)


def by_loops(fakes, reals):
    fakes, reals = fakes.astype(np.float64), reals.astype(np.float64)

    def radius(rows, index, k):
        distances = np.linalg.norm(np.delete(rows, index, axis=0) - rows[index], axis=1)
        return np.sort(distances)[min(k, len(distances)) - 1]

    def inside(point, rows, k):
        return [np.linalg.norm(point - row) <= radius(rows, i, k) for i, row in enumerate(rows)]

    k = min(5, len(reals) - 1)
    balls = np.array([inside(fake, reals, 5) for fake in fakes])
    return {
        "precision": np.mean([any(inside(fake, reals, 3)) for fake in fakes]),
        "recall": np.mean([any(inside(real, fakes, 3)) for real in reals]),
        "density": balls.sum() / (k * len(fakes)),
        "coverage": balls.any(axis=0).mean(),
    }


@pytest.mark.parametrize("tile", [6, 1024])
@pytest.mark.parametrize(("num_fakes", "num_reals"), [(40, 30), (25, 4), (3, 30), (2, 2), (8, 50)])
def test_all_four_are_those_of_loops(monkeypatch, num_fakes, num_reals, tile):
    monkeypatch.setattr(pairs, "_TILE", tile)
    fakes, reals = cloud(num_fakes, seed=1, center=0.4), cloud(num_reals)
    assert measured(fakes, reals) == pytest.approx(by_loops(fakes, reals), rel=1e-12)


def test_equal_sets_are_precise_and_complete():
    reals = cloud(60)
    found = measured(reals, reals)
    assert found["precision"] == found["recall"] == found["coverage"] == 1.0
    # Each image's ball holds its own copy and those of its five neighbours.
    assert found["density"] == pytest.approx(6 / 5)


def test_disjoint_sets_share_nothing():
    assert measured(cloud(30, center=100.0), cloud(40)) == dict.fromkeys(NAMES, 0.0)


def test_fakes_of_one_mode_are_precise_and_reals_of_two_are_not_recalled():
    two_modes = np.concatenate([cloud(40, seed=1), cloud(40, seed=2, center=50.0)])
    one_mode = cloud(80, seed=3, spread=0.8)
    found = measured(one_mode, two_modes)
    assert found["precision"] > 0.9
    assert found["recall"] <= 0.5
    assert found["coverage"] <= 0.5
    # And the other way about: fakes of two modes where the reals have one.
    swapped = measured(two_modes, one_mode)
    assert swapped["precision"] <= 0.5
    assert swapped["recall"] > 0.9


def test_one_image_over_and_over_lies_in_its_copys_ball():
    reals = np.repeat(cloud(1, size=300), 20, axis=0) + 1000
    fakes = reals[:7]
    assert measured(fakes, reals)["precision"] == 1.0
    assert measured(fakes, reals)["recall"] == 1.0
    assert measured(fakes + 1, reals)["precision"] == 0.0


def test_density_may_exceed_one_and_does_not_change_with_an_outlier_as_precision_does():
    reals = cloud(50, spread=0.1)
    reals[0] = 100.0  # its ball reaches over everything
    fakes = cloud(50, seed=5, center=20.0, spread=0.1)
    found = measured(fakes, reals)
    assert found["precision"] == 1.0
    assert found["density"] == pytest.approx(1 / 5)
