"""Real images that come with the package: emoji, as contact sheets of PNG.

`tools/make_emoji.py` makes the sheets; NOTICE says where the images are from.
"""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
from PIL import Image

from tf_diffaug.data.core import ImageData, convert

_ASSETS = resources.files("tf_diffaug.data") / "assets"


def load_emoji(name: str, *, resolution: int | None = None, channels: int = 3) -> ImageData:
    """Reads `emoji_faces` (130, 64 px, no labels) or `emoji` (1,911, 32 px, ten categories).

    Args:
        name: the dataset's name.
        resolution: the side wanted, if not the stored one.
        channels: 3, or 1 for grey.
    """
    entry = json.loads((_ASSETS / "emoji.json").read_text(encoding="utf-8"))[name]
    sheets = [_read_sheet(sheet, entry["size"]) for sheet in entry["sheets"]]
    images = np.concatenate(sheets)[: entry["count"]]
    classes = entry["classes"]
    labels = np.repeat(np.arange(len(classes)), list(classes.values())) if classes else None
    return ImageData(
        name=name,
        images=convert(images, resolution=resolution, channels=channels),
        labels=labels,
        class_names=tuple(classes) if classes else None,
        flip=False,
    )


def _read_sheet(filename: str, size: int) -> np.ndarray:
    with (_ASSETS / filename).open("rb") as file:
        sheet = np.asarray(Image.open(file).convert("RGB"))
    rows, columns = sheet.shape[0] // size, sheet.shape[1] // size
    cells = sheet.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
    return cells.reshape(rows * columns, size, size, 3)
