"""Sheets of images with captions, and animations."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tf_diffaug.files import made_atomically
from tf_diffaug.images import as_picture, grid

# Smaller images are shown enlarged, each pixel a square, to at least about this many pixels.
_SIDE = 96
_GAP = 4
_INK = (40, 40, 40)
_FAINT = (110, 110, 110)


@dataclasses.dataclass(frozen=True)
class Panel:
    """Part of a sheet.

    Args:
        images: uint8 (rows, columns, height, width, channels); of 4 channels, shown on white.
        title: a line above it.
        captions: one for each column, or none.
    """

    images: np.ndarray
    title: str = ""
    captions: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A still picture: panels of as many rows side by side.

    Args:
        panels: from left to right.
        captions: one for each row, at their left, or none.
    """

    panels: Sequence[Panel]
    captions: Sequence[str] = ()

    def draw(self) -> Image.Image:
        """The picture, RGB."""
        first = self.panels[0].images
        scale = scale_of(first.shape[2])
        height, width = first.shape[2] * scale + _GAP, first.shape[3] * scale + _GAP
        font = _font(height)
        line = round(font.size * 1.5)
        left = max((_text_width(font, text) for text in self.captions), default=0)
        left += 5 * _GAP if left else 0
        top = line * (any(p.title for p in self.panels) + any(p.captions for p in self.panels))
        grids = [_enlarged_grid(panel.images, scale) for panel in self.panels]
        between = 4 * _GAP
        total = left + sum(g.width for g in grids) + between * (len(grids) - 1)
        sheet = Image.new("RGB", (total, top + grids[0].height), "white")
        pen = ImageDraw.Draw(sheet)
        for row, text in enumerate(self.captions):
            middle = top + _GAP + row * height + (height - _GAP) // 2
            pen.multiline_text((left - _GAP, middle), text, _INK, font, anchor="rm", align="right")
        for panel, picture in zip(self.panels, grids, strict=True):
            sheet.paste(picture, (left, top))
            if panel.title:
                text = _shortened(panel.title, font, picture.width)
                pen.text((left + picture.width / 2, _GAP), text, _INK, font, anchor="mt")
            for column, text in enumerate(panel.captions):
                place = (left + _GAP + column * width + (width - _GAP) / 2, top - _GAP)
                pen.text(place, _shortened(text, font, width), _FAINT, font, anchor="mb")
            left += picture.width + between
        return sheet

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes the picture, in the format of the path's suffix, whole or not at all.

        Raises:
            OSError: if it is there and may not be overwritten, or cannot be written.
        """
        _save(self.draw(), path, overwrite=overwrite)


@dataclasses.dataclass(frozen=True)
class Animation:
    """A moving picture that begins again without a jump.

    Args:
        frames: uint8 (frames, images, height, width, channels).
        captions: a line below each frame, or none.
        frames_per_second: how fast.
    """

    frames: np.ndarray
    captions: Sequence[str] = ()
    frames_per_second: float = 20.0

    def draw(self) -> list[Image.Image]:
        """The frames, RGB."""
        return [self._frame(index) for index in range(len(self.frames))]

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Writes it as `.gif` or `.webp`, whole or not at all.

        Raises:
            OSError: if it is there and may not be overwritten, or cannot be written.
        """
        frames = self.draw()
        options = {"quality": 90} if pathlib.Path(path).suffix == ".webp" else {}
        if pathlib.Path(path).suffix == ".gif":
            frames = _with_one_palette(frames)
        _save(
            frames[0],
            path,
            overwrite=overwrite,
            save_all=True,
            append_images=frames[1:],
            duration=round(1000 / self.frames_per_second),
            loop=0,
            **options,
        )

    def _frame(self, index: int) -> Image.Image:
        images = self.frames[index]
        scale = scale_of(images.shape[1])
        columns = round(len(images) ** 0.5)
        rows = -(-len(images) // columns)
        blank = np.full((rows * columns - len(images), *images.shape[1:]), 255, np.uint8)
        cells = np.concatenate([images, blank]).reshape(rows, columns, *images.shape[1:])
        picture = _enlarged_grid(cells, scale)
        if not self.captions:
            return picture
        font = _font(images.shape[1] * scale)
        framed = Image.new("RGB", (picture.width, picture.height + 2 * font.size), "white")
        framed.paste(picture)
        text = _shortened(self.captions[index], font, picture.width)
        place = (picture.width / 2, picture.height + font.size - _GAP / 2)
        ImageDraw.Draw(framed).text(place, text, _INK, font, anchor="mm")
        return framed


def scale_of(side: int) -> int:
    """How many pixels wide a pixel of an image of this side is shown."""
    return max(1, _SIDE // side)


def _enlarged_grid(images: np.ndarray, scale: int) -> Image.Image:
    """Images (rows, columns, ...) as one picture on white."""
    columns = images.shape[1]
    flat = images.reshape(-1, *images.shape[2:]).repeat(scale, 1).repeat(scale, 2)
    if flat.shape[-1] == 4:  # gaps are opaque, what is transparent is white
        flat = np.stack([np.asarray(_on_white(image)) for image in flat])
    return as_picture(grid(flat, columns, gap=_GAP)).convert("RGB")


def _on_white(image: np.ndarray) -> Image.Image:
    picture = Image.fromarray(image)
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _with_one_palette(frames: list[Image.Image]) -> list[Image.Image]:
    """Frames of 256 colours that are the same in all: those of a frame's own would flicker."""
    some = frames[:: -(-len(frames) // 16)]
    montage = Image.new("RGB", (some[0].width * len(some), some[0].height))
    for index, frame in enumerate(some):
        montage.paste(frame, (index * frame.width, 0))
    palette = montage.quantize(256, Image.Quantize.MEDIANCUT)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def _save(picture: Image.Image, path: str | os.PathLike, *, overwrite: bool, **options) -> None:
    kind = pathlib.Path(path).suffix.removeprefix(".")
    buffer = io.BytesIO()  # encoded first: Pillow writes piece by piece
    picture.save(buffer, kind, **options)
    with made_atomically(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _font(side: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(max(11, min(20, side // 7)))


def _text_width(font: ImageFont.FreeTypeFont, text: str) -> int:
    return round(max((font.getlength(line) for line in text.split("\n")), default=0))


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, its end cut off where it is too wide."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."
