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
import re
from typing import Any

import numpy as np

from tf_diffaug.data.core import ImageData
from tf_diffaug.data.image import FITS, MOST_PIXELS
from tf_diffaug.data.packed import PackedImages, Records
from tf_diffaug.errors import printable
from tf_diffaug.files import open_regular, write_atomically

VERSION = 1
PACKED = "packed:"
_FORMAT = "tf_diffaug packed images"
INDEX, IMAGES, RECORDS = "index.json", "images.bin", "records.bin"
RECORD = np.dtype([("label", "<i4"), ("crc32", "<u4")])
# Of a million names of files that were passed over; more than any disk has of images.
_MOST_BYTES, _MOST_IMAGES = 1 << 26, 1 << 40


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
        if (path / INDEX).stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
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
        for name, each in ((IMAGES, math.prod(index.shape)), (RECORDS, RECORD.itemsize)):
            size, expected = (path / name).stat().st_size, (index.train + index.test) * each
            if size != expected:
                raise ValueError(f"{name} has {size:,} bytes, not {expected:,}")
        with open_regular(path / RECORDS) as file:
            records = np.fromfile(file, np.uint8)
        if hashlib.sha256(records).hexdigest() != index.records:
            raise ValueError(f"{RECORDS} is another")
    except (OSError, ValueError, TypeError, RecursionError) as error:
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
    class_names = None if own is None or labels is False else index.class_names
    held_out = PackedImages(records, test, digest=index.digests[1]) if len(test) else None
    return ImageData(
        name,
        PackedImages(
            records, train, digest=index.digests[0], fingerprint=index.fingerprint, labels=own
        ),
        labels=None if labels is False else own,
        class_names=class_names,
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
        if field.name not in content:
            raise ValueError(f"{INDEX} has no {field.name}")
        value, plain = content[field.name], field.type.split(" | ")[0]
        if value is None and field.type.endswith("None"):
            values[field.name] = None
            continue
        if plain.startswith("tuple"):
            value = tuple(value) if isinstance(value, list) else value
            within = int if plain == "tuple[int, int, int]" else str
            fits = isinstance(value, tuple) and all(type(part) is within for part in value)
            value = tuple(map(printable, value)) if fits and within is str else value
        else:
            fits = type(value) is {"int": int, "bool": bool, "str": str}[plain]
        if not fits:
            raise ValueError(f"{INDEX} has a {field.name} that is none")
        values[field.name] = value
    index = Index(**values)
    counts = (index.train, index.test + 1)
    if not all(1 <= count <= _MOST_IMAGES for count in counts):
        raise ValueError(f"{INDEX} has numbers of images that are none")
    if not _is_shape(index.shape):
        raise ValueError(f"{INDEX} has a shape that is none")
    digests = " ".join((index.fingerprint, *index.digests))
    if not re.fullmatch("[0-9a-f]{64}( [0-9a-f]{32}){2}", digests):
        raise ValueError(f"{INDEX} has digests that are none")
    if index.fit not in FITS:
        raise ValueError(f"{INDEX} has a fit that is none")
    return index


def _is_shape(shape: tuple[int, ...]) -> bool:
    if len(shape) != 3 or min(shape) < 1:
        return False
    return shape[0] * shape[1] <= MOST_PIXELS and shape[2] in (1, 3, 4)


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(error)
