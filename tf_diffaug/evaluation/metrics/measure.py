"""Several metrics of one pass of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tf_diffaug.evaluation.metrics.registry import METRICS, Metric
from tf_diffaug.evaluation.metrics.sets import FeatureSets
from tf_diffaug.naming import unknown

# With so many images of each kind, an interval and an extrapolation of the FID say little more
# than the FID, and take minutes: they are measured where there are fewer, or on demand.
FEW = 1_000


def measure(
    sets: FeatureSets, names: Iterable[str] | None = None, *, seed: int = 0
) -> dict[str, float]:
    """Measures fakes by the metrics asked for.

    Args:
        sets: the features.
        names: of metrics, see `METRICS`; None is each that has what it needs, the FID's interval
            and extrapolation only with fewer than 1,000 fakes or reals.
        seed: of the subsets, directions and resampling.

    Returns:
        Floats by key, ready for JSON, in the order of the names: one of each metric's name, and
        what it states beside it, such as `kid_stderr`.

    Raises:
        ValueError: for an unknown name, or one that needs what the sets do not have.
    """
    metrics = _chosen(sets, names)
    pairs = sets.pairs(seed) if any(metric.uses for metric in metrics) else None
    for metric in metrics:
        if pairs is not None:
            pairs.want(*metric.uses)
    values = {}
    for metric in metrics:
        for key, value in metric.compute(sets, seed).items():
            values[key] = float(value)
    return values


def readings(values: Mapping[str, float], sets: FeatureSets) -> dict[str, str]:
    """What measured values say in words, by metric, of those metrics that have a reading.

    Args:
        values: what `measure` returned.
        sets: what it measured.
    """
    given = {
        **values,
        "num_fakes": len(sets.fakes),
        "num_reals": len(sets.reals),
        "num_features": sets.fakes.num_features,
    }
    found = {}
    for name, metric in METRICS.items():
        if name in values and metric.reading and (sentence := metric.reading(given)):
            found[name] = sentence
    return found


def _chosen(sets: FeatureSets, names: Iterable[str] | None) -> list[Metric]:
    if names is None:
        few = min(len(sets.fakes), len(sets.reals)) < FEW
        return [
            metric
            for _, metric in sorted(METRICS.items())
            if not metric.missing(sets) and (few or not metric.only_few)
        ]
    chosen = []
    for name in dict.fromkeys(names):
        if name not in METRICS:
            raise ValueError(unknown("metric", name, sorted(METRICS)))
        if missing := METRICS[name].missing(sets):
            words = " and ".join(_IN_WORDS[need] for need in missing)
            raise ValueError(f"{name} needs {words}. Received: metric={name!r} without.")
        chosen.append(METRICS[name])
    return chosen


_IN_WORDS = {
    "features": "the features of each image",
    "probabilities": "the classifier's probabilities of the fakes",
    "train": "features of the training images",
    "held_out": "features of held-out images",
}
