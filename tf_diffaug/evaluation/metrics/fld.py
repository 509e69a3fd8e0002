"""The generalisation gap of the feature likelihood divergence (FLD)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf_diffaug.evaluation.metrics.mixture import fit_variances, log_likelihoods, scaled_distances
from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets

# Fakes and held-out images, drawn by the seed: the published code takes 10,000 fakes, but the fit
# looks at all pairs of them and training images up to 50 times. Those are all taken, as there: were
# most left out, most copies would have no original. A pair takes 4 bytes.
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
    "widths are fitted to the training images; all of these, and at most 1,500 of the others; far "
    "below 0 for copies",
    source="arXiv 2302.04440",
    better="none",
    needs=["train", "held_out"],
    reading=read,
)
def fld_gap(sets: FeatureSets, seed: int) -> dict[str, float]:
    """Features are scaled by the held-out images' mean and deviation, as the published code does.

    A feature in which held-out images do not differ is left as it is, less its mean.
    """
    counts = {"fakes": MOST, "train": len(sets.train), "held_out": MOST}
    rows = {name: sets.sampled(name, count, seed) for name, count in counts.items()}
    mean = rows["held_out"].mean(axis=0, dtype=np.float64)
    deviation = rows["held_out"].std(axis=0, ddof=1, dtype=np.float64)
    deviation[deviation == 0] = 1.0
    # In float32, as the features are: an exact copy stays one.
    mean, deviation = mean.astype(np.float32), deviation.astype(np.float32)
    fakes, train, held_out = ((some - mean) / deviation for some in rows.values())
    size = fakes.shape[1]
    to_train = scaled_distances(train, fakes)
    variances = fit_variances(to_train, train)
    likely = [
        log_likelihoods(distances, variances, size).mean()
        for distances in (to_train, scaled_distances(held_out, fakes))
    ]
    return {"fld_gap": float(100 * (likely[1] - likely[0]) / size)}
