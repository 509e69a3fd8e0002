"""One image file, of any format that Pillow reads, as a square of 8-bit pixels."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

try:
    from PIL import ImageCms
except ImportError:  # a Pillow built without LittleCMS
    ImageCms = None

FITS = ("crop", "pad", "enlarge")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# Documents, which need other programs to draw them, and containers that Pillow only recognises.
_NO_IMAGES = frozenset({"PDF", "EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5", "IPTC"})
# The largest scans and panoramas have some hundred million; Pillow doubts at 89 and stops at 179.
MOST_PIXELS = 1 << 29
# These hold as they are through a crop and a reduction.
_RESIZABLE = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})


class UnusableError(ValueError):
    """A file that is no image, or does not fit.

    Args:
        reason: why, in a few words.
        side: the largest resolution that it allows, where it is only too small.
    """

    def __init__(self, reason: str, side: int | None = None):
        super().__init__(reason)
        self.side = side


@functools.cache
def image_suffixes() -> tuple[str, ...]:
    """The endings of the names of image files, with their dots, in lower case."""
    formats = image_formats()
    return tuple(s for s, name in sorted(Image.registered_extensions().items()) if name in formats)


@functools.cache
def image_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _NO_IMAGES)


@contextlib.contextmanager
def large_images() -> Iterator[None]:
    """Lets Pillow open images of up to half a billion pixels without a word.

    Its limit is one for the whole process: this is entered once around all reading, by no thread.
    """
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def read_image(
    file: BinaryIO, *, resolution: int | None = None, channels: int = 3, fit: str = "crop"
) -> np.ndarray:
    """Reads the first frame of an image file.

    EXIF rotation is applied, colours are brought to sRGB where the file has an ICC profile, 16-bit
    grey is scaled to 8 bits, transparency is composited on white unless `channels` is 4.

    Args:
        file: opened for reading bytes.
        resolution: the side of the result, or None for the file's own size.
        channels: 1, 3 or 4.
        fit: how the image becomes a square, as in `load_folder`.

    Returns:
        uint8 (H, W, channels).

    Raises:
        UnusableError: if it cannot be read, has too many pixels, or is too small.
    """
    try:
        with Image.open(file, formats=image_formats()) as opened:
            _check_size(opened.size, resolution, fit)
            if resolution is not None and opened.format == "JPEG":
                # The decoder halves for next to nothing. Twice the side is left for the filter.
                opened.draft(None, (2 * resolution, 2 * resolution))
            profile = opened.info.get("icc_profile")
            image = _resizable(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        raise UnusableError(f"more than {MOST_PIXELS:,} pixels") from error
    except UnusableError:
        raise
    except MemoryError as error:
        raise UnusableError("it takes more memory than there is") from error
    except Exception as error:  # a damaged file raises whatever its decoder stumbles over
        # Pillow's messages repeat the path, and tell a user little more than this.
        reason = getattr(error, "strerror", None) or "no image, or cut short"
        raise UnusableError(reason) from error
    if resolution is not None:
        image = _square(image, resolution, fit, channels)
    image = _in_mode(_to_srgb(image, profile), _MODES[channels])
    return np.asarray(image).reshape(image.height, image.width, channels)


def _check_size(size: tuple[int, int], resolution: int | None, fit: str) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        raise UnusableError(f"{width}x{height} is more than {MOST_PIXELS:,} pixels")
    if resolution is not None and fit == "pad" and max(size) ** 2 > MOST_PIXELS:
        raise UnusableError(f"{width}x{height} padded is more than {MOST_PIXELS:,} pixels")
    if resolution is not None and fit == "crop" and min(size) < resolution:
        raise UnusableError(f"{width}x{height} is smaller than {resolution}", side=min(size))


def _resizable(image: Image.Image) -> Image.Image:
    image.load()
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "LA" or image.mode == "RGBA":
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in _RESIZABLE else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scales 16-bit grey, which Pillow's own conversion clips to 255."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise UnusableError("its values are of 32 bits, with no range that is known")
    return Image.fromarray((values / 257 + 0.5).astype(np.uint8))


def _square(image: Image.Image, resolution: int, fit: str, channels: int) -> Image.Image:
    if fit == "pad":
        image = _pad(image, max(resolution, *image.size), channels)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize(
        (resolution, resolution),
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
    )


def _pad(image: Image.Image, side: int, channels: int) -> Image.Image:
    if channels == 4:
        image = image.convert("RGBA")
        colour = (0, 0, 0, 0)
    else:
        pixels = np.asarray(image).reshape(image.height, image.width, -1)
        border = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        colour = tuple(np.median(np.concatenate(border), axis=0).astype(int).tolist())
    padded = Image.new(image.mode, (side, side), colour if len(colour) > 1 else colour[0])
    padded.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return padded


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile or ImageCms is None:
        return image
    alpha = image.getchannel("A") if image.mode.endswith("A") else None
    colours = image.convert(image.mode[:-1]) if alpha is not None else image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        srgb = ImageCms.createProfile("sRGB")
        colours = ImageCms.profileToProfile(colours, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):  # a damaged profile, or another mode's
        return image
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "RGBA" or not image.mode.endswith("A"):
        return image.convert(mode)
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert(mode)
