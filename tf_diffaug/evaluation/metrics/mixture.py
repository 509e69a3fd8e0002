"""FLD's mixture: an isotropic Gaussian around each fake, with a variance of its own.

The fit is that of the published code (github.com/marcojira/fld, MoG.py): Adam on the logarithms of
the variances, 50 steps at a rate of 0.5, with one more Gaussian around the training images' mean
that keeps far images from pulling at all the others, and does not count afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

STEPS = 50
RATE = 0.5
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
# Added to the least squared distance, so that a copy starts with a variance.
LEAST = 1e-3
# Bounds of the logarithms: an exact copy's falls for as long as the fit goes on.
BOUND = 40.0
# Squared distances to the mean are taken less by this factor.
ORIGIN = (1 - 0.1) ** 2
# The fit ends once the loss, in nats a feature, has moved by less in five steps.
TOLERANCE = 5e-4
# So many rows are worked on at once that what is made of them stays in the cache.
_ROWS = 64
# And so many have their distances computed at once.
_BLOCK = 4_096


def scaled_distances(rows: np.ndarray, fakes: np.ndarray) -> np.ndarray:
    """Squared distances (rows, fakes) over d, those of copies exactly 0.

    They are computed in float64 and kept in float32: of all training images they are many.
    """
    center = fakes.mean(axis=0, dtype=np.float64)
    fakes = fakes - center
    fake_norms = np.einsum("nd,nd->n", fakes, fakes)
    found = np.empty((len(rows), len(fakes)), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK] - center
        norms = np.einsum("nd,nd->n", block, block)[:, None] + fake_norms
        distances = norms - 2 * (block @ fakes.T)
        distances[distances < 1e-12 * norms] = 0.0
        found[start : start + _BLOCK] = distances / rows.shape[1]
    return found


def fit_variances(distances: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The logarithms of the variances, (fakes,), that make the training images likely.

    Args:
        distances: of `scaled_distances`, training images by fakes.
        train: the training images, (n, d).
    """
    count, size = train.shape
    origin = ORIGIN * scaled_distances(train, train.mean(axis=0, dtype=np.float64)[None])
    logs = np.append(np.log(distances.min(axis=0) + np.float64(LEAST / size)), 0.0)
    weights = np.append(np.full(len(logs) - 1, -np.log(len(logs) - 1)), 0.0)
    first, second = np.zeros((2, len(logs)))
    losses: list[float] = []
    for step in range(1, STEPS + 1):
        loss, gradient = 0.0, np.zeros(len(logs))
        for part in _parts(count):
            tile = np.concatenate([distances[part], origin[part]], axis=1)
            likelihoods, shares = _mixed(tile, logs, size, weights)
            loss -= likelihoods.sum() / size
            # Twice that of the loss in each logarithm.
            gradient += shares.sum(axis=0) - np.einsum("nm,nm->m", shares, tile) / np.exp(logs)
        losses.append(loss / count)
        gradient /= 2 * count
        first = BETA_1 * first + (1 - BETA_1) * gradient
        second = BETA_2 * second + (1 - BETA_2) * gradient**2
        move = (first / (1 - BETA_1**step)) / (np.sqrt(second / (1 - BETA_2**step)) + EPSILON)
        logs = logs - RATE * move
        logs[:-1] = logs[:-1].clip(-BOUND, BOUND)
        if step > 6 and max(abs(losses[-1] - loss) for loss in losses[-5:]) < TOLERANCE:
            break
    return logs[:-1]


def log_likelihoods(distances: np.ndarray, logs: np.ndarray, size: int) -> np.ndarray:
    """Of each row under the mixture, (rows,)."""
    weights = np.full(len(logs), -np.log(len(logs)))
    parts = _parts(len(distances))
    return np.concatenate([_mixed(distances[part], logs, size, weights)[0] for part in parts])


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, count, _ROWS))


def _mixed(
    distances: np.ndarray, logs: np.ndarray, size: int, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of rows' likelihoods, (rows,), and each Gaussian's share of them."""
    terms = distances * (-size / 2 / np.exp(logs))
    terms += weights - size / 2 * (logs + np.log(2 * np.pi))
    most = terms.max(axis=1, keepdims=True)
    terms -= most
    np.exp(terms, out=terms)
    sums = terms.sum(axis=1, keepdims=True)
    terms /= sums
    return (most + np.log(sums))[:, 0], terms
