"""C_T, the data-copying test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf_diffaug.evaluation.metrics.nearest import nearest_train
from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets

# A z-score: as many new images as held-out ones exceed it, either way, once in 370 times.
DEVIATIONS = 3.0


def read(values: Mapping[str, float]) -> str:
    z = values["ct"]
    if z < -DEVIATIONS:
        return (
            "copies: the fakes lie nearer to the training images than held-out images do "
            f"(z {z:.1f})"
        )
    if z > DEVIATIONS:
        return (
            "no sign of copying: the fakes lie farther from the training images than held-out "
            f"images do (z {z:.1f}), so they miss what real images are like"
        )
    return (
        f"no sign of copying: the fakes lie as near to the training images as held-out images "
        f"do (z {z:.1f})"
    )


@register_metric(
    "ct",
    summary="C_T over one cell, that is all images: z-score of the Mann-Whitney U of distances to "
    "the nearest training image, fakes against held-out images; far below 0 for copies",
    source="arXiv 2004.05675",
    better="none",
    needs=["train", "held_out"],
    reading=read,
)
def ct(sets: FeatureSets, seed: int) -> dict[str, float]:
    """The paper's test within a cell, over the whole: with few images a cell would hold too few."""
    fakes = nearest_train(sets, seed, "fakes").distance
    held_out = nearest_train(sets, seed, "held_out").distance
    ordered = np.sort(held_out)
    below = np.searchsorted(ordered, fakes, side="left")
    up_to = np.searchsorted(ordered, fakes, side="right")
    larger = float((below + up_to).sum() / 2)  # ties count for half
    n, m = len(held_out), len(fakes)
    return {"ct": float((larger - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))}
