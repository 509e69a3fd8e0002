"""MIND, the Monge Inception distance."""

from __future__ import annotations

import numpy as np

from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets, rng

DIRECTIONS = 1_000  # arXiv 2605.06797
_BLOCK = 1 << 22  # projections held at once of each set: 16 MiB


@register_metric(
    "mind",
    summary="3 d times the mean over 1,000 random unit directions of the mean squared difference "
    "of the sorted projections (sliced Wasserstein distance), of as many fakes as reals",
    source="arXiv 2605.06797",
    better="lower",
)
def mind(sets: FeatureSets, seed: int) -> dict[str, float]:
    count = min(len(sets.fakes), len(sets.reals))
    fakes, reals = (sets.sampled(name, count, seed) for name in ("fakes", "reals"))
    size = fakes.shape[1]
    directions = rng(seed, "mind").normal(size=(DIRECTIONS, size))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # A common shift moves no difference, but a large one would cost digits.
    center = reals.mean(axis=0, dtype=np.float64)
    directions, shifts = directions.astype(np.float32), (directions @ center).astype(np.float32)
    total = 0.0
    step = max(_BLOCK // count, 1)
    for start in range(0, DIRECTIONS, step):
        block = slice(start, start + step)
        difference = _sorted(directions[block], fakes, shifts[block])
        difference -= _sorted(directions[block], reals, shifts[block])
        total += float(np.einsum("mn,mn->", difference, difference, dtype=np.float64))
    return {"mind": 3 * size * total / (DIRECTIONS * count)}


def _sorted(directions: np.ndarray, features: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    projections = directions @ features.T
    projections -= shifts[:, None]
    projections.sort(axis=1)
    return projections
