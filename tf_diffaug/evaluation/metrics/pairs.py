"""What several metrics need of all pairs of images, from one product of features a pair of sets.

A tile of dot products is taken once and gives the kernel's sums as well as neighbours; within a set
one half of them does for both. Memory is that of a tile: no matrix of all distances is ever held.
Features are centred first, as |x|^2 + |y|^2 - 2 x.y loses the digits that a common mean takes: on
the reals, so that what is found within them serves the fakes of every seed. Sets of up to 2,048
images, where a few copies matter, go in float64, larger ones in float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from tf_diffaug.evaluation.metrics.kernel import KernelSums
from tf_diffaug.evaluation.nearest import Smallest, slices, squared_distances

PRECISION_K = 3  # arXiv 1904.06991
DENSITY_K = 5  # arXiv 2002.09797
_SMALL = 2_048
_TILE = 1_024  # images a side of a tile of products: 4 MiB in float32, which caches hold


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
        seeds: of all that will be measured against these reals.
        known: what was found within the reals, kept by who holds them.
    """

    def __init__(
        self,
        fakes: np.ndarray,
        reals: np.ndarray,
        *,
        seed: int,
        seeds: Sequence[int] = (),
        known: dict[tuple, object] | None = None,
    ) -> None:
        dtype = np.float64 if max(len(fakes), len(reals)) <= _SMALL else np.float32
        center = reals.mean(axis=0, dtype=np.float64)
        self._seeds = seeds
        self._known = {} if known is None else known
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
        sums, reals = self._within_reals(uses)
        some = [] if sums is None else [sums]
        within = {
            "fakes": self._within("fakes", self._fakes, some, "neighbours" in uses),
            "reals": reals,
        }
        self._between(within, sums)
        if sums is not None:
            self._done["kernel"] = sums

    def _within_reals(self, uses: set[str]) -> tuple[KernelSums | None, tuple | None]:
        """The kernel's sums of this seed, so far of the reals alone, and their neighbours.

        One pass finds those of all seeds.
        """
        fakes, reals, known = self._fakes, self._reals, self._known
        dtype, size = reals.features.dtype, reals.features.shape[1]

        def key(seed: int) -> tuple:
            return "kernel", dtype.name, len(fakes), seed

        sums = {}
        if "kernel" in uses and key(self._seed) not in known:
            sums = {
                key(seed): KernelSums(len(fakes), len(reals), size, seed=seed, dtype=dtype)
                for seed in {self._seed, *self._seeds}
            }
        nearest = "neighbours", dtype.name
        lacks_nearest = "neighbours" in uses and nearest not in known
        if sums or lacks_nearest:
            found = self._within("reals", reals, [*sums.values()], lacks_nearest)
            known.update(sums)
            if lacks_nearest:
                known[nearest] = found
        # Sums are added to, so that they serve once.
        own = known.pop(key(self._seed)) if "kernel" in uses else None
        return own, known[nearest] if "neighbours" in uses else None

    def _within(
        self, name: str, rows: Centred, sums: Sequence[KernelSums], neighbours: bool
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Squared distances (2, n) to the 3rd and 5th nearest in the same set; the nearest."""
        last = len(rows) - 1
        ks = [min(k, last) for k in (PRECISION_K, DENSITY_K)]
        numbers = np.arange(len(rows))
        found = Smallest(len(rows), max(ks), rows.features.dtype)
        for where, others, products in product_tiles(rows, rows):
            if sums:
                bases = rows.kernel_bases(where, rows, others, products)
                for one in sums:
                    one.add(name, where, others, bases)
            if neighbours:
                distances = squared_distances(products, rows.norms[where], rows.norms[others])
                if where == others:
                    np.fill_diagonal(distances, np.inf)
                else:
                    found.offer(others, distances.T, numbers[where])
                found.offer(where, distances, numbers[others])
        radii = np.maximum(found.values[:, [k - 1 for k in ks]].T, 0)
        # A ball includes its border, and of a copy all that is left of a distance is rounding.
        return (radii + rows.rounding, found.labels[:, 0]) if neighbours else None

    def _between(self, within: dict[str, tuple | None], sums: KernelSums | None) -> None:
        fakes, reals = self._fakes, self._reals
        in_reals, balls = np.zeros(len(fakes), bool), np.zeros(len(fakes), np.int64)
        in_fakes, covered = np.zeros(len(reals), bool), np.zeros(len(reals), bool)
        nearest = Smallest(len(fakes), 1, fakes.features.dtype)
        numbers = np.arange(len(reals))
        neighbours = within["reals"] is not None
        if neighbours:
            (fake_radii, _), (real_radii, nearest_other) = within["fakes"], within["reals"]
        for where, others, products in product_tiles(fakes, reals):
            if sums is not None:
                sums.add("both", where, others, fakes.kernel_bases(where, reals, others, products))
            if neighbours:
                distances = squared_distances(products, fakes.norms[where], reals.norms[others])
                nearest.offer(where, distances, numbers[others])
                in_reals[where] |= (distances <= real_radii[0, others]).any(axis=1)
                in_fakes[others] |= (distances <= fake_radii[0, where, None]).any(axis=0)
                inside = distances <= real_radii[1, others]
                balls[where] += np.count_nonzero(inside, axis=1)
                covered[others] |= inside.any(axis=0)
        if neighbours:
            k = min(DENSITY_K, len(reals) - 1)
            self._done["neighbours"] = Neighbourhoods(
                in_reals, in_fakes, balls, covered, k, nearest.labels[:, 0], nearest_other
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

    def kernel_bases(
        self, where: slice, others: Centred, columns: slice, products: np.ndarray
    ) -> np.ndarray:
        """x.y/d + 1 of the plain features, from the products of the centred ones."""
        size = self.features.shape[1]
        constant = self._center @ self._center
        rows = ((self._with_center[where] + constant) / size + 1).astype(products.dtype)
        bases = products * products.dtype.type(1 / size)
        bases += rows[:, None]
        bases += others._with_center[columns] / products.dtype.type(size)
        return bases


def product_tiles(rows: Centred, others: Centred) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yields slices of the rows and of the others and their products.

    Of a set with itself only the tiles on the diagonal and right of it.
    """
    for where in slices(len(rows), _TILE):
        for columns in slices(len(others), _TILE):
            if rows is not others or columns.start >= where.start:
                yield where, columns, rows.features[where] @ others.features[columns].T
