"""What a packed data set says of itself: index.json, and a label and a checksum for each record.

A packed data set is a folder of three files:

- `images.bin`: the images, uint8 (height, width, channels) each, one after the other, those of the
  training split first;
- `records.bin`: for each a label (int32, -1 for none) and the CRC-32 of its bytes (uint32);
- `index.json`: everything else. It is written last.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from tf_diffaug.data.core import ImageData
from tf_diffaug.data.packed import PackedImages, Records
from tf_diffaug.errors import printable
from tf_diffaug.files import write_atomically

VERSION = 1
PACKED = "packed:"
_FORMAT = "tf_diffaug packed images"
INDEX, IMAGES, RECORDS = "index.json", "images.bin", "records.bin"
RECORD = np.dtype([("label", "<i4"), ("crc32", "<u4")])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Index:
    """The facts of a packed data set.

    Args:
        source: a digest of all that decides its bytes, see `Origin.key`.
        shape: of an image, (height, width, channels).
        train: images to train on.
        test: images held out.
        has_labels: whether the former have labels.
        has_test_labels: whether the latter do.
        class_names: the name of each label, or None.
        flip: whether a mirrored image is as good a member as the image itself.
        fit: how the images became squares.
        fingerprint: of the training images and their labels, see `ImageData.fingerprint`.
        digests: of the images of each split, see `digest_images`.
        records: SHA-256 of `records.bin`.
        skipped: files left out because they could not be used.
        passed_over: files that are no images, or of a split not used.
    """

    source: str
    shape: tuple[int, int, int]
    train: int
    test: int
    has_labels: bool
    has_test_labels: bool
    class_names: tuple[str, ...] | None
    flip: bool
    fit: str
    fingerprint: str
    digests: tuple[str, ...]
    records: str
    skipped: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()

    def write(self, folder: pathlib.Path) -> None:
        """Writes index.json.

        Raises:
            OSError: if it cannot be written.
        """
        content = {"format": _FORMAT, "version": VERSION, **dataclasses.asdict(self)}
        content["checksum"] = _checksum(content)
        write_atomically(folder / INDEX, json.dumps(content, indent=1) + "\n")


def is_packed(path: pathlib.Path) -> bool:
    """Whether there is a packed data set, whatever its state."""
    return (path / INDEX).is_file() and (path / IMAGES).is_file()


def read_index(path: pathlib.Path) -> tuple[Index, np.ndarray]:
    """Reads index and records of a packed data set, and checks them and the size of its images.

    Raises:
        ValueError: if there is none, it is of another version, cut short or altered.
    """
    received = f"Received: name={PACKED + printable(path)!r}."
    if not is_packed(path):
        hint = ""
        if path.is_dir() or path.is_file():
            hint = f" Images of other kinds are packed by: pack {printable(path)} OUT."
        raise ValueError(f"No packed data set there.{hint} {received}")
    try:
        content = json.loads((path / INDEX).read_bytes())
        if content.get("format") != _FORMAT:
            raise ValueError("it is none of a packed data set")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{INDEX} cannot be read ({_reason(error)}): pack it anew. {received}"
        ) from error
    if content.get("version") != VERSION:
        raise ValueError(
            f"It is packed in format {printable(content.get('version'))}, and this version reads "
            f"{VERSION}: pack it anew. {received}"
        )
    try:
        index = _checked(content)
        records = np.fromfile(path / RECORDS, np.uint8)
        if hashlib.sha256(records).hexdigest() != index.records:
            raise ValueError(f"{RECORDS} is another")
        images = (path / IMAGES).stat().st_size
        expected = (index.train + index.test) * math.prod(index.shape)
        if images != expected:
            raise ValueError(f"{IMAGES} has {images:,} bytes, not {expected:,}")
        if len(records) != (index.train + index.test) * RECORD.itemsize:
            raise ValueError(f"{RECORDS} has {len(records):,} bytes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"It is damaged ({_reason(error)}): pack it anew. {received}") from error
    return index, records.view(RECORD)


def load_packed(
    path: str | os.PathLike,
    *,
    resolution: int | None = None,
    channels: int | None = None,
    fit: str = "crop",
    labels: bool | None = None,
    skip_broken: bool = False,
) -> ImageData:
    """Opens a packed data set, of which the images are read as they are needed.

    Args:
        path: its folder.
        resolution: None, or the side that the images have.
        channels: None, or the channels that they have.
        fit: `crop`, or how they were fitted.
        labels: True insists on labels, False passes them over, None takes those there are.
        skip_broken: have an intact record of the same label stand in for a damaged one, instead of
            stopping there.

    Raises:
        ValueError: if there is none, it is damaged, or it is not as asked.
    """
    path = pathlib.Path(path)
    index, known = read_index(path)
    name = PACKED + printable(path)
    _refuse_other(index, name, resolution, channels, fit)
    if labels and not index.has_labels:
        raise ValueError(f"It was packed without labels. Received: name={name!r}, labels=True.")
    numbers = np.array(known["label"])
    records = Records(path / IMAGES, index.shape, known["crc32"], numbers, skip_broken)
    train, test = np.split(np.arange(len(known)), [index.train])
    own = numbers[: index.train] if index.has_labels else None
    held_out = PackedImages(records, test, digest=index.digests[1]) if len(test) else None
    return ImageData(
        name,
        PackedImages(
            records, train, digest=index.digests[0], fingerprint=index.fingerprint, labels=own
        ),
        labels=None if labels is False else own,
        class_names=None if labels is False else index.class_names,
        flip=index.flip,
        test=held_out,
        test_labels=numbers[index.train :]
        if index.has_test_labels and labels is not False
        else None,
        skipped=index.skipped,
        passed_over=index.passed_over,
    )


def _refuse_other(
    index: Index, name: str, resolution: int | None, channels: int | None, fit: str
) -> None:
    height, width, depth = index.shape
    if resolution is not None and (height, width) != (resolution, resolution):
        way = f"; give `resolution={width}`" if height == width else ""
        raise ValueError(
            f"{name} was packed at {width}x{height}{way}, or pack it anew. "
            f"Received: resolution={resolution}."
        )
    if channels is not None and channels != depth:
        raise ValueError(
            f"{name} was packed with `channels={depth}`: give that, or pack it anew. "
            f"Received: channels={channels}."
        )
    if fit not in ("crop", index.fit):
        raise ValueError(
            f"{name} was packed with `fit={index.fit}`; pack it anew for another. "
            f"Received: fit={fit!r}."
        )


def _checked(content: dict[str, Any]) -> Index:
    """The index in the contents of a file that anyone may have written."""
    content = dict(content)
    if content.pop("checksum", None) != _checksum(content):
        raise ValueError(f"{INDEX} was altered")
    values = {}
    for field in dataclasses.fields(Index):
        value, plain = content[field.name], field.type.split(" | ")[0]
        if value is None and field.type.endswith("None"):
            values[field.name] = None
            continue
        if plain.startswith("tuple"):
            value = tuple(value) if isinstance(value, list) else value
            within = int if plain == "tuple[int, int, int]" else str
            fits = isinstance(value, tuple) and all(type(part) is within for part in value)
        else:
            fits = type(value) is {"int": int, "bool": bool, "str": str}[plain]
        if not fits:
            raise ValueError(f"{INDEX} has a {field.name} that is none")
        values[field.name] = value
    index = Index(**values)
    numbers = (*index.shape, index.train, index.test + 1)
    if len(index.shape) != 3 or len(index.digests) != 2 or min(numbers) < 1:
        raise ValueError(f"{INDEX} has numbers that are none")
    return index


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(error)
