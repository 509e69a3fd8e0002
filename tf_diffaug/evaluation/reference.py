"""Statistics of the reals, computed once and kept on disk by what they were computed from."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tf_diffaug.evaluation.extractor import Extractor
from tf_diffaug.evaluation.statistics import Statistics
from tf_diffaug.files import write_atomically

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
_log = logging.getLogger(__name__)


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/tf_diffaug`, or `~/.cache/tf_diffaug`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tf_diffaug"


def reference_statistics(
    images: Any,
    extractor: Extractor,
    *,
    cache_dir: str | os.PathLike[str] | None = "auto",
    batch_size: int = 128,
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

    Returns:
        Statistics whose `fingerprint` is the digest of the images, and `extractor` the version of
        the extractor.

    Raises:
        ValueError: if the images have another type or shape, or there are fewer than 2.
    """
    images = np.asanyarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) < 2:
        raise ValueError(
            "The reals must be uint8 of shape (n, height, width, channels), n at least 2. "
            f"Received: dtype={images.dtype}, shape={images.shape}."
        )
    fingerprint = digest_images(images)
    path = None
    if cache_dir is not None:
        folder = default_cache_dir() if cache_dir == "auto" else Path(cache_dir)
        key = json.dumps([_FORMAT, fingerprint, extractor.record()])
        path = folder / f"reference-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    statistics = None if path is None else _read(path)
    if statistics is None:
        statistics = compute_statistics(images, extractor, batch_size=batch_size)
        if path is not None:
            _write(path, statistics)
    statistics.fingerprint = fingerprint
    statistics.extractor = extractor.version
    return statistics


def compute_statistics(images: Any, extractor: Extractor, *, batch_size: int = 128) -> Statistics:
    """Returns the statistics of the features of uint8 images, a batch at a time, not cached.

    They have no fingerprint, so that images need no array; see `reference_statistics`.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive. Received: {batch_size=}.")
    statistics = None
    for start in range(0, len(images), batch_size):
        features = np.asarray(extractor(images[start : start + batch_size]))
        statistics = statistics or Statistics(features.shape[1])
        statistics.update(features)
    if statistics is None:
        raise ValueError("Statistics need at least 1 image. Received: no images.")
    statistics.extractor = extractor.version
    return statistics


def digest_images(images: np.ndarray) -> str:
    """A digest of the pixels and shape of uint8 images, their statistics' fingerprint."""
    digest = hashlib.sha256(f"{images.shape}".encode())
    for start in range(0, len(images), 1024):
        digest.update(np.ascontiguousarray(images[start : start + 1024]))
    return digest.hexdigest()[:32]


def _read(path: Path) -> Statistics | None:
    if not path.exists():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            count, mean, cov = int(stored["count"]), stored["mean"], stored["cov"]
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise ValueError("it holds values that are not finite")
        return Statistics.from_moments(count, mean, cov)
    except _DAMAGES as error:
        _log.warning("The cached statistics %s are damaged (%s): computed anew.", path, error)
        return None


def _write(path: Path, statistics: Statistics) -> None:
    content = io.BytesIO()
    np.savez(content, count=statistics.count, mean=statistics.mean, cov=statistics.cov)
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        _log.warning("The statistics could not be cached in %s (%s).", path.parent, error)
