"""Where the images of a packed data set come from: one after the other, none kept."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tf_diffaug.data.core import ImageData
from tf_diffaug.data.folder import Found
from tf_diffaug.data.image import UnusableError
from tf_diffaug.errors import printable

# Makes an image, or says why it cannot be used, and gives its label, -1 for none.
Item = Callable[[], tuple["np.ndarray | UnusableError", int]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Images to be packed.

    Args:
        name: the data set's.
        key: a digest of all that decides the packed bytes, so far as it is known without reading
            the images: equal keys mean that an unfinished pack may be gone on with.
        train: how many images there are to train on, those that cannot be used included.
        test: how many are held out; they come after the others.
        items: the images from a position on. Each is made by whoever calls it, in any thread.
        unusable: the text of the error about files, from how many were tried and the reasons.
        name_of: what a message calls the image at a position.
        has_labels: whether the training images have labels.
        has_test_labels: whether those held out do.
        class_names: the name of each label.
        flip: whether a mirrored image is as good a member as the image itself.
        fit: how the images become squares.
        passed_over: files that are no images, or of a split not used.
    """

    name: str
    key: str
    train: int
    test: int
    items: Callable[[int], Iterator[Item]]
    unusable: Callable[[int, Mapping[int, UnusableError]], str]
    name_of: Callable[[int], str]
    has_labels: bool
    has_test_labels: bool
    class_names: tuple[str, ...] | None
    flip: bool
    fit: str = "crop"
    passed_over: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.train + self.test


def of_folder(found: Found) -> Origin:
    """The images of a folder or a zip, read and decoded as they are asked for."""
    layout, names = found.layout, found.names
    labels = _joined(layout.labels, layout.test_labels, len(layout.train), len(layout.test))
    stamps = [(name, *_stamp(found, name)) for name in names]

    def item(k: int) -> tuple[np.ndarray | UnusableError, int]:
        return found.read(names[k]), int(labels[k])

    return Origin(
        name=found.name,
        key=digest_of(dict(found.options), stamps, labels.tolist(), layout.class_names),
        train=len(layout.train),
        test=len(layout.test),
        items=lambda start: (functools.partial(item, k) for k in range(start, len(names))),
        unusable=lambda tried, errors: found.unusable(names[:tried], errors),
        name_of=lambda k: printable(names[k]),
        has_labels=layout.labels is not None,
        has_test_labels=layout.test_labels is not None and len(layout.test) > 0,
        class_names=layout.class_names,
        flip=False,
        fit=found.options["fit"],
        passed_over=found.passed_over,
    )


def of_arrays(data: ImageData) -> Origin:
    """Images that are in memory."""
    count = 0 if data.test is None else len(data.test)
    labels = _joined(data.labels, data.test_labels, len(data), count)

    def item(k: int) -> tuple[np.ndarray, int]:
        image = data.images[k] if k < len(data) else data.test[k - len(data)]
        return image, int(labels[k])

    return Origin(
        name=data.name,
        key=digest_of(data.fingerprint, count, data.images.shape),
        train=len(data),
        test=count,
        items=lambda start: (functools.partial(item, k) for k in range(start, len(labels))),
        unusable=lambda tried, errors: "",  # none is
        name_of=lambda k: f"image {k}",
        has_labels=data.labels is not None,
        has_test_labels=data.test_labels is not None,
        class_names=data.class_names,
        flip=data.flip,
    )


def digest_of(*facts: Any) -> str:
    """SHA-256 of anything that JSON can hold, a name that is no Unicode included."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _stamp(found: Found, name: str) -> tuple[int, ...]:
    try:
        return found.files.stamp(name)
    except OSError:  # as of a link to nowhere: reading it says why it is of no use
        return ()


def _joined(
    labels: np.ndarray | None, test_labels: np.ndarray | None, train: int, test: int
) -> np.ndarray:
    """A label for each image of both splits."""
    parts = [
        np.full(count, -1) if some is None else some
        for some, count in ((labels, train), (test_labels, test))
    ]
    return np.concatenate(parts).astype(np.int32)
