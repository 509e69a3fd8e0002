"""AuthPct: how many fakes are no copies of a training image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf_diffaug.evaluation.metrics.nearest import fakes_to_train
from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets

# New images come to 50 where which of the two distances is the larger is a coin's toss, of which
# 100 lie below 40 by two standard deviations, and to more where many images have the same nearest
# one: 58 to 68 of emoji by 64 features, 73 to 83 of CIFAR-10 by 1,280. Copies that were shifted,
# mirrored or made noisy come to 0 to 26 in both (docs/evaluation.md).
COPIES = 40.0


def read(values: Mapping[str, float]) -> str:
    share = values["auth_pct"]
    if share >= COPIES:
        return (
            f"no sign of copying: {share:.0f} % of the fakes are authentic (new images: 50 to 80)"
        )
    return (
        f"copies: {100 - share:.0f} % of the fakes are no farther from a training image than the "
        "nearest other training image is (new images: 50 to 80)"
    )


@register_metric(
    "auth_pct",
    summary="AuthPct, percentage of fakes that are farther from their nearest training image than "
    "its own nearest other training image is: 0 for copies, 50 to 80 for new images",
    source="arXiv 2102.08921; 2302.04440",
    better="none",
    needs=["train"],
    reading=read,
)
def auth_pct(sets: FeatureSets, seed: int) -> dict[str, float]:
    distance, own = fakes_to_train(sets, seed)
    return {"auth_pct": float(100 * np.mean(distance > own))}
