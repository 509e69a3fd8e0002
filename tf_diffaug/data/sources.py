"""Datasets by name."""

from __future__ import annotations

import os

from tf_diffaug.data.core import ImageData
from tf_diffaug.data.emoji import load_emoji
from tf_diffaug.naming import unknown

DATASETS = ("emoji_faces", "emoji")


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    resolution: int | None = None,
    channels: int = 3,
    skip_broken: bool = False,
) -> ImageData:
    """Loads a dataset."""
    if name in ("emoji_faces", "emoji"):
        return load_emoji(name, resolution=resolution, channels=channels)
    raise ValueError(unknown("name", name, DATASETS))
