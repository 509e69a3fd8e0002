"""The nearest few of many vectors, found block by block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

# Queries and vectors whose distances are held at once: 16 MiB in float32.
ROWS, COLUMNS = 512, 8_192
_GROUP = 32


class Nearest(NamedTuple):
    """What lies nearest, the nearest first; of equals the one that came first.

    Args:
        distances: Euclidean, float64 (queries, count).
        indices: of the vectors, int64 (queries, count).
        variants: which of a vector's variants was the nearest, int64 (queries, count).
    """

    distances: np.ndarray
    indices: np.ndarray
    variants: np.ndarray


def nearest_vectors(
    queries: np.ndarray,
    blocks: Iterable[tuple[np.ndarray, ...]],
    count: int,
    *,
    left_out: np.ndarray | None = None,
) -> Nearest:
    """Returns which vectors lie nearest to each of some queries.

    Only one block is held at a time. Distances come from products, in float32 if queries are that,
    which should then have a mean near 0. In float64 those of pixels are exact.

    Args:
        queries: numbers (n, d).
        blocks: the vectors in order, each block one array (m, d) for each variant of them: an image
            and its mirror image, say. A vector is as near as its nearest variant.
        count: how many are wanted of each.
        left_out: int (n,), for each query the index of a vector that does not count.

    Raises:
        ValueError: if there are fewer vectors.
    """
    queries = np.asarray(queries)
    if queries.dtype != np.float32:
        queries = queries.astype(np.float64)
    norms = np.einsum("nd,nd->n", queries, queries)
    found = Smallest(len(queries), count, queries.dtype)
    start = variants = 0
    for block in blocks:
        parts = [np.asarray(part).astype(queries.dtype, copy=False) for part in block]
        sizes = [np.einsum("nd,nd->n", part, part) for part in parts]
        variants, numbers = len(parts), start + np.arange(len(parts[0]))
        for where in slices(len(queries), ROWS):
            squares = [
                squared_distances(queries[where] @ part.T, norms[where], size)
                for part, size in zip(parts, sizes, strict=True)
            ]
            if left_out is not None:
                row, column = np.nonzero(left_out[where, None] == numbers)
                for some in squares:
                    some[row, column] = np.inf
            variant = np.argmin(squares, axis=0) if variants > 1 else 0
            found.offer(where, np.min(squares, axis=0), numbers * variants + variant)
        start += len(numbers)
    if start < count + (left_out is not None):
        raise ValueError(f"There are {start} vectors. Received: count={count}.")
    # What rounding leaves of a copy's square may be below 0.
    distances = np.sqrt(np.maximum(found.values.astype(np.float64), 0))
    return Nearest(distances, found.labels // variants, found.labels % variants)


class Smallest:
    """The smallest values of each row of a matrix that comes in tiles, in order.

    Args:
        rows: how many rows.
        count: how many of each are kept.
        dtype: of the values.

    Attributes:
        values: (rows, count), the smallest first, infinite where fewer were offered.
        labels: int64 (rows, count), what was said of each; of equals the first one's.
    """

    def __init__(self, rows: int, count: int, dtype: np.dtype) -> None:
        self.values = np.full((rows, count), np.inf, dtype)
        self.labels = np.zeros((rows, count), np.int64)

    def offer(self, where: slice, tile: np.ndarray, labels: np.ndarray) -> None:
        """Takes in a tile.

        Args:
            where: its rows.
            tile: values (n, m).
            labels: int, of each value or of each column.
        """
        known, count = self.values[where], self.values.shape[1]
        least = np.minimum(known[:, -1], _bound(tile, count))
        row, column = np.divmod(np.flatnonzero(tile <= least[:, None]), tile.shape[1])
        rows = np.concatenate([np.repeat(np.arange(len(known)), count), row])
        values = np.concatenate([known.ravel(), tile[row, column]])
        labels = np.broadcast_to(labels, tile.shape)[row, column]
        labels = np.concatenate([self.labels[where].ravel(), labels])
        order = np.lexsort((values, rows))
        starts = np.searchsorted(rows[order], np.arange(len(known)))
        chosen = order[starts[:, None] + np.arange(count)]
        self.values[where], self.labels[where] = values[chosen], labels[chosen]


def _bound(tile: np.ndarray, count: int) -> np.ndarray:
    """Of each row a value that `count` of its values or more do not exceed.

    The smallest of each group of columns are values of the row, so that a few of them must be
    looked at, not all: partitioning whole rows takes longer than their products.
    """
    groups = tile.shape[1] // _GROUP
    if groups < count:
        return np.full(len(tile), np.inf, tile.dtype)
    smallest = tile[:, : groups * _GROUP].reshape(len(tile), _GROUP, groups).min(axis=1)
    return np.partition(smallest, count - 1, axis=1)[:, count - 1]


def squared_distances(products: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """|x|^2 + |y|^2 - 2 x.y from products and squared norms, in place of the products.

    That of a copy is 0 but for rounding, and may be below.
    """
    products *= -2
    products += rows[:, None]
    products += columns
    return products


def slices(count: int, step: int) -> list[slice]:
    """Slices that make up `count` rows, each of `step` or the last of what is left."""
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]
