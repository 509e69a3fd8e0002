"""Images in a file that is read as they are asked for, in place of an array in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import math
import os
import pathlib
import threading
import weakref
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug.data import memory
from tf_diffaug.errors import printable

_log = logging.getLogger(__name__)
# What is read at once of images that are looked at from first to last.
_BLOCK_BYTES = 1 << 24


class DamagedRecordError(OSError):
    """A record that is not what was packed; its text is one line that names file and record."""


class PackedImages:
    """Images on disk that look like an array: `images[rows]` reads these rows and no others.

    What NumPy takes as the first index is taken: a number, a slice, numbers of any shape, a mask.
    The result is an array of its own. Each record is held against its checksum whenever it is read.
    Reads are by position, not by a memory map, whose pages would count as this process's memory.

    Args:
        records: the file.
        rows: the numbers of the records that are the images, int64 (n,).
        digest: what `digest_images` says of them, if it is known.
        fingerprint: what `ImageData.fingerprint` is of them with `labels`, if it is known.
        labels: int32 (n,), or None.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        records: Records,
        rows: np.ndarray,
        *,
        digest: str | None = None,
        fingerprint: str | None = None,
        labels: np.ndarray | None = None,
    ) -> None:
        self.records = records
        self.digest = digest
        self._rows = rows
        self._fingerprint = fingerprint
        self._labels = labels

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, height, width, channels)."""
        return (len(self._rows), *self.records.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Reads images.

        Returns:
            uint8, of the index's shape and (height, width, channels).

        Raises:
            DamagedRecordError: if a record does not match its checksum, or the file is cut short.
        """
        return self.records.read(self._rows[index], among=self._rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(self, rows: np.ndarray, axis: int = 0) -> PackedImages:
        """Some of the images, which are not read yet; as of an array, so far."""
        if axis != 0:
            raise ValueError(f"Images are taken along the first axis. Received: axis={axis}.")
        return PackedImages(self.records, self._rows[rows])

    def fingerprint_with(self, labels: np.ndarray | None) -> str | None:
        """The fingerprint of the images with these labels, where it was taken when packing."""
        same = (
            labels is self._labels is None
            if labels is None or self._labels is None
            else np.array_equal(labels, self._labels)
        )
        return self._fingerprint if same else None


@dataclasses.dataclass(eq=False)
class Records:
    """A file of raw images of one shape, one after the other.

    Args:
        path: the file.
        shape: of an image, (height, width, channels).
        checksums: CRC-32 of each record, uint32 (n,).
        labels: int32 (n,), by which a damaged record's stand-in is chosen, -1 for none.
        skip_damaged: have an intact record of the same label stand in for a damaged one.

    Attributes:
        damaged: the damaged records that were met, and what stands in for each.
        error: what was last raised of one, for who gets it through TensorFlow.
    """

    path: pathlib.Path
    shape: tuple[int, int, int]
    checksums: np.ndarray
    labels: np.ndarray
    skip_damaged: bool = False

    def __post_init__(self) -> None:
        self.damaged: dict[int, int] = {}
        self.error: DamagedRecordError | None = None
        self._size = math.prod(self.shape)
        self._lock = threading.Lock()
        self._file = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, numbers: np.ndarray | np.int64, *, among: np.ndarray) -> np.ndarray:
        """Reads records.

        Args:
            numbers: of the records, int64 of any shape.
            among: where a stand-in for a damaged one may be from.

        Raises:
            DamagedRecordError: if a record does not match its checksum, or the file is cut short.
        """
        numbers = np.asarray(numbers)
        flat = numbers.ravel()
        images = memory.empty((len(flat), *self.shape))
        rows = images.reshape(len(flat), self._size)
        ends = np.flatnonzero(np.diff(flat, append=-2) != 1) + 1
        start = 0
        for end in ends.tolist():  # neighbours are one read
            self._fill(rows[start:end], int(flat[start]))
            start = end
        for row, number in zip(rows, flat.tolist(), strict=True):
            if zlib.crc32(row) != self.checksums[number]:
                self._stand_in(row, number, among)
        return images.reshape(*numbers.shape, *self.shape)

    def _fill(self, rows: np.ndarray, number: int) -> bool:
        """Reads records that follow each other; whether all are there."""
        room, offset = memoryview(rows).cast("B"), number * self._size
        while room.nbytes:
            got = os.preadv(self._file, [room], offset)
            if not got:  # no checksum is that of what is left there
                rows.reshape(-1)[-room.nbytes :] = 0
                return False
            room, offset = room[got:], offset + got
        return True

    def _stand_in(self, row: np.ndarray, number: int, among: np.ndarray) -> None:
        """Puts an intact record of the same label in the place of a damaged one, or raises."""
        if not self.skip_damaged:
            self.error = DamagedRecordError(
                f"Record {number} of {printable(self.path)} is damaged: its checksum differs. "
                "`skip_broken` has another of its class stand in for it; packing anew mends it."
            )
            raise self.error
        with self._lock:
            known = self.damaged.get(number)
            for other in [known] if known is not None else self._candidates(number, among):
                if self._fill(row[None], other) and zlib.crc32(row) == self.checksums[other]:
                    break
            else:
                self.error = DamagedRecordError(
                    f"No record of {printable(self.path)} is intact that could stand in for the "
                    f"damaged record {number}."
                )
                raise self.error
            if known is None:
                self.damaged[number] = other
                _log.warning(
                    "Record %d of %s is damaged: record %d stands in for it (%d so far).",
                    *(number, printable(self.path), other, len(self.damaged)),
                )

    def _candidates(self, number: int, among: np.ndarray) -> Iterator[int]:
        """The others of the same label, those that follow first: a function of the files alone."""
        same = np.sort(among[self.labels[among] == self.labels[number]])
        turn = np.searchsorted(same, number, side="right")
        yield from (int(n) for n in np.roll(same, -turn) if n != number)


