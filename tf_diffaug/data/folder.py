"""A folder of photographs or drawings, as one array of square images."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from tf_diffaug.data.core import ImageData

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# What Pillow's decoders raise for files that are cut short or no images at all.
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class _Unusable(ValueError):
    """A sound image that does not fit."""


def load_folder(
    path: str | os.PathLike,
    *,
    resolution: int | None = None,
    channels: int = 3,
    skip_broken: bool = False,
) -> ImageData:
    """Reads every PNG, JPEG and WebP file below a folder, sorted by path.

    The folder's own subfolders are the classes, whatever lies below them; a single one, or none,
    is no labels. Names that begin with a dot are passed over. EXIF rotation is applied,
    transparency composited on white (unless `channels` is 4), 16-bit grey scaled to 8 bits; of an
    animation, the first frame counts.

    Args:
        path: the folder.
        resolution: the side of the square cut from each image's centre and reduced with
            antialiasing. No image is enlarged: one whose short side is smaller is unusable. None
            keeps images of one size as they are, oblong too.
        channels: 3, 1 for grey, or 4 to keep alpha.
        skip_broken: leave unusable files out and name them in `skipped`, instead of stopping.

    Raises:
        ValueError: if there is no image, images lie both in the folder and in subfolders, a file is
            unusable, or sizes differ where no resolution is given.
    """
    root = pathlib.Path(path)
    files = _find(root)
    names, labels = _classes(root, files)
    images, reasons = _read_all(files, resolution, channels)
    if reasons and not skip_broken:
        raise ValueError(_unusable(root, files, reasons, resolution))
    kept = [k for k in range(len(files)) if k not in reasons]
    if not kept:
        raise ValueError(f"No file is usable. {_unusable(root, files, reasons, resolution)}")
    return ImageData(
        name=f"folder:{root}",
        images=_stack(root, [files[k] for k in kept], [images[k] for k in kept]),
        labels=None if labels is None else labels[kept],
        class_names=names,
        flip=True,
        skipped=tuple(files[k].relative_to(root).as_posix() for k in sorted(reasons)),
    )


def _find(root: pathlib.Path) -> list[pathlib.Path]:
    if not root.is_dir():
        raise ValueError(f"No such folder. Received: name='folder:{root}'.")
    found = sorted(_walk(root), key=lambda file: file.relative_to(root).as_posix())
    if not found:
        raise ValueError(
            f"No image there: looked for {', '.join(SUFFIXES)}, subfolders included. "
            f"Received: name='folder:{root}'."
        )
    return found


def _walk(root: pathlib.Path) -> Iterator[pathlib.Path]:
    visited = set()
    for folder, below, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        below[:] = [] if real in visited else [b for b in below if not b.startswith((".", "__"))]
        if real in visited:
            continue
        visited.add(real)
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield pathlib.Path(folder, name)


def _classes(root: pathlib.Path, files: list[pathlib.Path]):
    """The class names and each file's label, or None twice."""
    parts = [file.relative_to(root).parts for file in files]
    loose = sum(len(part) == 1 for part in parts)
    names = tuple(sorted({part[0] for part in parts if len(part) > 1}))
    if loose and names:
        raise ValueError(
            f"Images lie in the folder itself ({loose}) and in its subfolders "
            f"({len(files) - loose}, {names[0]!r} first), so which have labels is not clear; move "
            f"either elsewhere. Received: name='folder:{root}'."
        )
    if len(names) < 2:
        return None, None
    position = {name: k for k, name in enumerate(names)}
    return names, np.array([position[part[0]] for part in parts], np.int32)


def _read_all(files: list[pathlib.Path], resolution: int | None, channels: int):
    """Each file's image, and why the unusable ones are so, by position."""
    images: list[np.ndarray | None] = []
    reasons = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for k, result in enumerate(pool.map(lambda f: _try(f, resolution, channels), files)):
            images.append(result if isinstance(result, np.ndarray) else None)
            if isinstance(result, str):
                reasons[k] = result
    return images, reasons


def _try(file: pathlib.Path, resolution: int | None, channels: int) -> np.ndarray | str:
    try:
        return read_image(file, resolution=resolution, channels=channels)
    except _Unusable as error:
        return str(error)
    except _BROKEN as error:
        # Pillow's messages repeat the path, and tell a user little more than this.
        return getattr(error, "strerror", None) or "no image, or cut short"


def _unusable(root, files, reasons, resolution) -> str:
    shown = [f"{files[k].relative_to(root)} ({reasons[k]})" for k in sorted(reasons)[:3]]
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return (
        f"{len(reasons)} of {len(files)} files cannot be used: {', '.join(shown)}{more}; "
        f"skip_broken leaves them out. Received: name='folder:{root}', resolution={resolution}."
    )


def _stack(root, files: list[pathlib.Path], images: list[np.ndarray]) -> np.ndarray:
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise ValueError(
                f"Sizes differ: {files[0].relative_to(root)} is {_size(images[0])}, "
                f"{file.relative_to(root)} is {_size(image)}; give a resolution. "
                "Received: resolution=None."
            )
    return np.stack(images)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def read_image(
    file: str | os.PathLike, *, resolution: int | None = None, channels: int = 3
) -> np.ndarray:
    """Reads one image file.

    Args:
        file: the path of a PNG, JPEG or WebP file.
        resolution: the side to crop to a square and reduce to, or None for the file's own size.
        channels: 1, 3 or 4.

    Returns:
        uint8 (H, W, channels).

    Raises:
        ValueError: if the short side is smaller than the resolution.
    """
    with Image.open(file) as opened:
        image = ImageOps.exif_transpose(opened)
        image.load()
    if resolution is not None and min(image.size) < resolution:
        raise _Unusable(f"{image.width}x{image.height} is smaller than {resolution}")
    image = _in_mode(image, _MODES[channels])
    if resolution is not None:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.resize(
            (resolution, resolution),
            Image.Resampling.LANCZOS,
            box=(left, top, left + side, top + side),
        )
    return np.asarray(image).reshape(image.height, image.width, channels)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion clips to 255
        image = Image.fromarray((np.asarray(image) / 257 + 0.5).astype(np.uint8))
    if mode == "RGBA" or not image.has_transparency_data:
        return image.convert(mode)
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert(mode)
