"""What every metric does, and what a registration and a set of features refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from tf_diffaug.evaluation.metrics import (
    METRICS,
    FeatureSet,
    FeatureSets,
    measure,
    metrics_table,
    register_metric,
)
from tf_diffaug.evaluation.metrics.registry import temporarily_registered

FACTS = {"summary": "a number", "source": "a paper", "better": "lower"}
# Those that draw rows, or split them as they come: another order moves them by their noise.
DRAWING = {"is", "fid_interval", "fid_infinity"}


def feature_set(count, seed, size=6, center=0.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return FeatureSet(rng.normal(center, 1.0, (count, size)), shares)


def feature_sets(counts=(30, 25, 20, 15), size=6):
    return FeatureSets(
        *(feature_set(count, seed, size, 0.2 * seed) for seed, count in enumerate(counts))
    )


def shuffled(sets):
    rng = np.random.default_rng(5)
    changed = {}
    for name in ("fakes", "reals", "train", "held_out"):
        value = getattr(sets, name)
        order = rng.permutation(len(value))
        changed[name] = FeatureSet(value.features[order], value.probabilities[order])
    return FeatureSets(**changed)


@pytest.fixture(params=sorted(METRICS))
def name(request):
    return request.param


def test_a_metric_is_a_function_of_the_sets_and_the_seed(name):
    first, second = (measure(feature_sets(), [name], seed=3) for _ in range(2))
    assert first == second
    assert next(iter(first)) == name
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert all(type(value) is float for value in first.values())


def test_a_metric_is_finite_for_two_images_of_each(name):
    values = measure(feature_sets((2, 2, 2, 2)), [name])
    assert np.isfinite(list(values.values())).all()


def test_a_metric_is_finite_with_more_features_than_images(name):
    values = measure(feature_sets((12, 9, 9, 7), size=40), [name])
    assert np.isfinite(list(values.values())).all()


def test_a_metric_is_finite_for_one_image_over_and_over(name):
    same = FeatureSet(np.ones((9, 5)), np.full((9, 4), 0.25))
    assert np.isfinite(list(measure(FeatureSets(same, same, same, same), [name]).values())).all()


def test_a_metric_does_not_look_at_the_order_of_rows(name):
    # As many fakes as reals: of unlike counts MIND and KID draw subsets.
    sets = feature_sets((200, 200, 90, 80))
    first, second = measure(sets, [name]), measure(shuffled(sets), [name])
    tolerance = 0.4 if name in DRAWING else 1e-4
    for key in first:
        assert second[key] == pytest.approx(first[key], rel=tolerance, abs=1e-6), key


def test_a_metric_changes_no_set(name):
    sets = feature_sets()
    before = [sets.fakes.features.copy(), sets.train.features.copy()]
    measure(sets, [name])
    np.testing.assert_array_equal(before[0], sets.fakes.features)
    np.testing.assert_array_equal(before[1], sets.train.features)


def test_a_metric_refuses_to_do_without_what_it_needs(name):
    plain = FeatureSets(FeatureSet(np.ones((5, 3))), FeatureSet(np.zeros((5, 3))))
    if not METRICS[name].needs:
        assert name in measure(plain)
        return
    assert name not in measure(plain)
    with pytest.raises(ValueError, match=f"^{name} needs .*Received: metric='{name}'"):
        measure(plain, [name])


def test_a_metric_alone_and_among_all_is_the_same(name):
    sets = feature_sets()
    everything = measure(sets)
    alone = measure(feature_sets(), [name])
    assert alone == {key: everything[key] for key in alone}


def test_keys_of_all_metrics_differ():
    keys = [key for name in METRICS for key in measure(feature_sets(), [name])]
    assert len(keys) == len(set(keys))


def test_samples_of_large_sets_are_drawn_by_the_seed(monkeypatch):
    from tf_diffaug.evaluation.metrics import sets as sets_module

    monkeypatch.setattr(sets_module, "MAX_PAIRED", 12)
    values = [measure(feature_sets(), ["precision", "kid"], seed=seed) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    sets = feature_sets()
    same = FeatureSets(sets.fakes, sets.fakes)
    assert measure(same, ["recall"])["recall"] == 1.0


def test_the_interval_is_measured_unasked_only_with_few_images():
    few, many = (
        FeatureSets(feature_set(count, 0, 2), feature_set(1000, 1, 2)) for count in (999, 1000)
    )
    assert "fid_low" in measure(few)
    assert "fid_low" not in measure(many)
    assert "fid" in measure(many)


def test_unknown_names_and_none_are_told_apart():
    with pytest.raises(ValueError, match=r"Unknown metric 'fdi'\. Did you mean 'fid'"):
        measure(feature_sets(), ["fdi"])
    assert measure(feature_sets(), []) == {}
    assert list(measure(feature_sets(), ["kid", "fid", "kid"])) == ["kid", "kid_stderr", "fid"]


def test_a_registered_metric_is_measured_and_listed():
    def halves(sets, seed):
        return {"halves": len(sets.fakes) / 2}

    with temporarily_registered("halves", halves, **FACTS):
        assert measure(feature_sets())["halves"] == 15.0
        assert "| `halves` | a number | lower | | a paper |" in metrics_table()
    assert "halves" not in METRICS


def test_the_documentation_has_the_table():
    page = Path(__file__).parents[1] / "docs" / "evaluation.md"
    text = page.read_text(encoding="utf-8")
    assert f"<!-- metrics -->\n{metrics_table()}<!-- end of metrics -->" in text


@pytest.mark.parametrize(
    ("name", "facts", "message"),
    [
        ("Fid", {}, "name='Fid'"),
        (3, {}, "name=3"),
        ("fid", {}, "already"),
        ("new", {"summary": ""}, "summary=''"),
        ("new", {"summary": "a | b"}, "summary="),
        ("new", {"source": "two\nlines"}, "source="),
        ("new", {"better": "bigger"}, "better='bigger'"),
        ("new", {"needs": ["labels"]}, "needs='labels'"),
        ("new", {"uses": ["gpu"]}, "uses='gpu'"),
    ],
)
def test_bad_registrations_are_refused(name, facts, message):
    with pytest.raises(ValueError, match=message):
        register_metric(name, **{**FACTS, **facts})(lambda sets, seed: {})
    assert "new" not in METRICS


def test_a_metric_takes_the_sets_and_the_seed():
    with pytest.raises(ValueError, match=r"'new' of \(fakes, reals\)"):
        register_metric("new", **FACTS)(lambda fakes, reals: {})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeatureSet(np.ones(3)), r"shape=\(3,\)"),
        (lambda: FeatureSet(np.ones((1, 3))), r"at least 2.*shape=\(1, 3\)"),
        (lambda: FeatureSet(np.full((4, 3), np.nan)), "4 of 4 rows"),
        (lambda: FeatureSet(np.ones((4, 3)), np.full((3, 2), 0.5)), r"shape \(4, classes\)"),
        (lambda: FeatureSet(np.ones((4, 3)), np.ones((4, 2))), "sum to 2"),
        (
            lambda: FeatureSets(FeatureSet(np.ones((4, 3))), FeatureSet(np.ones((4, 2)))),
            "fakes of 3, reals of 2",
        ),
        (
            lambda: FeatureSets(
                *[FeatureSet(np.ones((4, 3)))] * 2, None, FeatureSet(np.ones((4, 3)))
            ),
            "held_out without train",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
