"""What several metrics need of all pairs of images, from one product of features a pair of sets.

A block of dot products is taken once and gives the kernel's sums as well as neighbours. Memory is
that of a block of rows: no matrix of all distances is ever held. Features are centred first, as
|x|^2 + |y|^2 - 2 x.y loses the digits that a common mean takes. Sets of up to 2,048 images, where
a few copies matter, go in float64, larger ones in float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from tf_diffaug.evaluation.metrics.kernel import KernelSums

PRECISION_K = 3  # arXiv 1904.06991
DENSITY_K = 5  # arXiv 2002.09797
_SMALL = 2_048
_BLOCK = 1 << 23  # values in a block of products: 32 MiB in float32
_CHUNK = 1 << 20  # of which so many are worked on at once, as they are read several times


@dataclasses.dataclass(frozen=True)
class Neighbourhoods:
    """Who lies in whose ball: around each image one that reaches to its k-th nearest neighbour.

    Args:
        fake_in_reals: bool (fakes,), whether a fake lies in a ball of any real, k = 3.
        real_in_fakes: bool (reals,), whether a real lies in a ball of any fake, k = 3.
        balls_of_fake: int (fakes,), in how many reals' balls a fake lies, k = 5.
        real_is_covered: bool (reals,), whether a real's ball holds a fake, k = 5.
        k: the k of density and coverage: 5, or how many others there are if fewer.
        nearest_real: int (fakes,), each fake's nearest real.
        nearest_other_real: int (reals,), each real's nearest other real.
    """

    fake_in_reals: np.ndarray
    real_in_fakes: np.ndarray
    balls_of_fake: np.ndarray
    real_is_covered: np.ndarray
    k: int
    nearest_real: np.ndarray
    nearest_other_real: np.ndarray


class Pairs:
    """The pairs within and between fakes and reals, taken at most once.

    Args:
        fakes: float32 (n, d).
        reals: float32 (m, d).
        seed: of the kernel's subsets.
    """

    def __init__(self, fakes: np.ndarray, reals: np.ndarray, *, seed: int) -> None:
        dtype = np.float64 if max(len(fakes), len(reals)) <= _SMALL else np.float32
        center = _center(fakes, reals)
        self._fakes, self._reals = (Centred(features, center, dtype) for features in (fakes, reals))
        self._seed = seed
        self._wanted: set[str] = set()
        self._done: dict[str, object] = {}

    def has(self, use: str) -> bool:
        """Whether it is done or will be."""
        return use in self._wanted or use in self._done

    def want(self, *uses: str) -> None:
        """Says what will be asked for, `kernel` or `neighbours`, so that one pass serves both."""
        self._wanted.update(uses)

    @property
    def kernel(self) -> KernelSums:
        """The sums of KID's kernel."""
        return self._get("kernel")

    @property
    def neighbours(self) -> Neighbourhoods:
        """Who lies in whose ball."""
        return self._get("neighbours")

    def _get(self, use: str) -> object:
        if use not in self._done:
            self._run((self._wanted | {use}) - set(self._done))
        return self._done[use]

    def _run(self, uses: set[str]) -> None:
        fakes, reals = self._fakes, self._reals
        sums = None
        if "kernel" in uses:
            dtype, size = fakes.features.dtype, fakes.features.shape[1]
            sums = KernelSums(len(fakes), len(reals), size, seed=self._seed, dtype=dtype)
        within = {
            name: self._within(name, rows, sums, "neighbours" in uses)
            for name, rows in (("fakes", fakes), ("reals", reals))
        }
        self._between(within, sums)
        if sums is not None:
            self._done["kernel"] = sums

    def _within(
        self, name: str, rows: Centred, sums: KernelSums | None, neighbours: bool
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Squared distances (2, n) to the 3rd and 5th nearest in the same set; the nearest."""
        last = len(rows) - 1
        ks = [min(k, last) for k in (PRECISION_K, DENSITY_K)]
        radii = np.empty((2, len(rows)), rows.features.dtype)
        nearest = np.empty(len(rows), np.int64)
        for where, products in product_blocks(rows, rows):
            if sums is not None:
                sums.add(name, where, rows.kernel_bases(where, rows, products))
            if neighbours:
                distances = squared_distances(rows, where, rows, products)
                np.fill_diagonal(distances[:, where], np.inf)
                nearest[where] = distances.argmin(axis=1)
                distances.partition(sorted({k - 1 for k in ks}), axis=1)
                radii[:, where] = distances[:, [k - 1 for k in ks]].T
        # A ball includes its border, and of a copy all that is left of a distance is rounding.
        return (radii + rows.rounding, nearest) if neighbours else None

    def _between(self, within: dict[str, tuple | None], sums: KernelSums | None) -> None:
        fakes, reals = self._fakes, self._reals
        in_reals, balls = np.zeros(len(fakes), bool), np.zeros(len(fakes), np.int64)
        in_fakes, covered = np.zeros(len(reals), bool), np.zeros(len(reals), bool)
        nearest = np.empty(len(fakes), np.int64)
        neighbours = within["reals"] is not None
        if neighbours:
            (fake_radii, _), (real_radii, nearest_other) = within["fakes"], within["reals"]
        for where, products in product_blocks(fakes, reals):
            if sums is not None:
                sums.add("both", where, fakes.kernel_bases(where, reals, products))
            if neighbours:
                distances = squared_distances(fakes, where, reals, products)
                nearest[where] = distances.argmin(axis=1)
                in_reals[where] = (distances <= real_radii[0]).any(axis=1)
                in_fakes |= (distances <= fake_radii[0][where, None]).any(axis=0)
                inside = distances <= real_radii[1]
                balls[where] = np.count_nonzero(inside, axis=1)
                covered |= inside.any(axis=0)
        if neighbours:
            k = min(DENSITY_K, len(reals) - 1)
            self._done["neighbours"] = Neighbourhoods(
                in_reals, in_fakes, balls, covered, k, nearest, nearest_other
            )


class Centred:
    """Features less a common centre, and what is needed to get at the plain ones.

    Args:
        features: (n, d).
        center: float64 (d,).
        dtype: of the products.
    """

    def __init__(self, features: np.ndarray, center: np.ndarray, dtype: type) -> None:
        self.features = np.subtract(features, center.astype(dtype), dtype=dtype)
        self._center = center.astype(dtype).astype(np.float64)
        self.norms = np.einsum("nd,nd->n", self.features, self.features, dtype=dtype)
        # A product's error grows with the length of the sum; four times its root is on the safe
        # side of what float32 products of 2,048 features show.
        eps = np.finfo(dtype).eps
        self.rounding = (4 * eps * self.features.shape[1] ** 0.5 * self.norms).astype(dtype)
        self._with_center = self.features @ self._center.astype(dtype)

    def __len__(self) -> int:
        return len(self.features)

    def kernel_bases(self, where: slice, others: Centred, products: np.ndarray) -> np.ndarray:
        """x.y/d + 1 of the plain features, from the products of the centred ones."""
        size = self.features.shape[1]
        constant = self._center @ self._center
        rows = ((self._with_center[where] + constant) / size + 1).astype(products.dtype)
        bases = products * products.dtype.type(1 / size)
        bases += rows[:, None]
        bases += others._with_center / products.dtype.type(size)
        return bases


def product_blocks(rows: Centred, others: Centred) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields slices of the rows and their products with all others."""
    step, part = (max(values // len(others), 1) for values in (_BLOCK, _CHUNK))
    for start in range(0, len(rows), step):
        products = rows.features[start : start + step] @ others.features.T
        for first in range(0, len(products), part):
            chunk = products[first : first + part]
            yield slice(start + first, start + first + len(chunk)), chunk


def squared_distances(
    rows: Centred, where: slice, others: Centred, products: np.ndarray
) -> np.ndarray:
    """|x|^2 + |y|^2 - 2 x.y, never negative; overwrites the products."""
    products *= -2
    products += rows.norms[where, None]
    products += others.norms
    return np.maximum(products, 0, out=products)


def _center(fakes: np.ndarray, reals: np.ndarray) -> np.ndarray:
    return (fakes.mean(axis=0, dtype=np.float64) + reals.mean(axis=0, dtype=np.float64)) / 2
