"""Precision, recall, density and coverage: who lies in whose neighbourhood.

A ball around an image reaches to its k-th nearest neighbour among the others of its set, and
includes its border. With k or fewer other images, k is their number.
"""

from __future__ import annotations

from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets


@register_metric(
    "precision",
    summary="share of the fakes that lie in the ball of a real, which reaches to its 3rd nearest "
    "real: quality",
    source="arXiv 1904.06991",
    better="higher",
    uses=["neighbours"],
)
def precision(sets: FeatureSets, seed: int) -> dict[str, float]:
    return {"precision": float(sets.pairs(seed).neighbours.fake_in_reals.mean())}


@register_metric(
    "recall",
    summary="share of the reals that lie in the ball of a fake, which reaches to its 3rd nearest "
    "fake: variety",
    source="arXiv 1904.06991",
    better="higher",
    uses=["neighbours"],
)
def recall(sets: FeatureSets, seed: int) -> dict[str, float]:
    return {"recall": float(sets.pairs(seed).neighbours.real_in_fakes.mean())}


@register_metric(
    "density",
    summary="in how many reals' balls a fake lies, which reach to the 5th nearest real, over 5: "
    "quality, and may exceed 1",
    source="arXiv 2002.09797",
    better="higher",
    uses=["neighbours"],
)
def density(sets: FeatureSets, seed: int) -> dict[str, float]:
    found = sets.pairs(seed).neighbours
    return {"density": float(found.balls_of_fake.mean() / found.k)}


@register_metric(
    "coverage",
    summary="share of the reals whose ball, which reaches to the 5th nearest real, holds a fake: "
    "variety",
    source="arXiv 2002.09797",
    better="higher",
    uses=["neighbours"],
)
def coverage(sets: FeatureSets, seed: int) -> dict[str, float]:
    return {"coverage": float(sets.pairs(seed).neighbours.real_is_covered.mean())}
