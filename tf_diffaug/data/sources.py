"""Datasets by name."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib

from tf_diffaug.data import memory
from tf_diffaug.data.cifar import load_cifar
from tf_diffaug.data.core import ImageData
from tf_diffaug.data.emoji import load_emoji
from tf_diffaug.data.folder import Found, find_images, read_images
from tf_diffaug.data.origins import digest_of, of_folder
from tf_diffaug.data.packed_index import PACKED, is_packed, load_packed
from tf_diffaug.data.packing import write_packed
from tf_diffaug.errors import printable
from tf_diffaug.files import default_cache_dir
from tf_diffaug.naming import unknown

EMOJI = ("emoji_faces", "emoji")
CIFAR = ("cifar10", "cifar100")
FOLDER = "folder:"

DATASETS = (*EMOJI, *CIFAR, f"{FOLDER}PATH", f"{PACKED}PATH")
_log = logging.getLogger(__name__)


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
    """Loads a dataset into memory, or opens one that is read from disk as it is needed.

    A folder that would take more than half of the memory there is is packed in the user's cache
    directory, unless it is there already, and opened from there; a logged line says so.

    Args:
        name: `emoji_faces` (130 faces, 64 px) or `emoji` (1,911 in ten categories, 32 px), which
            come with the package; `cifar10` or `cifar100`, with their test split held out;
            `folder:PATH`, any folder or zip of images (see `load_folder`); or `packed:PATH`, what
            `pack` made (see `load_packed`).
        data_dir: where CIFAR lies; None downloads it through Keras.
        resolution: the side of the images, resized with antialiasing (Lanczos) where theirs is
            another; None keeps their own.
        channels: 3, or 1 for grey; for a folder also 4, to keep alpha.
        fit: how a folder's images become squares of that side: `crop`, `pad` or `enlarge` (see
            `load_folder`).
        labels: True insists on labels, False reads none, None reads those there are.
        skip_broken: leave a folder's unusable files out, and have another image stand in for a
            damaged one of a packed dataset, rather than stop.

    Returns:
        An `ImageData`.

    Raises:
        ValueError: if the name is not known, an argument does not fit, or what it names cannot be
            read.
    """
    check_name(name)
    check_options(name, data_dir=data_dir, resolution=resolution, channels=channels)
    options = {"resolution": resolution, "channels": channels, "fit": fit, "labels": labels}
    if name.startswith(PACKED):
        return load_packed(path_in(name), **options, skip_broken=skip_broken)
    if name.startswith(FOLDER):
        with find_images(path_in(name), **options) as found:
            if 2 * found.num_bytes() > memory.available():
                return _from_cache(found, labels=labels, skip_broken=skip_broken)
            return read_images(found, skip_broken=skip_broken)
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


def check_name(name: str) -> None:
    """Checks that a dataset may have that name.

    Raises:
        ValueError: if not, with the way.
    """
    if name in EMOJI + CIFAR or name.startswith((FOLDER, PACKED)):
        return
    path = pathlib.Path(os.path.expanduser(name))
    if path.exists():
        prefix = PACKED if is_packed(path) else FOLDER
        raise ValueError(
            f"Images of your own are named {prefix}{printable(name)}. "
            f"Received: name={printable(name)!r}."
        )
    raise ValueError(unknown("dataset", printable(name), DATASETS))


def check_options(
    name: str, *, data_dir: str | os.PathLike | None, resolution: int | None, channels: int
) -> None:
    """Checks that a dataset of that name can be had so, before it is looked for.

    Raises:
        ValueError: naming what does not fit.
    """
    if resolution is not None and resolution < 1:
        raise ValueError(f"A resolution is 1 or more. Received: resolution={resolution}.")
    own = name.startswith((FOLDER, PACKED))
    if channels not in ((1, 3, 4) if own else (1, 3)):
        allowed = "1, 3 or 4" if own else "1 or 3"
        raise ValueError(f"Channels of {name} are {allowed}. Received: channels={channels}.")
    if data_dir is not None and name not in CIFAR:
        raise ValueError(f"{name} lies in no data_dir. Received: data_dir={str(data_dir)!r}.")


def path_in(name: str) -> str:
    """The path in the name of images of one's own.

    Raises:
        ValueError: if there is none, as of a shell variable that is not set.
    """
    kind, _, path = name.partition(":")
    if not path:
        raise ValueError(f"A folder has a path: {kind}:PATH. Received: name={name!r}.")
    return os.path.expanduser(path)


def _from_cache(found: Found, *, labels: bool | None, skip_broken: bool) -> ImageData:
    """Images that are too many for memory, packed in the user's cache directory."""
    origin = of_folder(found)
    # Not one pack for both: it would have to say in one case what it passes over in the other.
    key = digest_of(origin.key, skip_broken)
    place = default_cache_dir() / f"packed-{key[:32]}"
    _log.warning(
        "%s takes %.3g GB, more than half of the memory that is free (%.3g GB): packed in %s.",
        *(found.name, found.num_bytes() / 1e9, memory.available() / 1e9, printable(place)),
    )
    # Several workers of one machine find the same folder too large.
    write_packed(origin, place, skip_broken=skip_broken, wait=True)
    data = load_packed(place, labels=labels, skip_broken=skip_broken)
    return dataclasses.replace(data, name=found.name)
