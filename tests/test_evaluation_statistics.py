"""Statistics and the Fréchet distance against NumPy, closed forms and TF-GAN."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_diffaug.evaluation import Statistics, frechet_distance


def features(count, size, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(size, size)) / size**0.5
    return np.maximum(rng.normal(offset, 1.0, (count, size)) @ mixing + 0.2, 0.0)


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    offset=st.sampled_from([0.0, 1e6]),
    split=st.integers(0, 6),
)
def test_batches_and_merging_give_the_moments_of_the_whole(sizes, offset, split):
    whole = np.random.default_rng(0).normal(offset, 1.0, (sum(sizes) + 2, 5))
    batches = np.split(whole, np.cumsum([2, *sizes])[:-1])
    first, second = Statistics(5), Statistics(5)
    for index, batch in enumerate(batches):
        (first if index < split else second).update(batch)
    merged = first.merge(second)
    assert merged.count == len(whole)
    np.testing.assert_allclose(merged.mean, whole.mean(axis=0), rtol=1e-12)
    # At an offset of 1e6 a sum of squares would leave four digits of the covariance.
    np.testing.assert_allclose(merged.cov, np.cov(whole.T), rtol=1e-7, atol=1e-8)


def test_the_mean_and_covariance_are_float64_copies():
    statistics = Statistics.from_features(features(20, 3).astype(np.float16))
    assert statistics.mean.dtype == statistics.cov.dtype == np.float64
    statistics.mean[:] = 7.0
    assert not (statistics.mean == 7.0).any()


def test_moments_go_in_and_come_out():
    original = Statistics.from_features(features(20, 3))
    again = Statistics.from_moments(original.count, original.mean, original.cov)
    more = features(9, 3, seed=5)
    original.update(more)
    again.update(more)
    np.testing.assert_allclose(again.cov, original.cov, rtol=1e-12)


@pytest.mark.parametrize("count", [0, 1])
def test_a_covariance_of_fewer_than_two_samples_is_an_error(count):
    statistics = Statistics(3).update(np.ones((count, 3)))
    with pytest.raises(ValueError, match=f"at least 2 samples.*count={count}"):
        _ = statistics.cov


def test_non_finite_features_are_counted_and_not_added():
    statistics = Statistics(3).update(np.ones((4, 3)))
    bad = np.ones((5, 3))
    bad[1, 2], bad[3, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"2 of 5 .* after 4 good ones"):
        statistics.update(bad)
    assert statistics.count == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Statistics(0), "num_features=0"),
        (lambda: Statistics(3).update(np.ones((2, 4))), r"shape=\(2, 4\)"),
        (lambda: Statistics(3).merge(Statistics(4)), "num_features=3 and 4"),
        (lambda: Statistics.from_features(np.ones(3)), r"shape=\(3,\)"),
        (lambda: Statistics.from_moments(5, np.ones(3), np.ones((2, 2))), r"cov.shape=\(2, 2\)"),
        (lambda: Statistics.from_moments(1, np.ones(3), np.eye(3)), "count=1"),
        (
            lambda: Statistics.from_moments(9, np.ones(2), [[1, 0.9], [0, 1]]),
            "Received: cov that differs from its transpose by up to 0.9",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_distance_of_commuting_covariances_has_a_closed_form():
    mean = np.array([1.0, -2.0, 0.5])
    first = Statistics.from_moments(9, np.zeros(3), np.diag([4.0, 1.0, 9.0]))
    second = Statistics.from_moments(9, mean, np.diag([1.0, 16.0, 9.0]))
    expected = (mean**2).sum() + (2 - 1) ** 2 + (1 - 4) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("count", "size"), [(300, 20), (300, 300), (20, 64)])
def test_the_distance_to_itself_is_zero(count, size):
    statistics = Statistics.from_features(features(count, size))
    assert 0 <= frechet_distance(statistics, statistics) < 1e-6 * np.trace(statistics.cov)


@pytest.mark.parametrize(
    ("ranks", "tolerance"),
    [((200, 200), 1e-11), ((50, 200), 1e-11), ((200, 50), 1e-6), ((50, 30), 1e-6)],
)
def test_low_rank_covariances_keep_rounding_out_of_the_root(ranks, tolerance):
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(200, 200)))
    spectra = [np.where(np.arange(200) < rank, np.arange(200) + 1.0, 0.0) for rank in ranks]
    spectra[1] *= 4
    pair = [
        Statistics.from_moments(rank + 1, np.zeros(200), (basis * spectrum) @ basis.T)
        for rank, spectrum in zip(ranks, spectra, strict=True)
    ]
    expected = ((np.sqrt(spectra[0]) - np.sqrt(spectra[1])) ** 2).sum()
    for statistics in (pair, pair[::-1]):
        assert frechet_distance(*statistics) == pytest.approx(expected, rel=tolerance)


def test_features_given_twice_count_twice():
    arrays = features(200, 10), features(150, 10, seed=1)
    once = frechet_distance(*map(Statistics.from_features, arrays))
    twice = frechet_distance(*(Statistics.from_features(np.tile(array, 2)) for array in arrays))
    assert twice == pytest.approx(2 * once, rel=1e-6)


def test_a_dead_feature_changes_nothing():
    reals, fakes = features(200, 10), features(150, 10, seed=1)
    plain = frechet_distance(Statistics.from_features(reals), Statistics.from_features(fakes))
    dead = [np.insert(array, 4, 0.0, axis=1) for array in (reals, fakes)]
    assert frechet_distance(*map(Statistics.from_features, dead)) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("count", [6, 200])
def test_a_second_distance_from_the_same_reals_is_that_of_new_ones(count):
    reals = Statistics.from_features(features(count, 10))
    fakes = [Statistics.from_features(features(150, 10, seed=seed)) for seed in (1, 2)]
    found = [frechet_distance(reals, one) for one in fakes]
    assert found == [
        frechet_distance(Statistics.from_features(features(count, 10)), one) for one in fakes
    ]
    more = features(90, 10, seed=3)
    reals.update(more).merge(Statistics.from_features(more))
    plain = np.concatenate([features(count, 10), more, more])
    assert frechet_distance(reals, fakes[0]) == pytest.approx(
        frechet_distance(Statistics.from_features(plain), fakes[0]), rel=1e-9
    )


@pytest.mark.parametrize("size", [20, 256, 300, 700])
def test_the_blocked_product_is_the_product(size):
    from tf_diffaug.evaluation.statistics import _triangular_product

    rng = np.random.default_rng(0)
    lower, cov = np.tril(rng.normal(size=(size, size))), np.cov(rng.normal(size=(size, 2 * size)))
    expected = np.tril(lower.T @ cov @ lower)
    np.testing.assert_allclose(np.tril(_triangular_product(lower, cov)), expected, atol=1e-9)


@pytest.mark.parametrize("swap", [False, True])
def test_a_negative_eigenvalue_is_an_error(swap):
    good = Statistics.from_moments(50, np.zeros(3), np.eye(3))
    bad = Statistics.from_moments(40, np.zeros(3), [[1.0, 2, 0], [2, 1, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match="negative eigenvalue"):
        frechet_distance(*((bad, good) if swap else (good, bad)))


@pytest.mark.parametrize("swap", [False, True])
def test_a_negative_eigenvalue_of_the_second_factor_is_an_error(swap):
    good = Statistics.from_moments(40, np.zeros(3), np.eye(3))
    bad = Statistics.from_moments(50, np.zeros(3), [[1.0, 2, 0], [2, 1, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match="negative eigenvalue"):
        frechet_distance(*((bad, good) if swap else (good, bad)))


def test_statistics_that_are_not_finite_are_an_error():
    good = Statistics.from_moments(5, np.zeros(2), np.eye(2))
    bad = Statistics.from_moments(6, [0.0, np.nan], np.eye(2))
    with pytest.raises(ValueError, match=r"not finite.*count=6"):
        frechet_distance(good, bad)


def test_other_numbers_of_features_are_an_error():
    with pytest.raises(ValueError, match="num_features=2 and 3"):
        frechet_distance(*(Statistics.from_features(features(9, d)) for d in (2, 3)))


@pytest.fixture(scope="module")
def tfgan():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow_gan", exc_type=(ImportError, AttributeError))


@pytest.mark.parametrize(
    ("reals", "fakes", "size"),
    [(500, 400, 64), (400, 500, 64), (100, 100, 64), (30, 200, 64), (30, 40, 128), (100, 900, 256)],
)
def test_the_distance_is_tfgans(tfgan, reals, fakes, size):
    first, second = features(reals, size), features(fakes, size, seed=1, offset=0.1)
    expected = tfgan.eval.frechet_classifier_distance_from_activations(first, second).numpy()
    ours = frechet_distance(Statistics.from_features(first), Statistics.from_features(second))
    assert ours == pytest.approx(expected, rel=1e-6)
