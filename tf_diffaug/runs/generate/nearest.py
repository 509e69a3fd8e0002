"""Samples beside the training images that lie nearest to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tf_diffaug.evaluation import Extractor, extractor_for
from tf_diffaug.evaluation.extractor import on_white
from tf_diffaug.evaluation.nearest import Nearest, nearest_vectors
from tf_diffaug.runs import parts
from tf_diffaug.runs.generate.pictures import Panel, Sheet
from tf_diffaug.runs.generate.source import ImageSource, Progress

# Numbers of a block of vectors in float64: 64 MB.
_NUMBERS_AT_ONCE = 1 << 23
_IMAGES_AT_ONCE = 128


def nearest(source: ImageSource, *, count: int = 8, neighbors: int = 4) -> Sheet:
    """Each sample beside its nearest training images, by pixels and by the run's features.

    A training image is as near as it or its mirror image is, if the run mirrored it. The caption
    of a row has the distances to the first of each: that of pixels is the root mean square
    difference in grey levels, 0 for a copy; that of features is the Euclidean one.

    Args:
        source: where the samples come from.
        count: samples.
        neighbors: training images beside each; all, if there are fewer.

    Raises:
        ValueError: if the training images or the features cannot be had.
    """
    run = source.run
    reals = run.data.images
    config = run.config
    extractor = extractor_for(config.fid_features, config.dataset, config.resolution)
    neighbors = min(neighbors, len(reals))
    is_flipped = parts.is_flipped(run.config, run.data)
    total = count + len(reals) * (1 + (extractor is not None))
    meter = _Meter(source.progress, total)
    samples = source.replaced(progress=meter.within(count)).images(count)
    found = nearest_by_pixels(
        samples, reals, neighbors, mirrored=is_flipped, progress=meter.within(len(reals))
    )
    size = samples[0].size if samples.shape[-1] != 4 else samples[0, ..., :3].size
    captions = [f"pixels {d / size**0.5:.1f}" for d in found.distances[:, 0]]
    panels = [
        Panel(samples[:, None], "sample"),
        Panel(_picked(reals, found), "nearest by pixels"),
    ]
    if extractor is not None:
        found = nearest_by_features(
            samples,
            reals,
            neighbors,
            extractor,
            mirrored=is_flipped,
            progress=meter.within(len(reals)),
        )
        captions = [
            f"{text}\nfeatures {d:.3g}"
            for text, d in zip(captions, found.distances[:, 0], strict=True)
        ]
        panels.append(Panel(_picked(reals, found), f"nearest by {extractor.name}"))
    return Sheet(panels, captions)


def nearest_by_pixels(
    images: np.ndarray,
    reals: np.ndarray,
    count: int,
    *,
    mirrored: bool = False,
    progress: Progress = lambda done, total: None,
) -> Nearest:
    """The reals nearest to images, by the Euclidean distance of their pixels.

    Args:
        images: uint8 (n, height, width, channels); of 4 channels, compared on white.
        reals: uint8 (m, height, width, channels).
        count: how many of each.
        mirrored: whether a real is as near as its mirror image if that is nearer: variant 1.
        progress: called with how many reals were looked at, of how many.

    Raises:
        ValueError: if there are fewer reals.
    """
    size = max(1, _NUMBERS_AT_ONCE // reals[0].size)
    blocks = _blocks(reals, _pixels, size, mirrored=mirrored, progress=progress)
    return nearest_vectors(_pixels(images), blocks, count)


def nearest_by_features(
    images: np.ndarray,
    reals: np.ndarray,
    count: int,
    extractor: Extractor,
    *,
    mirrored: bool = False,
    progress: Progress = lambda done, total: None,
) -> Nearest:
    """The reals nearest to images, by the Euclidean distance of features of their own.

    The arguments are those of `nearest_by_pixels`, and what makes the features.
    """

    def features(images: np.ndarray) -> np.ndarray:
        return np.asarray(extractor(images))

    blocks = _blocks(reals, features, _IMAGES_AT_ONCE, mirrored=mirrored, progress=progress)
    return nearest_vectors(features(images), blocks, count)


def _blocks(
    reals: np.ndarray,
    vectors: Callable[[np.ndarray], np.ndarray],
    size: int,
    *,
    mirrored: bool,
    progress: Progress,
) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(reals), size):
        block = reals[start : start + size]
        mirror = (vectors(block[:, :, ::-1]),) if mirrored else ()
        yield (vectors(block), *mirror)
        progress(start + len(block), len(reals))


def _pixels(images: np.ndarray) -> np.ndarray:
    if images.shape[-1] == 4:
        images = on_white(tf.constant(images)).numpy()
    return images.reshape(len(images), -1).astype(np.float64)


def _picked(reals: np.ndarray, found: Nearest) -> np.ndarray:
    """The images found, as they were nearest, (queries, count, height, width, channels)."""
    images = reals[found.indices]
    is_mirror = found.variants[..., None, None, None] == 1
    return np.where(is_mirror, images[..., ::-1, :], images)


class _Meter:
    """One count of what is done in parts that count from 0 each."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._before = progress, total, 0

    def within(self, count: int) -> Progress:
        """Of the next part, which has so many."""
        before = self._before
        self._before += count
        return lambda done, _: self._progress(before + done, self._total)
