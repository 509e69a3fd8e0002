"""The extractors by name."""

from __future__ import annotations

import os
from pathlib import Path

from tf_diffaug.evaluation.emoji_cnn import EmojiCNN
from tf_diffaug.evaluation.extractor import CHOICES, Extractor
from tf_diffaug.evaluation.inception import Inception
from tf_diffaug.evaluation.saved import SavedExtractor
from tf_diffaug.naming import nearest

NAMES = ("emoji-cnn", "inception")
EMOJI_DATASETS = ("emoji", "emoji_faces")


def load_extractor(name: str | os.PathLike[str]) -> Extractor:
    """Returns the extractor of this name.

    Args:
        name: `emoji-cnn` (shipped with the package), `inception` (TF-GAN's, from TF-Hub),
            `inception:DIRECTORY` (a copy of that module), or the path of a Keras model or of a
            SavedModel directory.

    Raises:
        ValueError: if the name is unknown, or the network cannot be had or does not fit.
    """
    name = check_features(name)
    kind, _, argument = name.partition(":")
    if name == "emoji-cnn":
        return EmojiCNN()
    if kind == "inception":
        return Inception(argument or None)
    return SavedExtractor(name)


def resolve_features(name: str, dataset_name: str) -> str | None:
    """Returns the extractor's name for a dataset, None for `none`, without loading anything.

    `auto` is `emoji-cnn` for the emoji and `inception` for everything else.

    Raises:
        ValueError: if the name is unknown and no such path exists.
    """
    if name == "none":
        return None
    if name == "auto":
        return "emoji-cnn" if dataset_name in EMOJI_DATASETS else "inception"
    return check_features(name)


def check_features(name: str | os.PathLike[str]) -> str:
    """Returns the name as a string if it can name an extractor; see `load_extractor`."""
    name = os.fspath(name)
    if name in NAMES or name.startswith("inception:") or (name and Path(name).exists()):
        return name
    match = nearest(name, (*NAMES, "auto", "none"))
    hint = f" Did you mean {match!r}?" if match else ""
    raise ValueError(
        f"Unknown features {name!r}, and no such path.{hint} Choose from {CHOICES}. "
        f"Received: features={name!r}."
    )
