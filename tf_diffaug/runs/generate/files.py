"""Images of a run as PNG files, in a folder or a zip."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterator

from tf_diffaug.files import made_atomically
from tf_diffaug.images import encode_png
from tf_diffaug.runs.generate.source import ImageSource

Write = Callable[[str, bytes], None]
_LABELS = "dataset.json"


def save_images(
    source: ImageSource,
    path: str | os.PathLike,
    count: int = 64,
    *,
    start: int = 0,
    overwrite: bool = False,
) -> None:
    """Writes images as PNG files, all in one folder or one zip, whole or not at all.

    A name tells seed, number and class: `seed0_000012_class03.png`. Of a conditional run the labels
    are in `dataset.json` too, as StyleGAN's `dataset_tool` writes them, so that
    `load_folder` reads images and labels back.

    Args:
        source: where they come from.
        path: the folder, or the zip if it ends with `.zip`.
        count: how many.
        start: the number of the first.
        overwrite: whether what is there may be replaced: a zip, or a folder of such images alone.

    Raises:
        ValueError: for a count below 1, a start below 0, or images that are not finite.
        OSError: if it is there and may not be overwritten, or cannot be written.
    """
    path = pathlib.Path(path)
    place = _zip if path.suffix.lower() == ".zip" else _folder
    labels_of = {}
    making = made_atomically(path, overwrite=overwrite, parts=("seed*.png", _LABELS))
    with making as temporary, place(temporary) as write:
        number = start
        for images, labels in source.batches(count, start=start):
            for index, image in enumerate(images):
                label = None if labels is None else int(labels[index])
                name = _name(source, number, label)
                write(name, encode_png(image))
                labels_of[name] = label
                number += 1
        if source.num_classes is not None:
            write(_LABELS, json.dumps({"labels": list(labels_of.items())}).encode())


def _name(source: ImageSource, number: int, label: int | None) -> str:
    end = ""
    if label is not None:
        width = max(2, len(str(source.num_classes - 1)))
        end = f"_class{label:0{width}d}"
    return f"seed{source.seed}_{number:06d}{end}.png"


@contextlib.contextmanager
def _folder(path: pathlib.Path) -> Iterator[Write]:
    path.mkdir()
    yield lambda name, content: (path / name).write_bytes(content) and None


@contextlib.contextmanager
def _zip(path: pathlib.Path) -> Iterator[Write]:
    # PNGs are compressed already. Each entry has the date of 1980: equal images, equal bytes.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        yield lambda name, content: archive.writestr(zipfile.ZipInfo(name), content)
