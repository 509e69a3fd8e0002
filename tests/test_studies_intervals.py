"""The numbers that verdicts rest on, against NumPy and printed tables."""

import numpy as np
import pytest

from tf_diffaug.studies.intervals import (
    best_of,
    interval,
    readable,
    seeds_needed,
    spread,
    student_quantile,
)

# Any textbook's table of t, two-sided 95 %.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 29: 2.045, 120: 1.980}


@pytest.mark.parametrize("freedom", TABLE)
def test_students_quantile_is_the_tables(freedom):
    assert student_quantile(freedom) == pytest.approx(TABLE[freedom], abs=6e-4)


def test_other_shares_have_other_quantiles():
    assert student_quantile(5, 0.99) == pytest.approx(4.032, abs=6e-4)
    assert student_quantile(1, 0.5) == pytest.approx(1.0, abs=1e-9)


def test_mean_and_deviation_are_numpys(rng):
    values = rng.normal(3, 2, 7)
    found = spread(list(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.std == pytest.approx(values.std(ddof=1))
    assert spread([4.0]) == (4.0, None, 1)


def test_an_interval_is_the_formula(rng):
    values = rng.normal(1, 1, 5)
    half = 2.776445 * values.std(ddof=1) / np.sqrt(5)
    found = interval(list(values))
    assert found.low == pytest.approx(values.mean() - half, rel=1e-5)
    assert found.high == pytest.approx(values.mean() + half, rel=1e-5)
    assert interval([1.0]) is None


def test_the_best_are_the_lowest_rounded_up():
    values = [5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0]
    assert best_of(values) == pytest.approx((1.5, np.std([1, 2], ddof=1), 2))
    assert best_of([7.0, 6.0]) == (6.0, None, 1)
    assert best_of(list(map(float, range(20)))).count == 3
    assert best_of([3.0, 1.0, 2.0], 14) == (2.0, 1.0, 3)
    assert best_of([3.0], 20) == (3.0, None, 1)


def test_the_seeds_that_would_decide_are_the_fewest_whose_interval_leaves_out_0():
    values = [1.0, -0.5, 0.4]
    mean, std = np.mean(values), np.std(values, ddof=1)
    found = seeds_needed(values)

    def decided(count):
        return abs(mean) > student_quantile(count - 1) * std / np.sqrt(count)

    assert decided(found)
    assert not any(decided(count) for count in range(2, found))
    assert seeds_needed([1.0]) is None
    assert seeds_needed([1.0, -1.0]) is None
    assert seeds_needed([2.0, 2.0]) == 2


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (2138.4, 4, "2,138"),
        (-4460.0, 3, "-4,460"),
        (450.2, 2, "450"),
        (15.06, 4, "15.06"),
        (0.1, 2, "0.1"),
        (0.0, 3, "0"),
    ],
)
def test_numbers_have_digits_and_no_exponent(value, digits, expected):
    assert readable(value, digits) == expected
