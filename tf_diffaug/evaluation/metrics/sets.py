"""The sets of features that a measurement compares."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_diffaug import random
from tf_diffaug.evaluation.metrics.pairs import Pairs
from tf_diffaug.evaluation.statistics import Statistics

# Of larger sets, what looks at pairs of images takes so many, drawn by the seed. The code of the
# papers on density and coverage and on FLD (arXiv 2002.09797, 2302.04440) takes 10,000 as well.
MAX_PAIRED = 10_000
_CHUNK = 8_192


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of images, with what a classifier said of them.

    Args:
        features: float32 (n, d), n at least 2; other floats are converted.
        probabilities: of classes, (n, classes), rows that sum to 1, or None.

    Raises:
        ValueError: if a shape does not fit, a value is not finite, there are fewer than 2 rows, or
            rows of the probabilities do not sum to 1.
    """

    features: np.ndarray
    probabilities: np.ndarray | None = None

    def __post_init__(self) -> None:
        features = np.ascontiguousarray(self.features, np.float32)
        if features.ndim != 2 or features.shape[0] < 2 or features.shape[1] < 1:
            raise ValueError(
                "features must have shape (n, d) with n at least 2. "
                f"Received: shape={features.shape}."
            )
        _check_finite("features", features)
        object.__setattr__(self, "features", features)
        if self.probabilities is not None:
            object.__setattr__(self, "probabilities", _checked(self.probabilities, len(features)))

    def __len__(self) -> int:
        return len(self.features)

    @property
    def num_features(self) -> int:
        """The length of a feature vector."""
        return self.features.shape[1]

    @functools.cached_property
    def statistics(self) -> Statistics:
        """Mean and covariance in float64."""
        statistics = Statistics(self.features.shape[1])
        for start in range(0, len(self), _CHUNK):
            statistics.update(self.features[start : start + _CHUNK])
        return statistics


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """In the place of a `FeatureSet`, mean and covariance of features that were not kept.

    They are all that the FID looks at, and take the same memory for any number of images.

    Args:
        statistics: of 2 images or more.

    Raises:
        ValueError: if there are fewer.
    """

    statistics: Statistics
    probabilities: None = dataclasses.field(default=None, init=False)

    def __post_init__(self) -> None:
        if len(self) < 2:
            raise ValueError(f"A covariance needs at least 2 samples. Received: count={len(self)}.")

    def __len__(self) -> int:
        return self.statistics.count

    @property
    def num_features(self) -> int:
        """The length of a feature vector."""
        return self.statistics.num_features


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSets:
    """What is measured, and against what.

    For metrics that look at moments alone, `fakes` and `reals` may be `Moments`.

    Args:
        fakes: of the generator's samples.
        reals: of the reference split.
        train: of the training images, all of them: a copy of one that is left out is not found. The
            same object as `reals` if that is the reference.
        held_out: of real images that were not trained on, which needs `train`. The same object as
            `reals` if they are the reference.
        seeds: all that will be measured by against the same `reals` object, if they are known: what
            lies within it is then looked at once for all.

    Raises:
        ValueError: if the sets differ in their number of features, or there are held-out images
            without training images.
    """

    fakes: FeatureSet | Moments
    reals: FeatureSet | Moments
    train: FeatureSet | None = None
    held_out: FeatureSet | None = None
    seeds: Sequence[int] = ()

    def __post_init__(self) -> None:
        names = ("fakes", "reals", "train", "held_out")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        dims = {name: value.num_features for name, value in given.items()}
        if len(set(dims.values())) > 1:
            listed = ", ".join(f"{name} of {size}" for name, size in dims.items())
            raise ValueError(
                f"Sets of unlike numbers of features cannot be compared. Received: {listed}."
            )
        if self.held_out is not None and self.train is None:
            raise ValueError(
                "Held-out images are compared with training images. "
                "Received: held_out without train."
            )

    def pairs(self, seed: int) -> Pairs:
        """The work on pairs of fakes and reals, done once for all metrics of one seed.

        Of more than 10,000 fakes or reals it takes 10,000.
        """
        known: dict[int, Pairs] = self.__dict__.setdefault("_pairs", {})
        if seed not in known:
            rows = {name: self.sampled(name, MAX_PAIRED, seed) for name in ("fakes", "reals")}
            shared = {}
            if rows["reals"] is self.reals.features:  # and no part that this seed draws
                within = self.reals.__dict__.setdefault("_within", {})
                shared = {"seeds": self.seeds, "known": within}
            known[seed] = Pairs(**rows, seed=seed, **shared)
        return known[seed]

    def sampled(self, name: str, count: int, seed: int) -> np.ndarray:
        """The features of one set, or of so many of its images, drawn without replacement.

        Sets that are one object give the same images.
        """
        features = getattr(self, name).features
        if len(features) <= count:
            return features
        chosen = rng(seed, "sample").permutation(len(features))[:count]
        return features[np.sort(chosen)]


def rng(seed: int, what: str) -> np.random.Generator:
    """The random numbers of one metric, or of what several share."""
    return np.random.default_rng(random.derive_int(seed, "metric", index=random.name_index(what)))


def _checked(probabilities: Any, count: int) -> np.ndarray:
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or len(probabilities) != count or probabilities.shape[1] < 2:
        raise ValueError(
            f"probabilities must have shape ({count}, classes), as many rows as features. "
            f"Received: shape={probabilities.shape}."
        )
    _check_finite("probabilities", probabilities)
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if probabilities.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            "Probabilities are 0 or more and sum to 1 in each row; logits go through a softmax "
            f"first. Received: rows that sum to {sums.min():.6g} to {sums.max():.6g}."
        )
    return probabilities


def _check_finite(name: str, values: np.ndarray) -> None:
    bad = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
    if bad:
        raise ValueError(
            f"{bad} of {len(values)} rows are not finite. Received: {name} with NaN or infinity."
        )
