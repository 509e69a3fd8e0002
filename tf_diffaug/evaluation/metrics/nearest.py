"""Nearest training images, of which none may be left out."""

from __future__ import annotations

import dataclasses

import numpy as np

from tf_diffaug.evaluation.metrics.sets import MAX_PAIRED, FeatureSets
from tf_diffaug.evaluation.nearest import COLUMNS, ROWS, nearest_vectors, slices


@dataclasses.dataclass(frozen=True)
class Nearest:
    """Each image's nearest one of a set.

    Args:
        index: int (n,), which it is.
        distance: float64 (n,), how far, exactly 0 for a copy.
    """

    index: np.ndarray
    distance: np.ndarray


def fakes_to_train(sets: FeatureSets, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Each fake's distance to its nearest training image, and that one's to its nearest other.

    Where the training images are the reals whose neighbourhoods are asked for too, that pass over
    pairs has found them.
    """
    train = sets.train.features
    pairs = sets.pairs(seed) if sets.train is sets.reals and len(train) <= MAX_PAIRED else None
    if pairs is not None and pairs.has("neighbours"):
        found = pairs.neighbours
        fakes = sets.sampled("fakes", MAX_PAIRED, seed)
        own = _distances(train, train, found.nearest_other_real)
        return _distances(fakes, train, found.nearest_real), own[found.nearest_real]
    to_train = nearest_train(sets, seed, "fakes")
    asked, place = np.unique(to_train.index, return_inverse=True)
    own = nearest(train[asked], train, own=asked).distance
    return to_train.distance, own[place.reshape(-1)]


def nearest_train(sets: FeatureSets, seed: int, name: str) -> Nearest:
    """The nearest training images of the fakes or held-out images, found once.

    All training images are looked at, or a copy of one could be missed. Of more than 10,000 of the
    others, 10,000 are taken.
    """
    rows, images = sets.sampled(name, MAX_PAIRED, seed), getattr(sets, name)
    # Where the seed draws no part of them, the next seed's held-out images are these.
    holder, key = (images, sets.train) if rows is images.features else (sets, (name, seed))
    known: dict[object, Nearest] = holder.__dict__.setdefault("_nearest", {})
    if key not in known:
        known[key] = nearest(rows, sets.train.features)
    return known[key]


def nearest(rows: np.ndarray, others: np.ndarray, own: np.ndarray | None = None) -> Nearest:
    """Finds the nearest other of each row.

    Products find it, in float32 blocks of centred features; the distance to it is then taken in
    float64 from the difference of the two, so that a copy's is exactly 0.

    Args:
        rows: float32 (n, d).
        others: float32 (m, d).
        own: int (n,), the index of each row itself among the others, which does not count.
    """
    center = others.mean(axis=0, dtype=np.float64).astype(np.float32)
    blocks = ((others[where] - center,) for where in slices(len(others), COLUMNS))
    index = nearest_vectors(rows - center, blocks, 1, left_out=own).indices[:, 0]
    return Nearest(index, _distances(rows, others, index))


def _distances(rows: np.ndarray, others: np.ndarray, index: np.ndarray) -> np.ndarray:
    distances = np.empty(len(rows))
    for where in slices(len(rows), ROWS):
        difference = np.subtract(rows[where], others[index[where]], dtype=np.float64)
        distances[where] = np.sqrt(np.einsum("nd,nd->n", difference, difference))
    return distances
