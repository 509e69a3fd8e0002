"""Data sets of TensorFlow Datasets, where that is installed: https://www.tensorflow.org/datasets."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tf_diffaug.data.image import FITS, UnusableError, read_image
from tf_diffaug.data.origins import Item, Origin, digest_of
from tf_diffaug.errors import one_line, printable
from tf_diffaug.naming import unknown
from tf_diffaug.optional import need_packages

TFDS = "tfds:"
_HELD_OUT = ("test", "validation")


def of_tfds(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    resolution: int | None = None,
    channels: int = 3,
    fit: str = "crop",
) -> Origin:
    """The images of a data set, which is downloaded and prepared if it is not yet.

    Its split `train` is trained on; `test`, or else `validation`, is held out. Images are read as
    they are encoded, as those of a folder are; labels are those of its feature `label`.

    Args:
        name: `tfds:NAME` or `tfds:NAME/CONFIG:VERSION`.
        data_dir: where its data lie; None is the place of TensorFlow Datasets' own.
        resolution: the side of the images; None keeps their own.
        channels: 1, 3 or 4.
        fit: how an image becomes a square of that side.

    Raises:
        UserError: if TensorFlow Datasets is not installed.
        ValueError: if there is no such data set, or it has no images to train on.
    """
    need_packages(f"A dataset by its name {printable(name)}", ["tensorflow_datasets"], extra="tfds")
    import tensorflow_datasets as tfds

    if fit not in FITS:
        raise ValueError(unknown("fit", fit, FITS))
    try:
        builder = tfds.builder(name.removeprefix(TFDS), data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as error:  # whatever a registry, a download or a parser of any format raises
        raise ValueError(
            f"TensorFlow Datasets could not make it ({one_line(error)[:200]}). "
            f"Received: name={printable(name)!r}."
        ) from error
    info = builder.info
    test = next((split for split in _HELD_OUT if split in info.splits), None)
    if "image" not in info.features or "train" not in info.splits:
        raise ValueError(
            f"It has no images to train on: its features are {', '.join(info.features)}, its "
            f"splits {', '.join(info.splits)}. Received: name={printable(name)!r}."
        )
    splits = ["train", *([test] if test else [])]
    counts = [info.splits[split].num_examples for split in splits]
    has_labels = "label" in info.features
    options = {"resolution": resolution, "channels": channels, "fit": fit}
    return Origin(
        name=printable(name),
        key=digest_of(info.full_name, options, counts),
        train=counts[0],
        test=sum(counts[1:]),
        items=functools.partial(_items, builder, dict(zip(splits, counts, strict=True)), options),
        unusable=functools.partial(_unusable, name, sum(counts)),
        name_of=lambda k: f"image {k}",
        has_labels=has_labels,
        has_test_labels=has_labels and test is not None,
        class_names=tuple(info.features["label"].names) if has_labels else None,
        flip=False,
        fit=fit,
    )


def _items(
    builder: Any, counts: Mapping[str, int], options: Mapping[str, Any], start: int
) -> Iterator[Item]:
    import tensorflow_datasets as tfds

    # One file after the other: the order of the examples is then that of the files.
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    for split, count in counts.items():
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            read_config=config,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        for example in dataset.skip(min(start, count)):
            label = int(example["label"]) if "label" in example else -1
            yield functools.partial(_read, example["image"].numpy(), label, options)
        start = max(0, start - count)


def _read(
    encoded: bytes, label: int, options: Mapping[str, Any]
) -> tuple[np.ndarray | UnusableError, int]:
    try:
        return read_image(io.BytesIO(encoded), **options), label
    except UnusableError as error:
        return error, label


def _unusable(name: str, count: int, tried: int, errors: Mapping[int, UnusableError]) -> str:
    first = min(errors)
    return (
        f"{len(errors)} of the first {tried} of {count} images cannot be used: image {first} "
        f"({errors[first]}); skip_broken leaves them out. Received: name={printable(name)!r}."
    )
