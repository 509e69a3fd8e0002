"""What is known of the reals, computed once and kept on disk by what it was computed from."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tf_diffaug.data.packed import PackedImages, digest_images
from tf_diffaug.errors import printable
from tf_diffaug.evaluation.evaluate import Progress, batches_of, extract, extract_statistics
from tf_diffaug.evaluation.extractor import Extractor
from tf_diffaug.evaluation.metrics import FeatureSet
from tf_diffaug.evaluation.statistics import Statistics
from tf_diffaug.files import default_cache_dir, write_atomically

_FORMAT = 1
# Whatever NumPy and zipfile raise of bytes that are not theirs.
_DAMAGES = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
Known = TypeVar("Known")
_log = logging.getLogger(__name__)


def reference_statistics(
    images: Any,
    extractor: Extractor,
    *,
    cache_dir: str | os.PathLike[str] | None = "auto",
    batch_size: int = 128,
    progress: Progress = lambda count: None,
) -> Statistics:
    """Returns the statistics of the features of the reals, from the cache if they are there.

    The cache's key is a digest of the images themselves and of the extractor, never a name. A
    damaged cache file is computed anew and replaced; a cache that cannot be written is done
    without. Both are logged as warnings.

    Args:
        images: uint8 of shape (n, height, width, channels), n at least 2.
        extractor: what makes the features.
        cache_dir: where to keep the statistics: `auto` is `default_cache_dir()`, None is nowhere.
        batch_size: images the extractor gets at once.
        progress: told how many images are done since it was told before.

    Returns:
        Statistics whose `fingerprint` is the digest of the images, and `extractor` the version of
        the extractor.

    Raises:
        ValueError: if the images have another type or shape, or there are fewer than 2.
    """
    images = _checked(images)
    fingerprint = digest_images(images)
    path = _cache_path(cache_dir, "reference", fingerprint, extractor)
    statistics = _read(path, "statistics", _statistics_in)
    if statistics is None:
        statistics = compute_statistics(images, extractor, batch_size=batch_size, progress=progress)
        _write(
            _if_as_told(path, images),
            "statistics",
            count=statistics.count,
            mean=statistics.mean,
            cov=statistics.cov,
        )
    else:
        progress(len(images))
    statistics.fingerprint = fingerprint
    statistics.extractor = extractor.version
    return statistics


def reference_features(
    images: Any,
    extractor: Extractor,
    *,
    cache_dir: str | os.PathLike[str] | None = "auto",
    fingerprint: str | None = None,
    progress: Progress = lambda count: None,
) -> FeatureSet:
    """Returns the features of each of the reals, kept as `reference_statistics` are.

    A file takes 4 bytes a feature: 400 MB of 50,000 images by Inception.

    Args:
        images: uint8 of shape (n, height, width, channels), n at least 2.
        extractor: what makes the features.
        cache_dir: where to keep them: `auto` is `default_cache_dir()`, None is nowhere.
        fingerprint: what `digest_images` says of the images, if that is known.
        progress: told how many images are done since it was told before.

    Raises:
        ValueError: if the images have another type or shape, or there are fewer than 2.
    """
    images = _checked(images)

    def features_in(stored: Mapping[str, np.ndarray]) -> FeatureSet:
        features = FeatureSet(stored["features"])
        if len(features) != len(images):
            raise ValueError(f"it holds {len(features)} images")
        return features

    fingerprint = digest_images(images) if fingerprint is None else fingerprint
    path = _cache_path(cache_dir, "features", fingerprint, extractor)
    features = _read(path, "features", features_in)
    if features is not None:
        progress(len(images))
        return features
    # Of the reals, no metric looks at a classifier's probabilities.
    made = extract(batches_of(images), extractor, len(images), progress=progress).features
    _write(_if_as_told(path, images), "features", features=made)
    return FeatureSet(made)


def compute_statistics(
    images: Any,
    extractor: Extractor,
    *,
    batch_size: int = 128,
    progress: Progress = lambda count: None,
) -> Statistics:
    """Returns the statistics of the features of uint8 images, a batch at a time, not cached.

    They have no fingerprint, so that images need no array; see `reference_statistics`.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive. Received: {batch_size=}.")
    batches = batches_of(images, batch_size)
    statistics = extract_statistics(batches, extractor, len(images), progress=progress)
    statistics.extractor = extractor.version
    return statistics


def _checked(images: Any) -> np.ndarray | PackedImages:
    if not isinstance(images, PackedImages):
        images = np.asanyarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) < 2:
        raise ValueError(
            "The reals must be uint8 of shape (n, height, width, channels), n at least 2. "
            f"Received: dtype={images.dtype}, shape={images.shape}."
        )
    return images


def _cache_path(
    cache_dir: str | os.PathLike[str] | None, what: str, fingerprint: str, extractor: Extractor
) -> Path | None:
    if cache_dir is None:
        return None
    folder = default_cache_dir() if cache_dir == "auto" else Path(cache_dir)
    key = json.dumps([_FORMAT, fingerprint, extractor.record()])
    return folder / f"{what}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def _if_as_told(path: Path | None, images: np.ndarray | PackedImages) -> Path | None:
    """The path, unless a packed data set has other images than its index says.

    Its maker may have lied, or another image stands in for one that is damaged. What is made of
    these would be taken for what is known of those.
    """
    if path is None or not isinstance(images, PackedImages) or images.digest is None:
        return path
    if digest_images(images, anew=True) == images.digest:
        return path
    _log.warning(
        "%s holds other images than its index says: what is made of them is not cached.",
        printable(images.records.path),
    )
    return None


def _statistics_in(stored: Mapping[str, np.ndarray]) -> Statistics:
    count, mean, cov = int(stored["count"]), stored["mean"], stored["cov"]
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise ValueError("it holds values that are not finite")
    return Statistics.from_moments(count, mean, cov)


def _read(
    path: Path | None, what: str, read: Callable[[Mapping[str, np.ndarray]], Known]
) -> Known | None:
    if path is None or not path.exists():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return read(stored)
    except _DAMAGES as error:
        _log.warning("The cached %s %s are damaged (%s): computed anew.", what, path, error)
        return None


def _write(path: Path | None, what: str, **arrays: Any) -> None:
    if path is None:
        return
    content = io.BytesIO()
    np.savez(content, **arrays)
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        _log.warning("The %s could not be cached in %s (%s).", what, path.parent, error)
