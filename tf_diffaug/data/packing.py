"""Writes packed data sets: by several threads, in the memory of few images, resumable.

While it is written, a data set lies in a hidden folder beside its place, with a journal of how far
it is. At the end it is moved to its place, so that there is all of it or nothing.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
import pathlib
import shutil
import zlib
from typing import Any, BinaryIO

import numpy as np
from tqdm.auto import tqdm

from tf_diffaug.data.core import ImageData
from tf_diffaug.data.image import UnusableError, large_images
from tf_diffaug.data.origins import Origin
from tf_diffaug.data.packed import PackedImages, Records, digest_images
from tf_diffaug.data.packed_index import (
    IMAGES,
    INDEX,
    RECORD,
    RECORDS,
    Index,
    is_packed,
    read_index,
)
from tf_diffaug.data.unfinished import (
    JOB,
    JOURNAL,
    Progress,
    begin,
    claimed,
    is_begun,
    named,
    resumed,
)
from tf_diffaug.errors import printable

# Images that are decoded between two entries of the journal.
_CHUNK_BYTES = 1 << 25
_MOST_AT_ONCE = 1024


def write_packed(
    origin: Origin,
    out: str | os.PathLike,
    *,
    skip_broken: bool = False,
    workers: int | None = None,
    wait: bool = False,
) -> pathlib.Path:
    """Packs images, or goes on where an earlier call with the same arguments was ended.

    Args:
        origin: the images.
        out: the folder that is made; what is there already is left alone if it is the same pack.
        skip_broken: leave unusable files out and name them, instead of stopping.
        workers: threads that decode; None is one for each processor.
        wait: for another process that packs there, instead of refusing.

    Returns:
        `out`.

    Raises:
        ValueError: if there is something else at `out`, an unfinished pack of other images beside
            it, another process at work there, a file that cannot be used, or images differ in size.
        OSError: if it cannot be written; the same call goes on.
    """
    out = pathlib.Path(out)
    if _is_done(origin, out):
        return out
    folder = out.parent / f".{out.name}.packing"
    with claimed(folder, wait), named(folder):
        if _is_done(origin, out):  # by another process, meanwhile
            with contextlib.suppress(OSError):
                folder.rmdir()
            return out
        begin(origin, folder, out)
        if not (folder / INDEX).exists():  # else it was ended just before the move
            try:
                progress = _write_images(origin, folder, skip_broken, workers)
            except ValueError:  # a mistake in what was asked
                if not is_begun(folder):
                    shutil.rmtree(folder)
                raise
            _write_index(origin, folder, progress)
        for name in (JOB, JOURNAL):
            (folder / name).unlink(missing_ok=True)
        os.replace(folder, out)
    return out


def _is_done(origin: Origin, out: pathlib.Path) -> bool:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    same = is_packed(out) and read_index(out)[0].source == origin.key
    if not same:
        what = "a packed data set of other images or options" if is_packed(out) else "something"
        raise ValueError(
            f"There is {what} already: remove it, or choose another place. "
            f"Received: out={printable(out)!r}."
        )
    return True


def _write_images(
    origin: Origin, folder: pathlib.Path, skip_broken: bool, workers: int | None
) -> Progress:
    """Writes images and records from where the journal ends."""
    progress = resumed(origin, folder)
    if progress.errors and not skip_broken:
        raise ValueError(origin.unusable(progress.taken, progress.reasons))
    workers = workers or os.cpu_count() or 1
    bar = tqdm(total=len(origin), initial=progress.taken, unit="image", disable=None)
    with (
        bar,
        large_images(),
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
        (folder / IMAGES).open("ab") as images,
        (folder / RECORDS).open("ab") as records,
        (folder / JOURNAL).open("a") as journal,
    ):
        items = origin.items(progress.taken)
        while chunk := list(itertools.islice(items, _chunk_size(progress))):
            known = len(progress.errors)
            made = list(pool.map(lambda item: item(), chunk))
            _add(origin, progress, made, images, records)
            if progress.errors and not skip_broken:
                raise ValueError(origin.unusable(progress.taken, progress.reasons))
            for file in (images, records):
                file.flush()
                os.fsync(file.fileno())
            new = dataclasses.replace(progress, errors=progress.errors[known:])
            journal.write(json.dumps(dataclasses.asdict(new)) + "\n")
            journal.flush()
            bar.update(len(chunk))
    if not progress.train:
        raise ValueError(origin.unusable(progress.taken, progress.reasons))
    return progress


def _chunk_size(progress: Progress) -> int:
    if progress.shape is None:
        return 16
    return max(16, min(_MOST_AT_ONCE, _CHUNK_BYTES // math.prod(progress.shape)))


def _add(
    origin: Origin,
    progress: Progress,
    made: list[tuple[np.ndarray | UnusableError, int]],
    images: BinaryIO,
    records: BinaryIO,
) -> None:
    for image, label in made:
        position, progress.taken = progress.taken, progress.taken + 1
        if isinstance(image, UnusableError):
            progress.errors.append((position, str(image), image.side))
            continue
        if progress.shape is None:
            progress.shape = image.shape
        if image.shape != tuple(progress.shape):
            sizes = [f"{width}x{height}" for height, width, _ in (image.shape, progress.shape)]
            raise ValueError(
                f"Sizes differ: {origin.name_of(position)} is {sizes[0]}, those before it are "
                f"{sizes[1]}; give a resolution. Received: resolution=None."
            )
        pixels = np.ascontiguousarray(image).tobytes()
        images.write(pixels)
        records.write(np.array([(label, zlib.crc32(pixels))], RECORD).tobytes())
        if position < origin.train:
            progress.train += 1
        else:
            progress.test += 1


def _write_index(origin: Origin, folder: pathlib.Path, progress: Progress) -> None:
    """Reads all that was written, which checks it, and writes what there is to know of it."""
    raw = np.fromfile(folder / RECORDS, np.uint8)
    known, shape = raw.view(RECORD), tuple(progress.shape)
    records = Records(folder / IMAGES, shape, known["crc32"], known["label"])
    splits = np.split(np.arange(len(known)), [progress.train])
    train, test = (PackedImages(records, rows) for rows in splits)
    labels = known["label"][: progress.train] if origin.has_labels else None
    data = ImageData(origin.name, train, labels, origin.class_names)
    with concurrent.futures.ThreadPoolExecutor() as pool:  # abreast, so that the disk is read once
        tasks: list[Any] = [lambda: data.fingerprint, lambda: digest_images(train)]
        tasks.append(lambda: digest_images(test))
        fingerprint, *digests = pool.map(lambda task: task(), tasks)
    Index(
        source=origin.key,
        shape=shape,
        train=progress.train,
        test=progress.test,
        has_labels=origin.has_labels,
        has_test_labels=origin.has_test_labels and progress.test > 0,
        class_names=origin.class_names,
        flip=origin.flip,
        fit=origin.fit,
        fingerprint=fingerprint,
        digests=tuple(digests),
        records=hashlib.sha256(raw).hexdigest(),
        skipped=tuple(origin.name_of(k) for k in sorted(progress.reasons)),
        passed_over=origin.passed_over,
    ).write(folder)
