"""How much of the difference between reals and fakes an augmentation leaves.

"Image Augmentations for GAN Training" (arXiv 2006.02595, figure 4) asks whether an augmentation
helps by bringing the supports of reals and fakes to overlap, and measures

    FID(augmented reals, augmented fakes) / FID(reals, fakes)

for one op at one strength: 1 where it hides nothing, 0 where nothing is left to tell them apart by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, Policy
from tf_diffaug.data.packed import PackedImages, digest_images
from tf_diffaug.evaluation.evaluate import counter, extract_statistics
from tf_diffaug.evaluation.extractor import Extractor
from tf_diffaug.evaluation.fid import fake_batches
from tf_diffaug.evaluation.reference import reference_statistics
from tf_diffaug.evaluation.statistics import Statistics, frechet_distance
from tf_diffaug.images import to_float, to_uint8

Transform = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def support_overlap(
    sample: Callable[[int, int], Any],
    reals: Any,
    extractor: Extractor,
    policies: Sequence[str | Policy],
    *,
    num_fakes: int = 10_000,
    repeats: int = 5,
    seed: int = 0,
    batch_size: int = 128,
    reference: Statistics | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Returns FID(augmented reals, augmented fakes) / FID(reals, fakes) for each policy.

    Both FIDs of a ratio are of the same reals and fakes, so of the same counts: an FID is too high
    by an amount that shrinks with the count. As far as both are too high by as much, the ratio is
    drawn towards 1.

    A policy takes the images as files hold them, rounded to uint8, in [-1, 1]; what it makes is
    clipped and rounded to uint8 as every fake is before its features are taken. Reals and fakes get
    draws of their own, each repeat new ones and new fakes. A draw depends on the seed, the repeat
    and the batch, not on which other policies are asked for. Ops that mix images mix reals with
    reals and fakes with fakes, within a batch.

    Args:
        sample: maps (batch_index, batch_size) to images, as for `evaluate_fid`; the first repeat
            takes the batches that it takes.
        reals: uint8 of shape (n, height, width, channels), n at least 2.
        extractor: what makes the features.
        policies: the augmentations.
        num_fakes: how many samples in each repeat, at least 2.
        repeats: how often everything is drawn.
        seed: of the draws of the augmentation.
        batch_size: samples at once; policies and the extractor get batches of at most that size.
        reference: what `reference_statistics` gave for these reals, if they are known.
        progress: called with how many images were measured, of how many.

    Returns:
        `{'fid': [...], 'cells': [{'policy': str, 'fid': [...], 'ratio': [...]}, ...],
        'protocol': {...}}`, ready for JSON: the plain FIDs, and for each policy the
        augmented FIDs and their ratios to the plain ones, one of each a repeat.

    Raises:
        ValueError: if a policy does not parse, a count is too small, the reals are not uint8
            images or not those of the reference, samples are not finite or of another shape, or
            they are the reals themselves, so that there is nothing to divide by.
    """
    if repeats < 1 or num_fakes < 2 or batch_size < 1:
        raise ValueError(
            "repeats and batch_size must be at least 1, and num_fakes at least 2. "
            f"Received: {repeats=}, {batch_size=}, {num_fakes=}."
        )
    augments = [DiffAugment(policy, data_format="channels_last", seed=0) for policy in policies]
    if not isinstance(reals, PackedImages):
        reals = np.asanyarray(reals)
    transforms = [_transform(augment, reals.shape[1:]) for augment in augments]
    if reference is None:
        reference = reference_statistics(reals, extractor, cache_dir=None, batch_size=batch_size)
    expected = (digest_images(reals), extractor.version)
    if (reference.fingerprint, reference.extractor) != expected:
        raise ValueError(
            "The reference is of other reals or another extractor: make it of these by "
            f"`reference_statistics`. Received: reference of {reference.count} reals with digest "
            f"{reference.fingerprint!r} by {reference.extractor!r}, for {len(reals)} reals with "
            f"digest {expected[0]!r} and {expected[1]!r}."
        )
    total = repeats * (num_fakes + len(augments) * (len(reals) + num_fakes))
    count = counter(progress, total)

    def statistics(batches: Iterator[Any], num_images: int) -> Statistics:
        return extract_statistics(batches, extractor, num_images, progress=count)

    plain = []
    cells = [{"policy": str(augment.policy), "fid": [], "ratio": []} for augment in augments]
    for repeat in range(repeats):
        fakes = _fakes(sample, repeat, num_fakes, batch_size)
        plain.append(frechet_distance(reference, statistics(_split(fakes, batch_size), len(fakes))))
        if plain[-1] <= 0:
            raise ValueError(
                "These fakes have no distance from the reals, and nothing can be divided by it. "
                f"Received: an FID of 0 in repeat {repeat}."
            )
        for transform, cell in zip(transforms, cells, strict=True):
            sides = [
                statistics(_augmented(transform, _split(images, batch_size), draws), len(images))
                for images, draws in (
                    (reals, random.derive(seed, "augment_real", step=repeat)),
                    (fakes, random.derive(seed, "augment_fake", step=repeat)),
                )
            ]
            cell["fid"].append(frechet_distance(*sides))
            cell["ratio"].append(cell["fid"][-1] / plain[-1])
    protocol = {
        **extractor.record(),
        "num_fakes": num_fakes,
        "num_reals": len(reals),
        "reference": reference.fingerprint,
        "repeats": repeats,
        "seed": seed,
        "batch_size": batch_size,
    }
    return {"fid": plain, "cells": cells, "protocol": protocol}


def _transform(augment: DiffAugment, shape: Sequence[int]) -> Transform:
    """The augmentation from uint8 to uint8, traced once for batches of any size."""

    def run(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return to_uint8(augment(to_float(images), seed=seed))

    signature = [tf.TensorSpec([None, *shape], tf.uint8), tf.TensorSpec([2], tf.int32)]
    # The traced function itself: TensorFlow warns of many that look alike and are called little.
    return tf.function(run, input_signature=signature, autograph=False).get_concrete_function()


def _augmented(
    transform: Transform, batches: Iterator[np.ndarray], seed: tf.Tensor
) -> Iterator[tf.Tensor]:
    for index, images in enumerate(batches):
        yield transform(tf.constant(images), random.fold_in(seed, index))


def _fakes(
    sample: Callable[[int, int], Any], repeat: int, num_fakes: int, batch_size: int
) -> np.ndarray:
    """The samples of one repeat as uint8: a quarter of the memory that floats take."""
    batches = fake_batches(sample, num_fakes=num_fakes, batch_size=batch_size, repeat=repeat)
    return np.concatenate([batch.numpy() for batch in batches])[:num_fakes]


def _split(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Batches of nearly one size: a last one of a single image would have nothing to mix with."""
    for rows in np.array_split(np.arange(len(images)), -(-len(images) // batch_size)):
        yield images[rows[0] : rows[-1] + 1]
