"""The generalisation gap of the feature likelihood divergence (FLD)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf_diffaug.evaluation.metrics.mixture import fit_variances, log_likelihoods, scaled_distances
from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets

# Images of each set, drawn by the seed: the published code takes 10,000 fakes, but the fit looks at
# all pairs up to 50 times.
MOST = 1_500
# Hundredths of a nat a feature. New images had gaps of -0.6 to 1.4 of CIFAR-10 by 1,280 features,
# but down to -7 of Gaussian mixtures of 64 and 512 features, and to -31 of emoji by 64 where 100
# were trained on, so that a bound nearer to 0 would call them copies. It sees copies that were
# shifted or mirrored (-82 or less), and one exact copy in ten, which AuthPct does not; not copies
# of photographs with noise of 10 grey levels (-24 to -43), which the other two see.
COPIES = -50.0


def read(values: Mapping[str, float]) -> str:
    gap = values["fld_gap"]
    if gap < COPIES:
        return f"copies: training images are far likelier than held-out ones (gap {gap:.3g})"
    return (
        "no sign of copying: training images are hardly likelier than held-out ones "
        f"(gap {gap:.3g})"
    )


@register_metric(
    "fld_gap",
    summary="FLD generalisation gap: 100/d times how much higher the mean negative log-likelihood "
    "of training images is than that of held-out ones, under a Gaussian around each fake whose "
    "widths are fitted to the training images; at most 1,500 of each; far below 0 for copies",
    source="arXiv 2302.04440",
    better="none",
    needs=["train", "held_out"],
    reading=read,
)
def fld_gap(sets: FeatureSets, seed: int) -> dict[str, float]:
    """Features are scaled by the held-out images' mean and deviation, as the published code does.

    A feature in which held-out images do not differ is left as it is, less its mean.
    """
    held_out = sets.sampled("held_out", MOST, seed).astype(np.float64)
    mean, deviation = held_out.mean(axis=0), held_out.std(axis=0, ddof=1)
    deviation[deviation == 0] = 1.0
    fakes, train, held_out = (
        (sets.sampled(name, MOST, seed) - mean) / deviation
        for name in ("fakes", "train", "held_out")
    )
    size = fakes.shape[1]
    to_train = scaled_distances(train, fakes)
    variances = fit_variances(to_train, train)
    likely = [
        log_likelihoods(distances, variances, size).mean()
        for distances in (to_train, scaled_distances(held_out, fakes))
    ]
    return {"fld_gap": float(100 * (likely[1] - likely[0]) / size)}
