"""Sums of KID's kernel, gathered tile by tile."""

from __future__ import annotations

import numpy as np

from tf_diffaug import random

# arXiv 1801.01401: the kernel (x.y/d + 1)^3, 100 subsets of 1,000.
NUM_SUBSETS = 100
SUBSET_SIZE = 1_000


class KernelSums:
    """Sums of k(x, y) = (x.y/d + 1)^3 over rows, and over the pairs of subsets of fakes and reals.

    Args:
        num_fakes: how many fakes.
        num_reals: how many reals.
        num_features: d.
        seed: of the subsets.
        dtype: of the kernel's values.
    """

    def __init__(
        self, num_fakes: int, num_reals: int, num_features: int, *, seed: int, dtype: np.dtype
    ) -> None:
        self.counts = {"fakes": num_fakes, "reals": num_reals}
        self.subset_size = min(SUBSET_SIZE, num_fakes, num_reals)
        whole = num_fakes == num_reals == self.subset_size
        self._num_features = num_features
        self._members = {}
        for index, (name, count) in enumerate(self.counts.items()):
            rng = np.random.default_rng(
                random.derive_int(seed, "metric", index=random.name_index(f"kid/{index}"))
            )
            # The last column is of all, whose sums are those of whole rows.
            members = np.ones((count, 2 if whole else NUM_SUBSETS + 1), dtype)
            for column in members.T[:-1]:
                column[:] = 0.0
                column[rng.permutation(count)[: self.subset_size]] = 1.0
            self._members[name] = members
        shape = (3, members.shape[1] - 1)
        self._within_fakes, self._within_reals, self._between = np.zeros(shape)
        # Sums over the others, of each row: within its own set, without itself, and across.
        self.own = {name: np.zeros(count) for name, count in self.counts.items()}
        self.across = {name: np.zeros(count) for name, count in self.counts.items()}

    def add(self, pair: str, where: slice, others: slice, bases: np.ndarray) -> None:
        """Adds a tile of x.y/d + 1.

        Args:
            pair: `fakes`, `reals`, or `both`, fakes by reals.
            where: its rows.
            others: its columns. Within one set a tile off the diagonal counts for its mirror too.
            bases: the values.
        """
        kernel = bases * bases
        kernel *= bases
        rows, columns = ("fakes", "reals") if pair == "both" else (pair, pair)
        if pair != "both" and where == others:
            np.fill_diagonal(kernel, 0.0)
        to_each = self._members[rows][where].T @ kernel
        sums = np.einsum("cs,sc->s", self._members[columns][others], to_each, dtype=np.float64)[:-1]
        if pair == "both":
            self._between += sums
            self.across["fakes"][where] += kernel.sum(axis=1)
            self.across["reals"][others] += to_each[-1]
            return
        self.own[pair][others] += to_each[-1]
        if where != others:
            self.own[pair][where] += kernel.sum(axis=1)
            sums *= 2
        if pair == "fakes":
            self._within_fakes += sums
        else:
            self._within_reals += sums

    def subset_distances(self) -> np.ndarray:
        """The unbiased squared maximum mean discrepancy of each subset."""
        size = self.subset_size
        within = (self._within_fakes + self._within_reals) / (size * (size - 1))
        return within - 2 * self._between / size**2

    def standard_error(self) -> float:
        """Of the estimate from all images, by leaving each out in turn (the jackknife).

        The spread over subsets of a small set, which share their images, is far too small: 0 where
        a subset is the set.
        """
        variance = 0.0
        for name, count in self.counts.items():
            others = sum(self.counts.values()) - count
            own, across = self.own[name], self.across[name]
            left_out = (own.sum() - 2 * own) / ((count - 1) * (count - 2))
            left_out -= 2 * (across.sum() - across) / ((count - 1) * others)
            variance += (count - 1) * left_out.var()
        return float(np.sqrt(variance))
