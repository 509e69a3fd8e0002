"""The KID."""

from __future__ import annotations

from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets


@register_metric(
    "kid",
    summary="squared maximum mean discrepancy, unbiased, with the kernel (x·y/d + 1)³: mean over "
    "100 subsets of min(1,000, n); `kid_stderr` is the jackknife's standard error over all images",
    source="arXiv 1801.01401",
    better="lower",
    uses=["kernel"],
)
def kid(sets: FeatureSets, seed: int) -> dict[str, float]:
    sums = sets.pairs(seed).kernel
    values = {"kid": float(sums.subset_distances().mean())}
    # Leaving one of two images out leaves no pair.
    if min(sums.counts.values()) > 2:
        values["kid_stderr"] = sums.standard_error()
    return values
