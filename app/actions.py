"""What train.py can do with a decided recipe; each returns the exit code."""

from __future__ import annotations

import pathlib

from app import build, runs
from app.dry_run import dry_run as _dry_run
from app.errors import OK, user_settings
from app.explain import explain as _explain
from app.preview import draw_sheet, rows
from app.recipe import Recipe
from app.recipe import decide as _decide
from app.resolve import Resolved
from app.training import train
from tf_diffaug.evaluation import resolve_features
from tf_diffaug.files import write_atomically

__all__ = ["decide", "dry_run", "explain", "preview", "train"]


def decide(resolved: Resolved) -> Recipe:
    """Settles the coordinates and the run directory.

    Raises:
        UserError: for a mistake in what was asked.
    """
    decided = _decide(resolved)
    if decided.config.run_dir is None:
        run_dir = str(runs.default_directory(decided.config))
        return decided.replace("named after the recipe", run_dir=run_dir)
    return decided


def explain(decided: Recipe) -> int:
    """Says in words what would run."""
    config = decided.config
    with user_settings():
        features = resolve_features(config.fid_features, config.dataset) or "none"
    print()
    print(_explain(decided, fid_features=features))
    return OK


def preview(decided: Recipe, path: str) -> int:
    """Draws T on the images that would be trained on."""
    config = decided.config
    found = rows(decided.policy, build.load_data(config).images, seed=config.seed)
    with user_settings():
        write_atomically(pathlib.Path(path), draw_sheet(found))
    print(f"Preview of {config.policy} on {config.dataset}: {path}")
    return OK


def dry_run(decided: Recipe) -> int:
    """Tries everything but the run."""
    print(_dry_run(decided))
    return OK
