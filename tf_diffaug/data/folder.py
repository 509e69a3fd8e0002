"""A folder or a zip of photographs or drawings, as one array of square images."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tf_diffaug.data import memory
from tf_diffaug.data.core import ImageData
from tf_diffaug.data.files import Files, open_files
from tf_diffaug.data.image import FITS, UnusableError, image_suffixes, large_images, read_image
from tf_diffaug.data.layout import Layout, find_layout
from tf_diffaug.errors import printable
from tf_diffaug.naming import unknown


@dataclasses.dataclass(frozen=True)
class Found:
    """The images of a folder or a zip, of which only the names are read yet.

    Args:
        name: `folder:PATH`.
        files: all that lies there.
        layout: which of them are trained on and which are held out, with their labels.
        options: how an image is read: `resolution`, `channels` and `fit`.
        passed_over: the files that are no images, or of a split not used.
    """

    name: str
    files: Files
    layout: Layout
    options: Mapping[str, Any]
    passed_over: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The images of both splits, those to train on first."""
        return [*self.layout.train, *self.layout.test]

    def read(self, name: str) -> np.ndarray | UnusableError:
        """An image, or why it cannot be used."""
        try:
            with self.files.open(name) as file:
                return read_image(file, **self.options)
        except UnusableError as error:
            return error
        except OSError as error:
            return UnusableError(error.strerror or "it cannot be read")

    def num_bytes(self) -> int:
        """What all of them take in memory; 0 where none can be used."""
        side, channels = self.options["resolution"], self.options["channels"]
        if side is not None:
            return len(self.names) * side * side * channels
        with large_images():
            images = map(self.read, self.names)
            first = next((i for i in images if not isinstance(i, UnusableError)), None)
        return 0 if first is None else len(self.names) * first.size

    def unusable(self, names: Sequence[str], errors: Mapping[int, UnusableError]) -> str:
        """The text of the error about files that cannot be used.

        Args:
            names: those that were tried, all or the first of them.
            errors: why, by position.
        """
        shown = [f"{printable(names[k])} ({errors[k]})" for k in sorted(errors)[:3]]
        more = f" and {len(errors) - 3} more" if len(errors) > 3 else ""
        small = [error.side for error in errors.values() if error.side is not None]
        count = len(self.names)
        ways = []
        if len(small) == count:
            ways.append(f"`resolution={min(small)}` is the largest that all allow")
        if small:
            ways.append("`fit=pad` or `fit=enlarge` takes small ones")
        if len(errors) < count:
            ways.append("skip_broken leaves them out")
        tried = f"{count}" if len(names) == count else f"the first {len(names)}"
        return (
            f"{len(errors)} of {tried} files cannot be used: {', '.join(shown)}{more}"
            f"{''.join(f'; {way}' for way in ways)}. "
            f"Received: name={self.name!r}, resolution={self.options['resolution']}."
        )


@contextlib.contextmanager
def find_images(
    path: str | os.PathLike,
    *,
    resolution: int | None = None,
    channels: int = 3,
    fit: str = "crop",
    labels: bool | None = None,
) -> Iterator[Found]:
    """Looks through a folder or a zip, see `load_folder`.

    Raises:
        ValueError: if there is no image, or labels are wanted and there are none.
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
        passed_over = sorted({*files.names} - {*images} | {*layout.unused})
        options = {"resolution": resolution, "channels": channels, "fit": fit}
        yield Found(name, files, layout, options, tuple(map(printable, passed_over)))


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
    options = {"resolution": resolution, "channels": channels, "fit": fit}
    with find_images(path, **options, labels=labels) as found:
        return read_images(found, skip_broken=skip_broken)


def read_images(found: Found, *, skip_broken: bool) -> ImageData:
    """Reads all into memory, see `load_folder`.

    Raises:
        ValueError: if a file is unusable, or sizes differ where no resolution is given.
    """
    names, layout = found.names, found.layout
    pixels, errors = _read_all(found, names)
    if errors and (not skip_broken or len(errors) == len(names)):
        raise ValueError(found.unusable(names, errors))
    kept = np.array([k for k in range(len(names)) if k not in errors])
    count = int(np.searchsorted(kept, len(layout.train)))
    train, test = kept[:count], kept[count:] - len(layout.train)
    return ImageData(
        name=found.name,
        images=pixels[:count],
        labels=None if layout.labels is None else layout.labels[train],
        class_names=layout.class_names,
        flip=False,
        test=pixels[count:] if len(test) else None,
        test_labels=None
        if layout.test_labels is None or not len(test)
        else layout.test_labels[test],
        skipped=tuple(printable(names[k]) for k in sorted(errors)),
        passed_over=found.passed_over,
    )


def _read_all(found: Found, names: list[str]):
    """The usable images in one array, and why the others are not, by position.

    Each is read straight to its place, so that no image is held twice.
    """
    errors: dict[int, UnusableError] = {}
    with large_images():
        for first, name in enumerate(names):
            image = found.read(name)
            if not isinstance(image, UnusableError):
                break
            errors[first] = image
        else:
            return None, errors
        pixels = memory.empty((len(names), *image.shape))
        pixels[first] = image

        def store(k: int) -> UnusableError | None:
            image = found.read(names[k])
            if isinstance(image, UnusableError):
                return image
            if image.shape != pixels.shape[1:]:
                raise ValueError(sizes_differ(names[first], pixels[first], names[k], image))
            pixels[k] = image
            return None

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            rest = range(first + 1, len(names))
            read = zip(rest, pool.map(store, rest), strict=True)
            errors |= {k: error for k, error in read if error is not None}
    kept = [k for k in range(len(names)) if k not in errors]
    for place, k in enumerate(kept):
        if place != k:
            pixels[place] = pixels[k]
    return pixels[: len(kept)], errors


def sizes_differ(first: str, image: np.ndarray, other: str, differs: np.ndarray) -> str:
    """The text of the error about two images that no resolution makes alike."""
    return (
        f"Sizes differ: {printable(first)} is {_size(image)}, {printable(other)} is "
        f"{_size(differs)}; give a resolution. Received: resolution=None."
    )


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _no_image(files: Files, name: str) -> str:
    there = f"; {len(files.names)} files of other kinds are" if files.names else ""
    more = f", {printable(files.names[0])} first" if files.names else ""
    return f"No image there, subfolders included{there}{more}. Received: name={name!r}."
