"""`--explain`: a resolved recipe in plain words."""

from __future__ import annotations

import textwrap

from tf_diffaug.commands import OK
from tf_diffaug.data import ImageData
from tf_diffaug.evaluation import resolve_features
from tf_diffaug.runs.parts import build, is_flipped
from tf_diffaug.runs.recipe import Recipe
from tf_diffaug.runs.words import recipe_in_words

_LABEL = 12
_WIDTH = 96


def say(recipe: Recipe) -> int:
    """Prints the recipe in words; it is built first, so that what cannot be run is refused.

    Raises:
        ValueError: for a mistake in what was asked.
    """
    data = build(recipe, evaluate=False).data
    features = resolve_features(recipe.config.fid_features, recipe.config.dataset) or "none"
    if recipe.config.fid_features == "auto" and features == "inception":
        features = "inception (efficientnet-lite0 where that cannot be had)"
    print(f"\n{in_words(recipe, data=data, fid_features=features)}")
    return OK


def in_words(recipe: Recipe, *, data: ImageData, fid_features: str) -> str:
    """The recipe in words, a paragraph a subject.

    Args:
        recipe: the settled recipe.
        data: the images that it trains on.
        fid_features: the name of the extractor that will be used, or `none`.
    """
    subjects = recipe_in_words(
        recipe,
        num_images=len(data),
        is_flipped=is_flipped(recipe.config, data),
        fid_features=fid_features,
    )
    subjects["Run"] = (
        f"{recipe.config.run_dir}; the same command resumes it, a longer --steps goes on with it."
    )
    return "\n".join(_paragraph(label, text) for label, text in subjects.items())


def _paragraph(label: str, text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=f"{label:<{_LABEL}}",
        subsequent_indent=" " * _LABEL,
        break_on_hyphens=False,
        break_long_words=False,
    )
