"""Measures a finished run by every metric, under a protocol with a name or one spelt out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_diffaug import random
from tf_diffaug.data.packed import digest_images
from tf_diffaug.errors import UserError
from tf_diffaug.evaluation import Extractor
from tf_diffaug.evaluation.evaluate import (
    RealFeatures,
    batches_of,
    class_rows,
    counter,
    extract,
    measure_seeds,
    needs,
    over_seeds,
    rows_of,
)
from tf_diffaug.evaluation.fid import fake_batches
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, Moments, measure
from tf_diffaug.runs.evaluator import fakes_at_once, protocol_of
from tf_diffaug.runs.generate.classes import class_name
from tf_diffaug.runs.protocols import PROTOCOLS
from tf_diffaug.runs.reals import Progress, Reals
from tf_diffaug.runs.run import Run
from tf_diffaug.runs.saved import versions
from tf_diffaug.titles import metric_title

__all__ = ["PROTOCOLS", "Reals", "evaluate", "evaluate_images"]


def evaluate(
    run: Run,
    metrics: Sequence[str] | None = None,
    *,
    seeds: int = 3,
    per_class: bool = False,
    reals: Reals | None = None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Measures the run's samples, and returns a record with the protocol.

    >>> run = load_run("runs/NAME", **PROTOCOLS["low-shot"])  # doctest: +SKIP
    >>> evaluate(run)["values"]["fid"]  # doctest: +SKIP
    {'mean': 21.7, 'std': 0.2}

    Args:
        run: the run, see `load_run`, whose settings are the protocol.
        metrics: names, see `tf_diffaug.evaluation.metrics.METRICS`; None is each that has what it
            needs.
        seeds: how many draws of fakes are measured: values are their mean and deviation. The first
            is that of the run's own FID.
        per_class: whether each class is measured by itself as well.
        reals: their features, if they are known from another checkpoint.
        progress: told how many images are done, of how many.

    Returns:
        A record ready for JSON: `step`, `values` (by key `mean` and, of several seeds, `std`),
        `readings` in words by metric, `classes` (the values of each, where asked for), `protocol`,
        `versions` and `seconds`.

    Raises:
        ValueError: for an unknown metric or one that needs what there is not, or too few images.
    """
    started = time.monotonic()
    if seeds < 1:
        raise ValueError(f"At least one seed is measured. Received: seeds={seeds}.")
    if per_class and run.gan.num_classes is None:
        raise UserError(f"{run.directory.path} is not conditional: it has no classes to measure.")
    if reals is None:
        reals = Reals(run.config, run.data, metrics, keep_all=per_class, progress=progress)
    if per_class and not reals.features.are_whole:
        raise ValueError("Classes are measured by every image's features: make reals of keep_all.")
    chosen = range(run.seed, run.seed + seeds)
    count = counter(progress, seeds * run.config.num_fakes)
    of_reals = _class_features(reals) if per_class else {}
    by_class: list[dict[int, dict[str, float]]] = []

    def draw(seed: int) -> FeatureSet | Moments:
        fakes, labels = _fakes(run, reals, seed, count)
        if per_class:
            by_class.append(_by_class(fakes, labels, of_reals, metrics, seed))
        return fakes

    values, words = measure_seeds(draw, reals.features, metrics, chosen)
    record = {
        "kind": "evaluation",
        "step": int(run.gan.step.numpy()),
        "values": values,
        "readings": words,
        "protocol": _protocol(run, reals, list(chosen)),
        "versions": versions(),
        "seconds": round(time.monotonic() - started, 1),
    }
    if per_class:
        record["classes"] = {
            class_name(run, label): over_seeds([found[label] for found in by_class])
            for label in sorted(set.intersection(*map(set, by_class)))
        }
    return record


def _fakes(
    run: Run, reals: Reals, seed: int, count: Callable[[int], None]
) -> tuple[FeatureSet | Moments, np.ndarray | None]:
    """Features of the samples of a seed, and their labels."""
    labels: list[np.ndarray] = []

    def sample(index: int, size: int) -> Any:
        key = random.derive(seed, "sample", step=index)
        if run.gan.num_classes is None:
            return run.sampler(size, key)
        drawn = run.gan.networks.labels(size, random.fold_in(key, 1))
        labels.append(drawn.numpy())
        return run.sampler(size, key, labels=drawn)

    num_fakes = run.config.num_fakes
    batches = fake_batches(sample, num_fakes=num_fakes, batch_size=fakes_at_once(run.config))
    features = reals.features.extract_alike(batches, reals.extractor, num_fakes, progress=count)
    return features, np.concatenate(labels)[:num_fakes] if labels else None


def _protocol(run: Run, reals: Reals, seeds: list[int]) -> dict[str, Any]:
    chosen_by = None
    if run.checkpoint == "best":
        step = int(run.gan.step.numpy())
        found = [one for one in run.directory.records("eval") if one["step"] == step]
        chosen_by = found[-1].get("protocol") if found else None
    title = metric_title(run.config.best_by)
    same = chosen_by is not None and chosen_by.get("reference") == reals.fingerprint
    return {
        **reals.extractor.record(),
        "num_fakes": run.config.num_fakes,
        "num_reals": len(reals.features.reference),
        "reference": reals.fingerprint,
        **protocol_of(run.config, reals.split, run.gan),
        "chosen_on_same_data": same,
        "chosen_by": None
        if chosen_by is None
        else f"{title}, {chosen_by.get('split', 'other')} images",
        "seeds": seeds,
    }


def _class_features(reals: Reals) -> dict[int, FeatureSet]:
    """The features of each class that has two reals or more."""
    if reals.labels is None:
        raise UserError(f"the {reals.split} images have no labels to measure classes by.")
    rows = class_rows(np.asarray(reals.labels))
    return {label: rows_of(reals.features.reference, some) for label, some in rows.items()}


def _by_class(
    fakes: FeatureSet,
    labels: np.ndarray,
    reals: Mapping[int, FeatureSet],
    metrics: Sequence[str] | None,
    seed: int,
) -> dict[int, dict[str, float]]:
    """Values of each class that has two fakes and two reals, against the reals of that class."""
    names = [name for name in metrics or ("fid", "kid", "precision", "recall") if not needs([name])]
    return {
        label: measure(FeatureSets(rows_of(fakes, rows), reals[label]), names, seed=seed)
        for label, rows in class_rows(labels).items()
        if label in reals
    }


def evaluate_images(
    fakes: np.ndarray,
    reals: np.ndarray,
    metrics: Sequence[str] | None = None,
    *,
    extractor: Extractor,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Measures images against others, as `evaluate` does a run's samples.

    Args:
        fakes: uint8 images of shape (n, height, width, channels).
        reals: the ones they are measured against, and looked for copies of.
        metrics: names; None is each that has what it needs.
        extractor: what makes the features.
        progress: told how many images are done, of how many.

    Returns:
        A record as that of `evaluate`, without a step.
    """
    count = counter(progress, len(fakes) + len(reals))
    made = [
        extract(batches_of(images), extractor, len(images), progress=count)
        for images in (fakes, reals)
    ]
    values, words = measure_seeds(
        lambda seed: made[0], RealFeatures(made[1], made[1]), metrics, [0]
    )
    protocol = {
        **extractor.record(),
        "num_fakes": len(fakes),
        "num_reals": len(reals),
        "reference": digest_images(reals),
    }
    return {
        "kind": "evaluation",
        "values": values,
        "readings": words,
        "protocol": protocol,
        "versions": versions(),
    }
