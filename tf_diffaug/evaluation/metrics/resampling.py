"""The FID of many subsets or resamples of the same few images, each at the cost of few features.

Of n images the centred features span at most n - 1 directions. In a basis of those of the smaller
set, the trace under the root keeps its value, and of what lies outside only a mean and a total
variance count. So 100 images of 2,048 features cost as much as 100 of 99.
"""

from __future__ import annotations

import numpy as np

from tf_diffaug.evaluation.metrics.sets import FeatureSets
from tf_diffaug.evaluation.statistics import Statistics, frechet_distance


class Resampled:
    """FIDs of rows of fakes against rows of reals.

    Args:
        sets: the features.
    """

    def __init__(self, sets: FeatureSets) -> None:
        fakes, reals = (rows.features.astype(np.float64) for rows in (sets.fakes, sets.reals))
        smaller, larger = (fakes, reals) if len(fakes) < len(reals) else (reals, fakes)
        center = smaller.mean(axis=0)
        self._rows = [fakes - center, reals - center]
        self._outside = [None, None]
        if len(smaller) <= fakes.shape[1]:
            _, scale, basis = np.linalg.svd(smaller - center, full_matrices=False)
            basis = basis[scale > scale.max(initial=0) * 1e-12]
            for index, features in enumerate((fakes, reals)):
                rows = self._rows[index]
                self._rows[index] = rows @ basis.T
                # Nothing of the smaller set lies outside but rounding.
                if features is larger:
                    self._outside[index] = rows - self._rows[index] @ basis

    def fid(self, fakes: np.ndarray, reals: np.ndarray) -> float:
        """The FID of these rows, any of them several times; at least 2 of each."""
        indices = (fakes, reals)
        inside = 0.0
        if self._rows[0].shape[1]:
            inside = frechet_distance(
                *(
                    Statistics.from_features(rows[index])
                    for rows, index in zip(self._rows, indices, strict=True)
                )
            )
        return inside + sum(
            _spread(rows, index)
            for rows, index in zip(self._outside, indices, strict=True)
            if rows is not None
        )


def _spread(rows: np.ndarray, index: np.ndarray) -> float:
    """|mean|^2 and the trace of the covariance."""
    times = np.bincount(index, minlength=len(rows)).astype(np.float64)
    mean = times @ rows / len(index)
    total = times @ np.einsum("nd,nd->n", rows, rows)
    return float(mean @ mean + (total - len(index) * (mean @ mean)) / (len(index) - 1))
