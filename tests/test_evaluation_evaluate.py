"""Metrics over several seeds, from one pass of features."""

import weakref

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.evaluation import Extractor, Outputs
from tf_diffaug.evaluation.evaluate import (
    RealFeatures,
    batches_of,
    class_rows,
    extract,
    measure_seeds,
    needs,
    over_seeds,
    rows_of,
)
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure, sets
from tf_diffaug.evaluation.metrics.pairs import Pairs


class Means(Extractor):
    """The mean of each colour, and probabilities that follow the first."""

    def __init__(self):
        super().__init__("means", "1", resize="none")

    def _outputs(self, images):
        means = tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2))
        return Outputs(means, tf.nn.softmax(means[:, :2]))


def some(rng, count=40, shift=0.0):
    return FeatureSet(rng.normal(shift, 1, (count, 3)))


def test_features_and_probabilities_come_from_one_pass_and_the_rest_is_left_out(rng):
    images = rng.integers(0, 256, (300, 4, 4, 3), np.uint8)
    told = []
    found = extract(batches_of(images), Means(), 290, progress=told.append)
    np.testing.assert_allclose(found.features, images[:290].mean((1, 2)), rtol=1e-5)
    assert found.probabilities.shape == (290, 2)
    assert told == [128, 128, 44]


def test_values_are_means_and_deviations_over_seeds(rng):
    reals = RealFeatures(some(rng))
    fakes = [some(rng, shift=shift) for shift in (0.5, 1.0, 2.0)]
    values, words = measure_seeds(lambda seed: fakes[seed - 3], reals, ["fid", "mind"], [3, 4, 5])
    alone = [
        measure(FeatureSets(one, reals.reference), ["fid", "mind"], seed=seed)
        for one, seed in zip(fakes, (3, 4, 5), strict=True)
    ]
    for key in ("fid", "mind"):
        column = [one[key] for one in alone]
        assert values[key] == {
            "mean": pytest.approx(np.mean(column)),
            "std": pytest.approx(np.std(column, ddof=1)),
        }
    assert "fid" in words  # of so few


NAMES = ["kid", "precision", "recall", "density", "coverage", "auth_pct", "ct"]


@pytest.mark.parametrize("count", [40, 2100])  # in float64, in float32
def test_what_lies_within_the_reals_is_found_once_and_is_the_same(rng, monkeypatch, count):
    shapes = {"reals": count, "held_out": 30}
    arrays = {name: rng.normal(3, 1, (n, 3)) for name, n in shapes.items()}
    fakes = {seed: some(rng, count=count + 5, shift=3.1) for seed in (3, 4, 5)}

    def reals():
        known = FeatureSet(arrays["reals"])
        return RealFeatures(known, known, FeatureSet(arrays["held_out"]))

    alone = [measure(reals().sets(fakes[seed]), NAMES, seed=seed) for seed in fakes]
    passes, within = [], Pairs._within
    monkeypatch.setattr(
        Pairs, "_within", lambda self, name, *args: passes.append(name) or within(self, name, *args)
    )
    shared = reals()
    values, _ = measure_seeds(fakes.__getitem__, shared, NAMES, [*fakes])
    assert values == over_seeds(alone)  # to the bit
    assert passes.count("reals") == 1
    assert passes.count("fakes") == 3
    # Again, as for the next checkpoint.
    assert measure_seeds(fakes.__getitem__, shared, NAMES, [*fakes])[0] == values


def test_a_part_of_the_reals_is_each_seeds_own(rng, monkeypatch):
    monkeypatch.setattr(sets, "MAX_PAIRED", 30)
    reals, fakes = RealFeatures(some(rng)), {0: some(rng), 1: some(rng)}
    alone = [measure(reals.sets(fakes[seed]), ["precision", "kid"], seed=seed) for seed in fakes]
    values, _ = measure_seeds(fakes.__getitem__, reals, ["precision", "kid"], [0, 1])
    assert values == over_seeds(alone)


def test_the_fakes_of_one_seed_are_held_at_a_time(rng):
    reals, drawn = RealFeatures(some(rng)), []

    def draw(seed):
        assert all(fakes() is None for fakes in drawn)
        fakes = some(rng)
        drawn.append(weakref.ref(fakes))
        return fakes

    measure_seeds(draw, reals, ["fid", "kid", "precision"], [0, 1, 2])
    assert len(drawn) == 3


def test_one_seed_has_no_deviation(rng):
    values, _ = measure_seeds(lambda seed: some(rng), RealFeatures(some(rng)), ["fid"], [0])
    assert [*values["fid"]] == ["mean"]


def test_what_metrics_need():
    assert needs(["fid", "kid"]) == set()
    assert needs(["auth_pct"]) == {"train"}
    assert {"train", "held_out", "probabilities"} == needs(None)


def test_rows_of_classes_that_have_two():
    rows = class_rows(np.array([1, 0, 1, -1, -1, 2]))
    assert {label: found.tolist() for label, found in rows.items()} == {1: [0, 2]}
    both = FeatureSet(np.eye(3), np.full((3, 2), 0.5))
    np.testing.assert_array_equal(rows_of(both, np.array([0, 2])).features, np.eye(3)[[0, 2]])
