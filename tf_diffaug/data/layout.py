"""Which images of a folder are trained on, which are held out, and what their labels are.

Only names are looked at, and the `dataset.json` of StyleGAN's `dataset_tool`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np

from tf_diffaug.data.files import Files
from tf_diffaug.errors import printable

_TRAIN = ("train", "training")
# The first that is there is held out.
_HELD_OUT = ("test", "testing", "val", "valid", "validation")
_SHARD = re.compile(r"\d{5}/img\d{8}\.\w+")
_LIST = "dataset.json"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The names of the images of each split, with their labels where there are any.

    Args:
        train: names of the images to train on.
        labels: integers (len(train),), or None.
        class_names: the name of each label, or None.
        test: names of the held-out images.
        test_labels: integers (len(test),), or None.
        unused: images of a split that is neither, as `val/` beside `test/`.
    """

    train: list[str]
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    test: list[str] = dataclasses.field(default_factory=list)
    test_labels: np.ndarray | None = None
    unused: tuple[str, ...] = ()


def find_layout(files: Files, images: list[str], *, labels: bool | None) -> Layout:
    """Finds splits and classes.

    Args:
        files: the folder or zip.
        images: the names of its images.
        labels: False looks for none, True refuses a layout whose labels are not clear, None takes
            them where they are.

    Raises:
        ValueError: if images lie beside the splits, labels are wanted and images lie both in the
            folder and in subfolders, or `dataset.json` is damaged or, labels being wanted, has not
            a whole number for each image.
    """
    top = _common_folder(files, images)
    listed = _read_list(files, f"{top}{_LIST}")
    below = [name.removeprefix(top) for name in images]
    found = _from_folders(below, labels) if listed is None else _from_list(below, listed, labels)
    return dataclasses.replace(
        found,
        train=[top + name for name in found.train],
        test=[top + name for name in found.test],
        unused=tuple(top + name for name in found.unused),
    )


def _common_folder(files: Files, images: list[str]) -> str:
    """The deepest folder that all images lie below, as a prefix of names.

    An archive has its own name at the top, and unpacked often twice.
    """
    top = ""
    while f"{top}{_LIST}" not in files.names:
        tops = {name.removeprefix(top).partition("/")[:2] for name in images}
        if len(tops) > 1:
            break
        ((folder, separator),) = tops
        if not separator:
            break
        top += f"{folder}/"
    return top


def _from_folders(images: list[str], labels: bool | None) -> Layout:
    if all(_SHARD.fullmatch(name) for name in images):
        return Layout(images)
    split = _splits(images)
    train, test = (split["train"], split["test"]) if split else (images, [])
    found = Layout(train, test=test, unused=tuple(split["unused"]) if split else ())
    if labels is False:
        return found
    depth = 1 if split else 0
    classes = _classes(train, depth, labels)
    held_out = _classes(test, depth, labels) if classes else None
    names = tuple(sorted({*(classes or ()), *(held_out or ())}))
    if not classes or len(names) < 2:
        return found
    position = {name: k for k, name in enumerate(names)}
    return dataclasses.replace(
        found,
        labels=np.array([position[name] for name in classes], np.int32),
        class_names=tuple(map(printable, names)),
        test_labels=held_out and np.array([position[name] for name in held_out], np.int32),
    )


def _splits(images: list[str]) -> dict[str, list[str]] | None:
    """The images of each split, or None where the top folders are no splits."""
    tops = {name.partition("/")[0] for name in images if "/" in name}
    train = [top for top in sorted(tops) if top.lower() in _TRAIN]
    held_out = [top for name in _HELD_OUT for top in sorted(tops) if top.lower() == name]
    if not train or not held_out:  # as a class of railway trains
        return None
    other = [n for n in images if n.partition("/")[0] not in train + held_out or "/" not in n]
    if other:
        raise ValueError(
            f"{train[0]!r} and {held_out[0]!r} are splits, and {len(other)} images lie beside "
            f"them, {printable(other[0])} first; move these elsewhere. "
            f"Received: {len(images)} images."
        )
    parts = {"train": train[:1], "test": held_out[:1], "unused": [*train[1:], *held_out[1:]]}
    return {
        part: [name for name in images if name.partition("/")[0] in folders]
        for part, folders in parts.items()
    }


def _classes(images: list[str], depth: int, labels: bool | None) -> list[str] | None:
    """Each image's subfolder; None where an image lies in none."""
    parts = [name.split("/")[depth:] for name in images]
    inside = [part[0] for part in parts if len(part) > 1]
    if inside and len(inside) < len(parts) and labels:
        raise ValueError(
            f"Images lie in the folder itself ({len(parts) - len(inside)}) and in its subfolders "
            f"({len(inside)}, {printable(min(inside))!r} first), so which have labels is not "
            "clear; move either elsewhere, or train without labels. Received: labels=True."
        )
    return inside if inside and len(inside) == len(parts) else None


def _read_list(files: Files, name: str) -> dict[str, Any] | None:
    """What `dataset.json` holds, where it is that of `dataset_tool`."""
    if name not in files.names:
        return None
    try:
        with files.open(name) as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{_LIST} cannot be read as JSON: {printable(error)}.") from error
    return content if isinstance(content, dict) and "labels" in content else None


def _from_list(images: list[str], listed: dict[str, Any], labels: bool | None) -> Layout:
    if labels is False or not listed["labels"]:
        return Layout(images)
    try:
        return Layout(images, labels=_listed_labels(images, listed["labels"]))
    except ValueError:
        if labels:
            raise
        return Layout(images)  # as where subfolders leave the labels unclear


def _listed_labels(images: list[str], pairs: Any) -> np.ndarray:
    try:
        label_of = {name.replace("\\", "/"): label for name, label in pairs}
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{_LIST} has labels that are no list of [name, label].") from error
    values = []
    for name in images:
        if name not in label_of:
            raise ValueError(f"{_LIST} has no label for {printable(name)}.")
        value = label_of[name]
        if type(value) is not int or not 0 <= value < 1 << 31:
            raise ValueError(
                f"Labels of {_LIST} are whole numbers from 0. "
                f"Received: {printable(name)}={printable(value)}."
            )
        values.append(value)
    return np.array(values, np.int32)
