"""The nearest training images of samples: what a GAN that copies is found out by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


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
    queries: np.ndarray, blocks: Iterable[tuple[np.ndarray, ...]], count: int
) -> Nearest:
    """Returns which vectors lie nearest to each of some queries.

    Only one block is held at a time. Differences are taken in float64, in which distances of pixels
    are exact.

    Args:
        queries: numbers (n, d).
        blocks: the vectors in order, each block one array (m, d) for each variant of them: an image
            and its mirror image, say. A vector is as near as its nearest variant.
        count: how many are wanted of each.

    Raises:
        ValueError: if there are fewer vectors.
    """
    queries = np.asarray(queries, np.float64)
    rows = np.arange(len(queries))[:, None]
    best = np.empty((len(queries), 0))
    indices, variants = (np.empty((len(queries), 0), np.int64) for _ in range(2))
    start = 0
    for block in blocks:
        squares = np.stack([_squared_distances(queries, np.asarray(part)) for part in block])
        variant = squares.argmin(0)
        best = np.concatenate([best, squares.min(0)], 1)
        numbers = np.broadcast_to(start + np.arange(squares.shape[2]), variant.shape)
        indices = np.concatenate([indices, numbers], 1)
        variants = np.concatenate([variants, variant], 1)
        order = np.argsort(best, axis=1, kind="stable")[:, :count]
        best, indices, variants = best[rows, order], indices[rows, order], variants[rows, order]
        start += squares.shape[2]
    if start < count:
        raise ValueError(f"There are {start} vectors. Received: count={count}.")
    return Nearest(np.sqrt(best), indices, variants)


def _squared_distances(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64, copy=False)
    squares = (queries**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * queries @ vectors.T
    return np.maximum(squares, 0)  # what rounding leaves of a copy's distance
