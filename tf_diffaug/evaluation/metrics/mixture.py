"""FLD's mixture: an isotropic Gaussian around each fake, with a variance of its own.

The fit is that of the published code (github.com/marcojira/fld, MoG.py): Adam on the logarithms of
the variances, 50 steps at a rate of 0.5, with one more Gaussian around the training images' mean
that keeps far images from pulling at all the others, and does not count afterwards.
"""

from __future__ import annotations

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


def scaled_distances(rows: np.ndarray, fakes: np.ndarray) -> np.ndarray:
    """Squared distances (rows, fakes) over d, in float64, those of copies exactly 0."""
    center = rows.mean(axis=0)
    rows, fakes = rows - center, fakes - center
    norms = np.einsum("nd,nd->n", rows, rows)[:, None] + np.einsum("nd,nd->n", fakes, fakes)
    distances = norms - 2 * (rows @ fakes.T)
    distances[distances < 1e-12 * norms] = 0.0
    return distances / rows.shape[1]


def fit_variances(distances: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The logarithms of the variances, (fakes,), that make the training images likely.

    Args:
        distances: of `scaled_distances`, training images by fakes.
        train: the training images, (n, d).
    """
    count, size = train.shape
    difference = train - train.mean(axis=0)
    origin = ORIGIN * np.einsum("nd,nd->n", difference, difference)[:, None] / size
    distances = np.concatenate([distances, origin], axis=1)
    logs = np.append(np.log(distances[:, :-1].min(axis=0) + LEAST / size), 0.0)
    weights = np.append(np.full(len(logs) - 1, -np.log(len(logs) - 1)), 0.0)
    first, second = np.zeros((2, len(logs)))
    losses: list[float] = []
    for step in range(1, STEPS + 1):
        terms = _log_densities(distances, logs, size) + weights
        likelihoods = _log_sum(terms)
        losses.append(-likelihoods.mean() / size)
        shares = np.exp(terms - likelihoods[:, None])
        over = distances / np.exp(logs) - 1
        gradient = -0.5 * np.einsum("nm,nm->m", shares, over) / count
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
    return _log_sum(_log_densities(distances, logs, size)) - np.log(len(logs))


def _log_densities(distances: np.ndarray, logs: np.ndarray, size: int) -> np.ndarray:
    return -size / 2 * (distances / np.exp(logs) + (logs + np.log(2 * np.pi)))


def _log_sum(terms: np.ndarray) -> np.ndarray:
    most = terms.max(axis=1, keepdims=True)
    return (most + np.log(np.exp(terms - most).sum(axis=1, keepdims=True)))[:, 0]