@contextlib.contextmanager
def damage_named(images: Any) -> Iterator[None]:
    """Within it, what TensorFlow says of a damaged record that it was to read is one line.

    Args:
        images: an array, for which this does nothing, or `PackedImages`.

    Raises:
        DamagedRecordError: in place of TensorFlow's error.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if isinstance(images, PackedImages) and images.records.error is not None:
            raise images.records.error from error
        raise
    if isinstance(images, PackedImages) and images.records.damaged:
        _log.warning(
            "%d damaged records of %s had others stand in for them: %s.",
            len(images.records.damaged),
            printable(images.records.path),
            ", ".join(map(str, sorted(images.records.damaged)[:10])),
        )


def gatherer(images: np.ndarray | PackedImages) -> Callable[[tf.Tensor], tf.Tensor]:
    """From the numbers of images, an int64 tensor (n,), to the images, in a graph on the host."""
    if not isinstance(images, PackedImages):
        held = memory.as_tensor(images)
        return lambda rows: tf.gather(held, rows)

    def read(rows: tf.Tensor) -> tf.Tensor:
        chosen = tf.numpy_function(images.__getitem__, [rows], tf.uint8, stateful=False)
        chosen.set_shape([*rows.shape, *images.records.shape])
        return chosen

    return read


def digest_images(images: np.ndarray | PackedImages, *, anew: bool = False) -> str:
    """A digest of the pixels and shape of uint8 images, their statistics' fingerprint.

    Args:
        images: an array, or `PackedImages`, whose index may say what it is.
        anew: whether to take it of what is read, whatever the index says.
    """
    if isinstance(images, PackedImages) and images.digest is not None and not anew:
        return images.digest
    digest = hashlib.sha256(f"{images.shape}".encode())
    for block in blocks(images):
        digest.update(block)
    return digest.hexdigest()[:32]


def blocks(images: np.ndarray | PackedImages) -> Iterator[np.ndarray]:
    """The images from first to last, some at a time, so that few are in memory."""
    step = max(1, _BLOCK_BYTES // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(images), step):
        yield np.ascontiguousarray(images[start : start + step])
