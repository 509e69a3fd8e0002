"""The FID."""

from __future__ import annotations

from collections.abc import Mapping

from tf_diffaug.evaluation.metrics.registry import register_metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets
from tf_diffaug.evaluation.statistics import frechet_distance

# What the authors recommend at least, and the count of most published protocols.
ENOUGH = 10_000


def read(values: Mapping[str, float]) -> str | None:
    """A small set biases the FID upwards, as a covariance of few images is far from the true one.

    With fewer images than features most of the number may be bias; the authors' code recommends
    10,000 (arXiv 1706.08500).
    """
    count = int(min(values["num_fakes"], values["num_reals"]))
    if count >= ENOUGH:
        return None
    kind = "fakes" if values["num_fakes"] == count else "reals"
    return (
        f"an FID of {count:,} {kind} is too high by an amount that falls with their number: "
        "compare it only with FIDs of as many"
    )


@register_metric(
    "fid",
    summary="Fréchet distance of Gaussians fitted to the features",
    source="arXiv 1706.08500",
    better="lower",
    of_moments=True,
    reading=read,
)
def fid(sets: FeatureSets, seed: int) -> dict[str, float]:
    del seed
    return {"fid": frechet_distance(sets.reals.statistics, sets.fakes.statistics)}
