"""The FID of many subsets or resamples of the same few images, each at the cost of few features.

With C1 = A^T A and C2 = B^T B the trace under the root is the sum of the singular values of A B^T,
which are dot products of images, the same for every resample but for its mean. So 100 images of
2,048 features cost as much as 100 of 100.
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
        # A common shift moves no distance, but a large one would cost digits.
        center = reals.mean(axis=0)
        self._rows = [np.subtract(rows, center, out=rows) for rows in (fakes, reals)]
        self._products = None
        if min(len(fakes), len(reals)) <= fakes.shape[1]:
            self._products = fakes @ reals.T
            self._norms = [np.einsum("nd,nd->n", rows, rows) for rows in self._rows]

    def fid(self, fakes: np.ndarray, reals: np.ndarray) -> float:
        """The FID of these rows, any of them several times; at least 2 of each."""
        if self._products is None:
            picked = zip(self._rows, (fakes, reals), strict=True)
            return frechet_distance(*(Statistics.from_features(rows[i]) for rows, i in picked))
        means, shares, kept, traces = [], [], [], 0.0
        for rows, norms, index in zip(self._rows, self._norms, (fakes, reals), strict=True):
            count, times = len(index), np.bincount(index, minlength=len(rows))
            means.append(times @ rows / count)
            traces += (times @ norms - count * (means[-1] @ means[-1])) / (count - 1)
            kept.append(np.flatnonzero(times))
            shares.append(times[kept[-1]] / count)
        shift = means[0] - means[1]
        products = self._products[np.ix_(*kept)]
        products -= shares[0] @ products
        products -= (products @ shares[1])[:, None]
        for axis, (share, index) in enumerate(zip(shares, (fakes, reals), strict=True)):
            scale = np.sqrt(share * (len(index) / (len(index) - 1)))
            products *= np.expand_dims(scale, 1 - axis)
        roots = np.linalg.svd(products, compute_uv=False).sum()
        return max(float(shift @ shift + traces - 2 * roots), 0.0)
