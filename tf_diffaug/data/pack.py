"""Any dataset, packed: what the command `pack` does, for Python."""

from __future__ import annotations

import os
import pathlib

from tf_diffaug.data import sources
from tf_diffaug.data.folder import find_images
from tf_diffaug.data.origins import of_arrays, of_folder
from tf_diffaug.data.packed_index import PACKED
from tf_diffaug.data.packing import write_packed
from tf_diffaug.data.tfds import TFDS, of_tfds


def pack(
    name: str,
    out: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    resolution: int | None = None,
    channels: int = 3,
    fit: str = "crop",
    skip_broken: bool = False,
    workers: int | None = None,
) -> pathlib.Path:
    """Packs a dataset for training from disk: `load(f"packed:{out}")` opens it.

    The images need not fit in memory. A call that was ended goes on when it is made again, and
    makes the same bytes; what is finished is left as it is.

    Args:
        name: a dataset, see `load`, or `tfds:NAME` of TensorFlow Datasets, which must be installed.
        out: the folder that is made.
        data_dir: where CIFAR lies, or the data of TensorFlow Datasets.
        resolution: the side of the images; None keeps their own, which must be one.
        channels: 3, 1 for grey, or 4 to keep a folder's alpha.
        fit: how a folder's images become squares of that side.
        skip_broken: leave a folder's unusable files out, and name them in `skipped`.
        workers: threads that decode; None is one for each processor.

    Returns:
        `out`.

    Raises:
        ValueError: if the name is not known, an argument does not fit, what it names cannot be
            read, or something else is at `out` already.
        OSError: if it cannot be written; the same call goes on.
    """
    options = {"resolution": resolution, "channels": channels, "fit": fit}
    write = {"skip_broken": skip_broken, "workers": workers}
    if name.startswith(TFDS):
        return write_packed(of_tfds(name, data_dir=data_dir, **options), out, **write)
    sources.check_name(name)
    if name.startswith(PACKED):
        raise ValueError(f"That is packed already. Received: name={name!r}.")
    if name.startswith(sources.FOLDER):
        sources.check_options(name, data_dir=data_dir, resolution=resolution, channels=channels)
        with find_images(sources.path_in(name), **options) as found:
            return write_packed(of_folder(found), out, **write)
    return write_packed(of_arrays(sources.load(name, data_dir=data_dir, **options)), out, **write)
