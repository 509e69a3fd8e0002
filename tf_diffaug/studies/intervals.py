"""Means, the second paper's best share, and intervals of paired differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

BEST_SHARE = 0.15  # arXiv 2006.02595 reports the "top 15 % of trained models by FID"
CONFIDENCE = 0.95
MOST_SEEDS = 1000
_PARTS = 400  # of Simpson's rule


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) of so many values; of one there is no deviation."""

    mean: float
    std: float | None
    count: int


class Interval(NamedTuple):
    """Mean of so many values, and where the mean of endless ones lies with 95 % confidence."""

    mean: float
    low: float
    high: float
    count: int


def readable(value: float, digits: int = 3) -> str:
    """A number of so many digits, never with an exponent for a large one."""
    large = abs(value) >= 10 ** (digits - 1)
    return f"{value:,.0f}" if large else f"{value:.{digits}g}"


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of one value or more."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), deviation, len(values))


def best_of(values: Sequence[float], seeds: int | None = None) -> Spread:
    """That of the lowest values, `BEST_SHARE` of the seeds rounded up.

    Args:
        values: one or more.
        seeds: how many there were, if some have no value; those are the worst.
    """
    # Without the margin 0.15 · 20 would be rounded up to 4.
    count = math.ceil(BEST_SHARE * (seeds or len(values)) - 1e-9)
    return spread(sorted(values)[:count])


def interval(values: Sequence[float]) -> Interval | None:
    """Student's interval of the mean, None of fewer than two values."""
    found = spread(values)
    if found.std is None:
        return None
    half = student_quantile(found.count - 1) * found.std / math.sqrt(found.count)
    return Interval(found.mean, found.mean - half, found.mean + half, found.count)


def seeds_needed(values: Sequence[float]) -> int | None:
    """How many values of this mean and deviation would have an interval without 0.

    None of fewer than two values, or if `MOST_SEEDS` were too few.
    """
    found = spread(values)
    if not found.std:
        return None if found.std is None or not found.mean else 2
    for count in range(2, MOST_SEEDS + 1):
        t = abs(found.mean) * math.sqrt(count) / found.std
        if _share_within(t, count - 1) > CONFIDENCE:
            return count
    return None


def student_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The t within which Student's distribution has this share, on both sides of 0.

    >>> round(student_quantile(2), 3)
    4.303
    """
    low, high = 0.0, 1.0
    while _share_within(high, freedom) < confidence:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _share_within(middle, freedom) > confidence else (middle, high)
    return (low + high) / 2


def _share_within(t: float, freedom: int) -> float:
    """The share of Student's distribution between -t and t.

    With t = sqrt(n) tan(a) its density is one of cos(a)**(n - 1), smooth wherever t is.
    """
    end = math.atan(t / math.sqrt(freedom))
    step = end / _PARTS
    heights = [math.cos(k * step) ** (freedom - 1) for k in range(_PARTS + 1)]
    area = step / 3 * (heights[0] + heights[-1] + 4 * sum(heights[1::2]) + 2 * sum(heights[2:-1:2]))
    factor = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    return 2 * math.exp(factor) * area
