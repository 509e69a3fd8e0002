"""CIFAR-10 and CIFAR-100, in the Python and the binary layout they are published in.

https://www.cs.toronto.edu/~kriz/cifar.html describes both. The Python layout is pickled; a pickle
can run anything, so it is read by an unpickler that knows nothing but plain data and arrays.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import pickle
from typing import Any

import numpy as np

from tf_diffaug.data.core import ImageData, convert
from tf_diffaug.files import read_regular
from tf_diffaug.unpickle import load_plain

_CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
    crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
    lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
_PIXELS = 3 * 32 * 32


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Where one dataset's splits lie and which label is wanted."""

    classes: tuple[str, ...]
    python_folder: str
    binary_folder: str
    train: tuple[str, ...]
    test: str
    label_key: str
    label_bytes: int
    archive: str


_LAYOUTS = {
    "cifar10": _Layout(
        classes=tuple(_CIFAR10_CLASSES.split()),
        python_folder="cifar-10-batches-py",
        binary_folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{k}" for k in range(1, 6)),
        test="test_batch",
        label_key="labels",
        label_bytes=1,
        archive="cifar-10-*.tar.gz",
    ),
    # Its records begin with the coarse label, then the fine one.
    "cifar100": _Layout(
        classes=tuple(_CIFAR100_CLASSES.split()),
        python_folder="cifar-100-python",
        binary_folder="cifar-100-binary",
        train=("train",),
        test="test",
        label_key="fine_labels",
        label_bytes=2,
        archive="cifar-100-*.tar.gz",
    ),
}


def load_cifar(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    resolution: int | None = None,
    channels: int = 3,
) -> ImageData:
    """Reads `cifar10` or `cifar100` (fine labels), with the test split held out.

    Args:
        name: the dataset's name.
        data_dir: the folder as published, or the one that contains it. None downloads the dataset
            through `keras.datasets`, or takes what that has downloaded before.
        resolution: the side wanted, if not 32.
        channels: 3, or 1 for grey.

    Raises:
        ValueError: if a file is missing, cut short or no such batch, or the download fails.
    """
    layout = _LAYOUTS[name]
    if data_dir is None:
        (images, labels), (test, test_labels) = _download(name)
    else:
        (images, labels), (test, test_labels) = _read(name, layout, pathlib.Path(data_dir))
    return ImageData(
        name=name,
        images=convert(images, resolution=resolution, channels=channels),
        labels=labels,
        class_names=layout.classes,
        flip=True,
        test=convert(test, resolution=resolution, channels=channels),
        test_labels=test_labels,
    )


def _download(name: str):
    import keras

    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare Exception for a failed download
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name} could not be downloaded ({reason}). Give the folder it has been unpacked to. "
            "Received: data_dir=None."
        ) from error
    if keras.backend.image_data_format() == "channels_first":
        train, test = [(images.transpose(0, 2, 3, 1), labels) for images, labels in (train, test)]
    return [(images, np.ravel(labels)) for images, labels in (train, test)]


def _read(name: str, layout: _Layout, data_dir: pathlib.Path):
    for folder in (data_dir / layout.python_folder, data_dir):
        if (folder / layout.test).is_file() or (folder / layout.train[0]).is_file():
            read = [_read_python(folder / part, layout) for part in (*layout.train, layout.test)]
            return _join(read[:-1]), read[-1]
    for folder in (data_dir / layout.binary_folder, data_dir):
        files = [folder / f"{part}.bin" for part in (*layout.train, layout.test)]
        if files[0].is_file() or files[-1].is_file():
            read = [_read_binary(file, layout) for file in files]
            return _join(read[:-1]), read[-1]
    packed = sorted(path.name for path in data_dir.glob(layout.archive))
    hint = f" Unpack {packed[0]} first." if packed else ""
    raise ValueError(
        f"No {name} there: looked for {layout.python_folder}/{layout.train[0]} and "
        f"{layout.binary_folder}/{layout.train[0]}.bin, and for these files in the folder itself."
        f"{hint} Received: data_dir={str(data_dir)!r}."
    )


def _join(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _read_binary(path: pathlib.Path, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    records = np.frombuffer(_read_bytes(path), np.uint8)
    size = layout.label_bytes + _PIXELS
    if not records.size or records.size % size:
        raise ValueError(
            f"{path} is no CIFAR batch or is cut short: its size is no multiple of {size} bytes. "
            f"Received: size={records.size}."
        )
    records = records.reshape(-1, size)
    return _images(path, records[:, -_PIXELS:], records[:, layout.label_bytes - 1], layout)


def _read_python(path: pathlib.Path, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = load_plain(_read_bytes(path))
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} was not read as a CIFAR batch: {error}.") from error
    entries = batch.items() if isinstance(batch, dict) else ()
    batch = {k.decode("latin1") if isinstance(k, bytes) else k: v for k, v in entries}
    for key in ("data", layout.label_key):
        if key not in batch:
            raise ValueError(f"{path} is no CIFAR batch: it has no {key!r}.")
    return _images(path, batch["data"], batch[layout.label_key], layout)


def _images(path: pathlib.Path, pixels: Any, labels: Any, layout: _Layout):
    """Checks one batch and turns its pixels from channels first to channels last."""
    pixels, labels = _flat(pixels), _flat(labels)
    count = labels.size
    if (
        pixels.dtype != np.uint8
        or pixels.shape != (count, _PIXELS)
        or labels.shape != (count,)
        or not count
        or labels.dtype.kind not in "iu"
    ):
        raise ValueError(
            f"{path} is no CIFAR batch. Received: data={pixels.dtype}{pixels.shape}, "
            f"{layout.label_key}={labels.dtype}{labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= len(layout.classes):
        raise ValueError(
            f"{path} has labels outside 0 to {len(layout.classes) - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}."
        )
    images = pixels.reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels.astype(np.int32)


def _flat(values: Any) -> np.ndarray:
    """An array, or a list of numbers as one; not of lists, few of which can stand for endless."""
    if isinstance(values, list) and any(isinstance(value, (list, tuple)) for value in values):
        return np.zeros(0)
    return np.asarray(values if isinstance(values, (list, np.ndarray)) else 0.0)


def _read_bytes(path: pathlib.Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise ValueError(f"Could not read {path}: {error.strerror}.") from error
