"""Mean and covariance of a stream of features, and the Fréchet distance between two of them.

Everything here is float64 NumPy: the distance subtracts traces that agree to many digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# A covariance's or a product's eigenvalue below minus this share of the largest is no rounding.
_NEGATIVE = 1e-7
# Nor is a difference of a covariance from its transpose above this share of its largest value, even
# of one that was computed in float32.
_ASYMMETRIC = 1e-5


class Statistics:
    """Streaming mean and covariance of feature vectors, mergeable, in float64.

    Batches are folded in by the pairwise update of Chan, Golub and LeVeque (1979), so that a large
    mean costs no digits of the covariance and the number of batches does not matter.

    Args:
        num_features: length of each feature vector.

    Raises:
        ValueError: if `num_features` is not a positive integer.
    """

    def __init__(self, num_features: int) -> None:
        if num_features < 1:
            raise ValueError(f"num_features must be positive. Received: {num_features=}.")
        self.num_features = int(num_features)
        self.fingerprint: str | None = None  # digest of the images, where known
        self.extractor: str | None = None  # version of what made the features, where known
        self._count = 0
        self._mean = np.zeros(self.num_features)
        self._scatter = np.zeros((self.num_features, self.num_features))
        self._factor: tuple[np.ndarray, bool] | None = None  # of the covariance, once asked for

    @classmethod
    def from_features(cls, features: Any) -> Statistics:
        """Returns the statistics of one array of features, shape (n, num_features)."""
        features = np.asarray(features)
        if features.ndim != 2:
            raise ValueError(
                f"features must have shape (n, num_features). Received: shape={features.shape}."
            )
        return cls(features.shape[1]).update(features)

    @classmethod
    def from_moments(cls, count: int, mean: Any, cov: Any) -> Statistics:
        """Returns statistics with these moments.

        Args:
            count: how many samples they are of, at least 2.
            mean: shape (num_features,).
            cov: unbiased covariance, shape (num_features, num_features), symmetric.

        Raises:
            ValueError: if the shapes do not fit, `count` is below 2, or `cov` is not symmetric.
        """
        mean, cov = np.array(mean, np.float64), np.array(cov, np.float64)
        if mean.ndim != 1 or cov.shape != (mean.size, mean.size):
            raise ValueError(
                "mean must have shape (d,) and cov (d, d). "
                f"Received: mean.shape={mean.shape}, cov.shape={cov.shape}."
            )
        if count < 2:
            raise ValueError(f"A covariance needs at least 2 samples. Received: {count=}.")
        statistics = cls(mean.size)
        # What is not finite is refused when it is compared.
        off = np.abs(cov - cov.T).max() if np.isfinite(cov).all() else 0.0
        if off > _ASYMMETRIC * np.abs(cov).max():
            raise ValueError(
                "A covariance is symmetric, or each distance would look at another half of it. "
                f"Received: cov that differs from its transpose by up to {off:.6g}."
            )
        statistics._count = int(count)
        statistics._mean = mean
        statistics._scatter = cov * (count - 1)
        return statistics

    def update(self, features: Any) -> Statistics:
        """Adds a batch of features.

        Args:
            features: shape (n, num_features), any float type; n may be 0.

        Returns:
            Itself.

        Raises:
            ValueError: if the shape does not fit or a value is not finite; then nothing is added.
        """
        features = np.asarray(features).astype(np.float64, copy=False)
        if features.ndim != 2 or features.shape[1] != self.num_features:
            raise ValueError(
                f"features must have shape (n, {self.num_features}). "
                f"Received: shape={features.shape}."
            )
        bad = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
        if bad:
            raise ValueError(
                f"{bad} of {len(features)} feature vectors are not finite, after {self._count} "
                f"good ones. Received: features={features.dtype} with NaN or infinity."
            )
        if len(features):
            mean = features.mean(axis=0)
            rows = np.empty((len(features) + 1, self.num_features))
            np.subtract(features, mean, out=rows[:-1])
            self._fold_in(len(features), mean, rows)
        return self

    def merge(self, other: Statistics) -> Statistics:
        """Adds all samples of `other`, as if each had been seen here, and returns itself."""
        _check_same_features(self, other)
        if other._count:
            self._fold_in(other._count, other._mean, np.empty((1, self.num_features)))
            self._scatter += other._scatter
        return self

    def _fold_in(self, count: int, mean: np.ndarray, rows: np.ndarray) -> None:
        self._factor = None
        total = self._count + count
        delta = mean - self._mean
        # The shift of the mean is the last row of the product, which saves an outer product.
        rows[-1] = np.sqrt(self._count * count / total) * delta
        self._scatter += rows.T @ rows
        self._mean = self._mean + delta * (count / total)
        self._count = total

    @property
    def count(self) -> int:
        """How many samples have been seen."""
        return self._count

    @property
    def mean(self) -> np.ndarray:
        """The mean, float64 of shape (num_features,)."""
        if self._count < 1:
            raise ValueError(f"A mean needs at least 1 sample. Received: count={self._count}.")
        return self._mean.copy()

    @property
    def cov(self) -> np.ndarray:
        """The unbiased covariance, float64 of shape (num_features, num_features)."""
        if self._count < 2:
            raise ValueError(
                f"A covariance needs at least 2 samples. Received: count={self._count}."
            )
        return self._scatter / (self._count - 1)


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """The Fréchet distance between the Gaussians with these means and covariances.

    d = |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1^1/2 C2 C1^1/2)^1/2 (Heusel et al. 2017, equation 6),
    squared as is usual for the FID. With C1 = F F^T the eigenvalues under the root are those of
    F^T C2 F, so one Cholesky factor and one symmetric eigenvalue problem do. A covariance without
    full rank (fewer images than features, a dead feature) has an F with as many columns as its
    rank, which keeps the square roots of rounding errors out of the sum. The factor is kept for the
    next distance: of the same reals at every evaluation, if they are the first.

    Raises:
        ValueError: if the two differ in their number of features, have fewer than 2 samples, are
            not finite, or have a covariance that is no covariance (a negative eigenvalue).
    """
    _check_same_features(first, second)
    # The one of fewer samples has the lower rank, so the smaller problem.
    if _most_rank(first) > _most_rank(second):
        first, second = second, first
    cov_1, cov_2 = first.cov, second.cov
    for statistics, cov in ((first, cov_1), (second, cov_2)):
        if not (np.isfinite(statistics.mean).all() and np.isfinite(cov).all()):
            raise ValueError(f"Statistics are not finite. Received: count={statistics.count}.")
        if cov.diagonal().min() < 0:
            raise ValueError(
                "A covariance has a negative variance on its diagonal. "
                f"Received: smallest={cov.diagonal().min():.6g}."
            )
    if first._factor is None:
        first._factor = _factored(cov_1, is_full=_most_rank(first) == first.num_features)
    eigenvalues = _non_negative(np.linalg.eigvalsh(_product(*first._factor, cov_2)))
    shift = first.mean - second.mean
    distance = shift @ shift + np.trace(cov_1) + np.trace(cov_2) - 2 * np.sqrt(eigenvalues).sum()
    return max(float(distance), 0.0)


def _most_rank(statistics: Statistics) -> int:
    return min(statistics.count - 1, statistics.num_features)


def _factored(cov: np.ndarray, *, is_full: bool) -> tuple[np.ndarray, bool]:
    """Returns F of shape (d, rank) with cov = F F^T, and whether it is lower triangular."""
    if is_full:
        try:
            return np.linalg.cholesky(cov), True
        except np.linalg.LinAlgError:
            pass  # not positive definite: the eigenvectors below tell whether that is an error
    eigenvalues, vectors = np.linalg.eigh(cov)
    eigenvalues = _non_negative(eigenvalues)
    kept = eigenvalues > len(cov) * np.finfo(np.float64).eps * eigenvalues.max()
    return vectors[:, kept] * np.sqrt(eigenvalues[kept]), False


def _product(factor: np.ndarray, is_lower: bool, cov: np.ndarray) -> np.ndarray:
    """Returns F^T cov F, shape (rank, rank), of which the lower triangle counts."""
    return _triangular_product(factor, cov) if is_lower else factor.T @ (cov @ factor)


def _triangular_product(lower: np.ndarray, cov: np.ndarray, block: int = 256) -> np.ndarray:
    """The lower triangle of lower^T cov lower, at a third of the cost of two full products."""
    product = np.zeros_like(cov)
    for start in range(0, len(cov), block):
        columns = slice(start, start + block)
        right = cov[start:, start:] @ lower[start:, columns]
        product[start:, columns] = lower[start:, start:].T @ right
    return product


def _non_negative(eigenvalues: np.ndarray) -> np.ndarray:
    if eigenvalues.size and eigenvalues.min() < -_NEGATIVE * np.abs(eigenvalues).max():
        raise ValueError(
            "A covariance has a negative eigenvalue, so it is no covariance. "
            f"Received: smallest={eigenvalues.min():.6g}, largest={eigenvalues.max():.6g}."
        )
    return np.maximum(eigenvalues, 0.0)


def _check_same_features(first: Statistics, second: Statistics) -> None:
    if first.num_features != second.num_features:
        raise ValueError(
            "Statistics of different features cannot be compared. "
            f"Received: num_features={first.num_features} and {second.num_features}."
        )
