"""The Inception Score."""

from __future__ import annotations

import numpy as np

from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets

SPLITS = 10  # arXiv 1606.03498


@register_metric(
    "is",
    summary="Inception Score, exp of the mean Kullback-Leibler divergence of a fake's class "
    "probabilities from their mean: mean over 10 splits in the order given, and `is_std` over them",
    source="arXiv 1606.03498",
    better="higher",
    needs=["probabilities"],
)
def inception_score(sets: FeatureSets, seed: int) -> dict[str, float]:
    del seed
    probabilities = sets.fakes.probabilities
    # A single image would be its own mean, and its score 1.
    splits = max(min(SPLITS, len(probabilities) // 2), 1)
    scores = [_score(part) for part in np.array_split(probabilities, splits)]
    return {"is": float(np.mean(scores)), "is_std": float(np.std(scores))}


def _score(probabilities: np.ndarray) -> float:
    probabilities = probabilities.astype(np.float64)
    mean = probabilities.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(probabilities > 0, probabilities * np.log(probabilities / mean), 0.0)
    return float(np.exp(terms.sum(axis=1).mean()))
