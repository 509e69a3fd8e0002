"""Every metric of a generator over several seeds, from one pass of features a set of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_diffaug.evaluation.extractor import Extractor
from tf_diffaug.evaluation.metrics import (
    METRICS,
    FeatureSet,
    FeatureSets,
    Moments,
    measure,
    readings,
)
from tf_diffaug.evaluation.statistics import Statistics

Progress = Callable[[int], None]
BATCH = 128


@dataclasses.dataclass(frozen=True, eq=False)
class RealFeatures:
    """Features of real images, made once for all that is measured against them.

    Args:
        reference: of the images that fakes are measured against.
        train: of those that were trained on; the same object if they are the reference.
        held_out: of those that were not, if there are any and they were asked for.
        fingerprint: a digest of the images of `reference`, if it is known.
    """

    reference: FeatureSet | Moments
    train: FeatureSet | None = None
    held_out: FeatureSet | None = None
    fingerprint: str | None = None

    @property
    def are_whole(self) -> bool:
        """Whether there are the features of each image, and not their moments alone."""
        return isinstance(self.reference, FeatureSet)

    def extract_alike(
        self,
        batches: Iterable[Any],
        extractor: Extractor,
        count: int,
        *,
        progress: Progress = lambda count: None,
    ) -> FeatureSet | Moments:
        """Features of fakes as they are had of the reals, see `extract`."""
        if self.are_whole:
            return extract(batches, extractor, count, progress=progress)
        return Moments(extract_statistics(batches, extractor, count, progress=progress))

    def sets(self, fakes: FeatureSet | Moments, seeds: Sequence[int] = ()) -> FeatureSets:
        """What `measure` takes, see `FeatureSets`."""
        return FeatureSets(fakes, self.reference, self.train, self.held_out, seeds)


def extract(
    batches: Iterable[Any],
    extractor: Extractor,
    count: int,
    *,
    progress: Progress = lambda count: None,
) -> FeatureSet:
    """The features of images, and the probabilities of a classifier, in one pass.

    Args:
        batches: uint8 images of shape (n, height, width, channels), `count` or more in all.
        extractor: what makes the features.
        count: how many images count; what exceeds them is left out.
        progress: told of every batch's size.
    """
    features, probabilities = [], []
    for images in batches:
        outputs = extractor.outputs(images)
        features.append(np.asarray(outputs.features))
        if outputs.probabilities is not None:
            probabilities.append(np.asarray(outputs.probabilities))
        progress(len(features[-1]))
    return FeatureSet(
        np.concatenate(features)[:count],
        np.concatenate(probabilities)[:count] if probabilities else None,
    )


def extract_statistics(
    batches: Iterable[Any],
    extractor: Extractor,
    count: int,
    *,
    progress: Progress = lambda count: None,
) -> Statistics:
    """As `extract`, but of the features mean and covariance alone, in the memory of one batch."""
    statistics = None
    for images in batches:
        features = np.asarray(extractor(images))
        statistics = statistics or Statistics(features.shape[1])
        statistics.update(features[: count - statistics.count])
        progress(len(features))
    if statistics is None:
        raise ValueError("Statistics need at least 1 image. Received: no images.")
    return statistics


def counter(progress: Callable[[int, int], None], total: int) -> Progress:
    """What tells how many are done in all, when it is told of more."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done = min(done + more, total)
        progress(done, total)

    return count


def batches_of(images: np.ndarray, size: int = BATCH) -> Iterable[np.ndarray]:
    """An array of images, some at a time."""
    return (images[start : start + size] for start in range(0, len(images), size))


def needs(metrics: Sequence[str] | None) -> set[str]:
    """What the metrics need beside fakes and reals; None is all metrics."""
    names = METRICS if metrics is None else metrics
    return {need for name in names if name in METRICS for need in METRICS[name].needs}


def look_at_moments(metrics: Sequence[str] | None) -> bool:
    """Whether mean and covariance of the features are all that the metrics need; None is all."""
    return metrics is not None and all(
        name in METRICS and METRICS[name].of_moments for name in metrics
    )


def measure_seeds(
    draw: Callable[[int], FeatureSet | Moments],
    reals: RealFeatures,
    metrics: Sequence[str] | None,
    seeds: Sequence[int],
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Measures the fakes of each seed, one seed's at a time.

    Args:
        draw: makes the features of a seed's fakes.
        reals: what they are measured against.
        metrics: names, see `METRICS`; None is each that has what it needs.
        seeds: of the fakes, and of the metrics' own draws.

    Returns:
        What `over_seeds` makes of the values, and what their means say in words, by metric.

    Raises:
        ValueError: for an unknown metric, or one that needs what there is not.
    """
    found, sets = [], None
    for seed in seeds:
        sets = None  # or this seed's fakes would be held beside the next one's
        sets = reals.sets(draw(seed), seeds)
        found.append(measure(sets, metrics, seed=seed))
    values = over_seeds(found)
    means = {key: value["mean"] for key, value in values.items()}
    return values, readings(means, sets)


def over_seeds(found: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """By key `{"mean": ..., "std": ...}` of the values of several seeds, never the best of them.

    The deviation is that of a sample, and left out of one seed.
    """
    values = {}
    for key in found[0]:
        column = [one[key] for one in found if key in one]
        values[key] = {"mean": float(np.mean(column))}
        if len(column) > 1:
            values[key]["std"] = float(np.std(column, ddof=1))
    return values


def class_rows(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Rows of each class that has two images or more, which a distance needs."""
    return {
        int(label): rows
        for label in np.unique(labels[labels >= 0])
        if len(rows := np.flatnonzero(labels == label)) > 1
    }


def rows_of(features: FeatureSet, rows: np.ndarray) -> FeatureSet:
    """The features of some of the images."""
    chosen = features.probabilities
    return FeatureSet(features.features[rows], None if chosen is None else chosen[rows])
