"""`train --preview`: a contact sheet of the augmentation on the user's own images."""

from __future__ import annotations

import pathlib

from tf_diffaug.commands import OK
from tf_diffaug.files import write_atomically
from tf_diffaug.runs.parts import load_data
from tf_diffaug.runs.preview import draw_sheet, rows
from tf_diffaug.runs.recipe import Recipe


def write(recipe: Recipe, path: str) -> int:
    """Draws the augmentation on the images that would be trained on, and writes the sheet.

    Raises:
        ValueError: for a mistake in what was asked.
    """
    config = recipe.config
    found = rows(recipe.policy, load_data(config).images, seed=config.seed)
    write_atomically(pathlib.Path(path), draw_sheet(found))
    print(f"Preview of {config.policy} on {config.dataset}: {path}")
    return OK
