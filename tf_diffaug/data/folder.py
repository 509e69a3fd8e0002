"""A folder or a zip of photographs or drawings, as one array of square images."""

from __future__ import annotations

import concurrent.futures
import os

import numpy as np

from tf_diffaug.data import memory
from tf_diffaug.data.core import ImageData
from tf_diffaug.data.files import Files, open_files
from tf_diffaug.data.image import FITS, UnusableError, image_suffixes, large_images, read_image
from tf_diffaug.data.layout import find_layout
from tf_diffaug.errors import printable
from tf_diffaug.naming import unknown


def load_folder(
    path: str | os.PathLike,
    *,
    resolution: int | None = None,
    channels: int = 3,
    fit: str = "crop",
    labels: bool | None = None,
    skip_broken: bool = False,
) -> ImageData:
    """Reads every image below a folder or in a zip, sorted by path.

    Every format that Pillow reads is an image, whose first frame counts; other files are named in
    `passed_over`, hidden ones (`.name`, `__MACOSX`) are not. See `read_image` for colours.

    Folders that all images lie in count for nothing. The subfolders below them are the classes,
    whatever lies further below. Subfolders `train` and `test` (or `val`, `valid`, `validation`)
    are splits, each with its classes: the second is held out. Where there is a `dataset.json` of
    StyleGAN's `dataset_tool`, the labels are those it lists, and subfolders mean nothing.

    Args:
        path: the folder or zip.
        resolution: the side of the images, reduced with antialiasing (Lanczos). None keeps images
            of one size as they are, oblong too.
        channels: 3, 1 for grey, or 4 to keep alpha.
        fit: how an image becomes a square of that side. `crop` cuts the square in its centre, and
            an image whose short side is smaller is unusable. `enlarge` does the same and enlarges
            what is smaller. `pad` keeps the whole image, centred on a square border: transparent
            with 4 channels, otherwise of the median colour of the image's outermost pixels; what
            is smaller keeps its size, what is larger is reduced.
        labels: True insists on labels, False reads none, None reads them where they are clear:
            images in the folder itself beside subfolders leave them out.
        skip_broken: leave unusable files out and name them in `skipped`, instead of stopping.

    Raises:
        ValueError: if there is no image, labels are wanted and there are none, a file is unusable,
            or sizes differ where no resolution is given.
    """
    if fit not in FITS:
        raise ValueError(unknown("fit", fit, FITS))
    if fit != "crop" and resolution is None:
        raise ValueError(f"What an image is fitted to is a resolution. Received: fit={fit!r}.")
    name = f"folder:{printable(path)}"
    with open_files(path) as files:
        images = [file for file in files.names if file.lower().endswith(image_suffixes())]
        if not images:
            raise ValueError(_no_image(files, name))
        layout = find_layout(files, images, labels=labels)
        if labels and layout.labels is None:
            raise ValueError(
                f"No labels there: they are the names of two subfolders or more. "
                f"Received: name={name!r}, labels=True."
            )
        wanted = [*layout.train, *layout.test]
        options = {"resolution": resolution, "channels": channels, "fit": fit}
        pixels, errors = _read_all(files, wanted, options)
    if errors and (not skip_broken or len(errors) == len(wanted)):
        raise ValueError(_unusable(wanted, errors, name, resolution))
    kept = np.array([k for k in range(len(wanted)) if k not in errors])
    count = int(np.searchsorted(kept, len(layout.train)))
    train, test = kept[:count], kept[count:] - len(layout.train)
    return ImageData(
        name=name,
        images=pixels[:count],
        labels=None if layout.labels is None else layout.labels[train],
        class_names=layout.class_names,
        flip=False,
        test=pixels[count:] if len(test) else None,
        test_labels=None
        if layout.test_labels is None or not len(test)
        else layout.test_labels[test],
        skipped=tuple(printable(wanted[k]) for k in sorted(errors)),
        passed_over=tuple(map(printable, sorted({*files.names} - {*images} | {*layout.unused}))),
    )


def _read_all(files: Files, names: list[str], options: dict):
    """The usable images in one array, and why the others are not, by position.

    Each is read straight to its place, so that no image is held twice.
    """
    errors: dict[int, UnusableError] = {}
    with large_images():
        for first, name in enumerate(names):
            image = _try(files, name, options)
            if not isinstance(image, UnusableError):
                break
            errors[first] = image
        else:
            return None, errors
        pixels = memory.empty((len(names), *image.shape))
        pixels[first] = image

        def store(k: int) -> UnusableError | None:
            image = _try(files, names[k], options)
            if isinstance(image, UnusableError):
                return image
            if image.shape != pixels.shape[1:]:
                raise ValueError(
                    f"Sizes differ: {printable(names[first])} is {_size(pixels[first])}, "
                    f"{printable(names[k])} is {_size(image)}; give a resolution. "
                    "Received: resolution=None."
                )
            pixels[k] = image
            return None

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            rest = range(first + 1, len(names))
            found = zip(rest, pool.map(store, rest), strict=True)
            errors |= {k: error for k, error in found if error is not None}
    kept = [k for k in range(len(names)) if k not in errors]
    for place, k in enumerate(kept):
        if place != k:
            pixels[place] = pixels[k]
    return pixels[: len(kept)], errors


def _try(files: Files, name: str, options: dict) -> np.ndarray | UnusableError:
    try:
        with files.open(name) as file:
            return read_image(file, **options)
    except UnusableError as error:
        return error
    except OSError as error:
        return UnusableError(error.strerror or "it cannot be read")


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _no_image(files: Files, name: str) -> str:
    there = f"; {len(files.names)} files of other kinds are" if files.names else ""
    more = f", {printable(files.names[0])} first" if files.names else ""
    return f"No image there, subfolders included{there}{more}. Received: name={name!r}."


def _unusable(names: list[str], errors: dict, name: str, resolution: int | None) -> str:
    shown = [f"{printable(names[k])} ({errors[k]})" for k in sorted(errors)[:3]]
    more = f" and {len(errors) - 3} more" if len(errors) > 3 else ""
    small = [error.side for error in errors.values() if error.side is not None]
    ways = []
    if len(small) == len(names):
        ways.append(f"`resolution={min(small)}` is the largest that all allow")
    if small:
        ways.append("`fit=pad` or `fit=enlarge` takes small ones")
    if len(errors) < len(names):
        ways.append("skip_broken leaves them out")
    return (
        f"{len(errors)} of {len(names)} files cannot be used: {', '.join(shown)}{more}"
        f"{''.join(f'; {way}' for way in ways)}. "
        f"Received: name={name!r}, resolution={resolution}."
    )
