"""Whether images have the texture of given ones: a distance in statistics, not a trained judge.

What a classifier says of images unlike any that it was trained on means nothing. Textures that a
young G makes (checkerboards, grids, blobs) are of no end of kinds; so these are known by their
distance from reals and not as a class of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_LEVELS = 4
# Keeps a covariance of few images invertible (a shrinkage towards uncorrelated statistics).
_SHRINKAGE = 0.05
# The share of held-out images that are as near as an ordinary one: of four in five half are seldom
# missed by chance, and images of another kind seldom keep within them.
_ORDINARY = 0.8


class Textures:
    """Knows the textures of some kinds of images.

    Distances are Mahalanobis's, to the nearest kind.

    Args:
        kinds: of each kind its images' statistics, (n, statistics), see `texture_statistics`.
        held_out: statistics of other images of these kinds, of each the same number: four in five
            are ordinary.
    """

    def __init__(self, kinds: Sequence[np.ndarray], held_out: np.ndarray) -> None:
        self._kinds = [_moments(kind) for kind in kinds]
        self._threshold = float(np.quantile(self._distances(held_out), _ORDINARY))

    def are_unlike(self, statistics: np.ndarray) -> np.ndarray:
        """Whether images are further from every kind than ordinary ones, bool (n,)."""
        return self._distances(statistics) > self._threshold

    def _distances(self, statistics: np.ndarray) -> np.ndarray:
        found = []
        for mean, deviation, precision in self._kinds:
            normal = (statistics - mean) / deviation
            found.append(np.sqrt(np.einsum("ni,ij,nj->n", normal, precision, normal)))
        return np.min(found, axis=0)


def texture_statistics(images: tf.Tensor) -> tf.Tensor:
    """Color, contrast, and how strong and how sparse differences are, at up to four scales.

    Args:
        images: float (n, height, width, channels) in [-1, 1].

    Returns:
        float (n, statistics): each channel's mean and log standard deviation; then, for
        differences of neighbors across, down and both, the log of their mean square and the ratio
        of their mean size to its root (1 where all are alike, near 0 where few are not 0).
    """
    # Offsets of about a grey level or two: what is fainter is none.
    found = [
        tf.reduce_mean(images, [1, 2]),
        tf.math.log(tf.math.reduce_std(images, [1, 2]) + 0.02),
    ]
    for _ in range(_LEVELS):
        if min(images.shape[1:3]) < 4:
            break
        across = images[:, :, 1:] - images[:, :, :-1]
        down = images[:, 1:] - images[:, :-1]
        for differences in (across, down, across[:, 1:] - across[:, :-1]):
            square = tf.reduce_mean(differences**2, [1, 2, 3])
            size = tf.reduce_mean(tf.abs(differences), [1, 2, 3])
            found.append(tf.math.log(square + 1e-3)[:, None])
            found.append((size / tf.sqrt(square + 1e-4))[:, None])
        images = tf.nn.avg_pool2d(images, 2, 2, "SAME")
    return tf.concat(found, axis=1)


def _moments(statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, deviation = statistics.mean(0), statistics.std(0) + 1e-3
    normal = (statistics - mean) / deviation
    covariance = (1.0 - _SHRINKAGE) * normal.T @ normal / len(normal)
    return mean, deviation, np.linalg.inv(covariance + _SHRINKAGE * np.eye(len(mean)))
