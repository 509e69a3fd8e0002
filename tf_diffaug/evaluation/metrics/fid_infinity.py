"""The FID extrapolated to infinitely many images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.resampling import Resampled
from tf_diffaug.evaluation.metrics.sets import FeatureSets, rng

# arXiv 1911.07023, takes 15 counts from 5,000 to 50,000 of 2,048 features. The FID is
# near a line in 1/N only where there are more images than features, so that with few the line is
# drawn from half of them: of Gaussians of 64 features with a distance of 5.1, by 200 images each
# 5.4, from a tenth 13.3.
POINTS = 15
SMALLEST = 0.5
# Subsets of each count; the paper draws one, of far more images.
DRAWS = 4
# Images a feature below which the line misses: 100 of 64 features gave -0.9 for those 5.1.
ENOUGH = 3


def read(values: Mapping[str, float]) -> str | None:
    count = int(min(values["num_fakes"], values["num_reals"]))
    if count >= ENOUGH * values["num_features"]:
        return None
    return (
        f"{count:,} images of {int(values['num_features']):,} features are too few to extrapolate "
        f"an FID from: it takes {ENOUGH} times as many images as features"
    )


@register_metric(
    "fid_infinity",
    summary="FID extrapolated to infinitely many fakes and reals, by a line in 1/N through 15 "
    "counts from half of them to all; unasked only below 1,000 fakes or reals",
    source="arXiv 1911.07023",
    better="lower",
    only_few=True,
    reading=read,
)
def fid_infinity(sets: FeatureSets, seed: int) -> dict[str, float]:
    resampled = Resampled(sets)
    draws = rng(seed, "fid_infinity")
    counts = np.array([len(sets.fakes), len(sets.reals)])
    inverses, found = [], []
    for share in np.repeat(np.linspace(SMALLEST, 1.0, POINTS), DRAWS):
        taken = np.maximum((share * counts).round().astype(int), 2)
        rows = [draws.permutation(n)[:k] for n, k in zip(counts, taken, strict=True)]
        inverses.append(1 / share)
        found.append(resampled.fid(*rows))
    return {"fid_infinity": float(np.polyfit(inverses, found, 1)[1])}
