"""The FID's bootstrap interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.resampling import Resampled
from tf_diffaug.evaluation.metrics.sets import FeatureSets, rng

RESAMPLES = 100
TAILS = (2.5, 97.5)


def read(values: Mapping[str, float]) -> str:
    low, high = values["fid_low"], values["fid_high"]
    return (
        f"as many other images would have given an FID between {low:.4g} and {high:.4g}, in 95 % "
        "of cases"
    )


@register_metric(
    "fid_interval",
    summary="width of the bootstrap's 95 % interval of the FID at these counts, `fid_low` to "
    "`fid_high`, of 100 resamples of both sets; unasked only below 1,000 fakes or reals",
    source="Efron 1979",
    better="none",
    only_few=True,
    reading=read,
)
def fid_interval(sets: FeatureSets, seed: int) -> dict[str, float]:
    """The spread of the resamples about their median, laid about the FID.

    Resamples hold fewer different images, so that their FIDs are too high once more: their plain
    percentiles may leave out the FID itself.
    """
    resampled = Resampled(sets)
    draws = rng(seed, "fid_interval")
    counts = len(sets.fakes), len(sets.reals)
    whole = resampled.fid(*map(np.arange, counts))
    found = []
    while len(found) < RESAMPLES:
        found.append(resampled.fid(*(draws.integers(0, n, n) for n in counts)))
    spread = np.percentile(found, TAILS) - np.median(found)
    low, high = np.maximum(whole + spread, 0.0)
    return {"fid_interval": high - low, "fid_low": low, "fid_high": high}
