"""Pictures small enough for a page that holds them all."""

from __future__ import annotations

import base64
import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from tf_diffaug.images import as_picture, read_png

# (frames at most, pixels across at most, JPEG quality; None is lossless WebP), finest first.
_LADDER = (
    (24, 1600, None),
    (24, 1600, 92),
    (24, 1280, 82),
    (16, 1280, 75),
    (12, 960, 70),
    (8, 800, 60),
    (4, 640, 50),
)
# A pixel of a sheet that is narrower is shown as a square, not blurred.
_FEW_PIXELS = 900
_THUMBNAIL = 192


class Picture(NamedTuple):
    """A picture in the page.

    Args:
        uri: of its data.
        width: in pixels.
        height: in pixels.
        crisp: whether its pixels are shown as squares where it is enlarged.
    """

    uri: str
    width: int
    height: int
    crisp: bool


def encode(picture: Image.Image, *, width: int = 1600, quality: int | None = None) -> Picture:
    """A picture, on white, as a data URI.

    Args:
        picture: in any mode.
        width: it is made smaller if it is wider.
        quality: of JPEG, with the colours at full resolution; None is lossless WebP.
    """
    picture = _smallest(_on_white(picture))
    if picture.width > width:
        size = (width, round(picture.height * width / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if quality is None:
        picture.save(buffer, "WEBP", lossless=True, quality=50)
    else:
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    kind = "webp" if quality is None else "jpeg"
    data = base64.b64encode(buffer.getvalue()).decode()
    uri = f"data:image/{kind};base64,{data}"
    return Picture(uri, *picture.size, crisp=picture.width < _FEW_PIXELS)


def encode_within(picture: Image.Image, most: int) -> Picture:
    """A picture as fine as so many bytes of a page allow."""
    return encode_all([picture], most)[0]


def encode_all(pictures: Sequence[Image.Image], most: int) -> list[Picture]:
    """Pictures as fine as so many bytes of a page allow, the coarsest at worst."""
    for _, width, quality in _LADDER:
        made = [encode(picture, width=width, quality=quality) for picture in pictures]
        if sum(len(one.uri) for one in made) <= most:
            break
    return made


def sheets_through_time(
    sheets: Sequence[tuple[int, pathlib.Path]], most: int
) -> list[tuple[int, Picture]]:
    """Sheets of samples by step: as many, and as fine, as so many bytes of a page allow.

    The first and the last are always among them.

    Raises:
        ValueError: if a file is no PNG.
        OSError: if it cannot be read.
    """
    for rung in _LADDER[:-1]:
        made = _sheets(sheets, most, *rung)
        if made is not None:
            return made
    return _sheets(sheets, None, *_LADDER[-1])


def _sheets(
    sheets: Sequence[tuple[int, pathlib.Path]],
    most: int | None,
    count: int,
    width: int,
    quality: int | None,
) -> list[tuple[int, Picture]] | None:
    """None as soon as they are too many bytes."""
    made, size = [], 0
    for step, path in _spread(sheets, count):
        made.append((step, encode(read_png(path), width=width, quality=quality)))
        size += len(made[-1][1].uri)
        if most is not None and size > most:
            return None
    return made


def encode_images(images: np.ndarray, most: int) -> list[Picture]:
    """Images (n, height, width, channels), uint8, as thumbnails within so many bytes of a page."""
    pictures = [as_picture(image) for image in images]
    for picture in pictures:
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    return encode_all(pictures, most)


def _spread(sheets: Sequence, count: int) -> Iterator:
    picks = np.linspace(0, len(sheets) - 1, min(count, len(sheets))).round().astype(int)
    return (sheets[index] for index in picks)


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode not in ("RGBA", "LA", "PA"):
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _smallest(picture: Image.Image) -> Image.Image:
    """The picture without enlargement: of blocks of equal pixels one pixel each."""
    for factor in (8, 4, 3, 2):
        small = picture.resize(
            (max(1, picture.width // factor), max(1, picture.height // factor)),
            Image.Resampling.NEAREST,
        )
        again = small.resize(picture.size, Image.Resampling.NEAREST)
        fits = picture.width % factor == 0 and picture.height % factor == 0
        if fits and np.array_equal(np.asarray(again), np.asarray(picture)):
            return small
    return picture
