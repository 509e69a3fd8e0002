"""Datasets by name."""

from __future__ import annotations

import dataclasses
import os

from tf_diffaug.data.cifar import load_cifar
from tf_diffaug.data.core import ImageData
from tf_diffaug.data.emoji import load_emoji
from tf_diffaug.data.folder import load_folder
from tf_diffaug.errors import printable
from tf_diffaug.naming import unknown

EMOJI = ("emoji_faces", "emoji")
CIFAR = ("cifar10", "cifar100")
FOLDER = "folder:"

DATASETS = (*EMOJI, *CIFAR, f"{FOLDER}PATH")


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    resolution: int | None = None,
    channels: int = 3,
    fit: str = "crop",
    labels: bool | None = None,
    skip_broken: bool = False,
) -> ImageData:
    """Loads a dataset into memory.

    Args:
        name: `emoji_faces` (130 faces, 64 px) or `emoji` (1,911 in ten categories, 32 px), which
            come with the package; `cifar10` or `cifar100`, with their test split held out; or
            `folder:PATH`, any folder or zip of images (see `load_folder`).
        data_dir: where CIFAR lies; None downloads it through Keras.
        resolution: the side of the images, resized with antialiasing (Lanczos) where theirs is
            another; None keeps their own.
        channels: 3, or 1 for grey; for a folder also 4, to keep alpha.
        fit: how a folder's images become squares of that side: `crop`, `pad` or `enlarge` (see
            `load_folder`).
        labels: True insists on labels, False reads none, None reads those there are.
        skip_broken: leave a folder's unusable files out, rather than stop.

    Returns:
        An `ImageData`.

    Raises:
        ValueError: if the name is not known, an argument does not fit, or what it names cannot be
            read.
    """
    is_folder = name.startswith(FOLDER)
    if name not in EMOJI + CIFAR and not is_folder:
        if os.path.exists(os.path.expanduser(name)):
            raise ValueError(
                f"Images of your own are named {FOLDER}{printable(name)}. "
                f"Received: name={printable(name)!r}."
            )
        raise ValueError(unknown("dataset", printable(name), DATASETS))
    if resolution is not None and resolution < 1:
        raise ValueError(f"A resolution is 1 or more. Received: resolution={resolution}.")
    if channels not in ((1, 3, 4) if is_folder else (1, 3)):
        allowed = "1, 3 or 4" if is_folder else "1 or 3"
        raise ValueError(f"Channels of {name} are {allowed}. Received: channels={channels}.")
    if data_dir is not None and name not in CIFAR:
        raise ValueError(f"{name} lies in no data_dir. Received: data_dir={str(data_dir)!r}.")
    if is_folder:
        path = os.path.expanduser(name[len(FOLDER) :])
        if not path:  # as of a shell variable that is not set
            raise ValueError(f"A folder has a path: {FOLDER}PATH. Received: name={name!r}.")
        return load_folder(
            path,
            resolution=resolution,
            channels=channels,
            fit=fit,
            labels=labels,
            skip_broken=skip_broken,
        )
    if fit != "crop":
        raise ValueError(f"Images of {name} are resized, not fitted. Received: fit={fit!r}.")
    if name in CIFAR:
        data = load_cifar(name, data_dir=data_dir, resolution=resolution, channels=channels)
    else:
        data = load_emoji(name, resolution=resolution, channels=channels)
    if labels and data.labels is None:
        raise ValueError(f"{name} has no labels. Received: labels=True.")
    if labels is False:
        data = dataclasses.replace(data, labels=None, class_names=None, test_labels=None)
    return data
