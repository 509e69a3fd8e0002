"""`train`: starts a run or goes on with it, or says, draws or tries what would run."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from tf_diffaug.commands import compile_for, presets
from tf_diffaug.commands.flags import Flag, read_flags, setting_flags
from tf_diffaug.commands.resolve import as_flags, resolve, table
from tf_diffaug.errors import UserError, user_mistakes
from tf_diffaug.naming import nearest
from tf_diffaug.runs.config import Config, fields

SUMMARY = "train a GAN, or go on with a run"
PREVIEW_PATH = "preview.png"
_ACTIONS = (
    Flag(
        "explain",
        bool,
        "say in words what would run",
        group="Instead of training (nothing is written but the preview)",
    ),
    Flag("dry_run", bool, "build it, try a step, estimate the time"),
    Flag("compile_for", str, "a dry run that compiles for a TPU, such as tpu-v3-8, without one"),
    Flag("preview", str, "draw the augmentation on your images", implied=PREVIEW_PATH),
)
FLAGS = (*setting_flags(), *_ACTIONS)
HELP = """Trains a GAN on few images. Try: {0} --policy=color,translation,cutout
{flags}
A flag beats the preset, which beats the default shown.{more}"""
_DIFFAUGMENT = "that flag of the paper's code is --policy here: --policy=color,translation,cutout"
_HINTS = {"diffaugment": _DIFFAUGMENT, "augpipe": _DIFFAUGMENT}


class Asked(NamedTuple):
    """What the user asked for: settings and where each is from, and what to do with them."""

    config: Config
    origins: dict[str, str]
    explain: bool = False
    dry_run: bool = False
    preview: str | None = None
    compile_for: str | None = None


def read(arguments: Sequence[str]) -> Asked | None:
    """Reads a command line; None if what was asked for, a list of presets, is printed.

    Raises:
        UserError: if it has a mistake.
    """
    given, rest = read_flags(FLAGS, arguments, hints=_HINTS)
    if rest:
        match = nearest(rest[0], fields())
        hint = f" Did you mean --{match}?" if match else ""
        raise UserError(f"unexpected argument {rest[0]!r}: every setting is a --flag=value.{hint}")
    if given.get("preset") == "help":
        print(presets.describe())
        return None
    actions = {flag.name: given.pop(flag.name, None) for flag in _ACTIONS}
    if (preview := actions["preview"]) is not None:
        _refuse_place(preview)
    if (topology := actions["compile_for"]) is not None:
        compile_for.check(topology, dry_run=bool(actions["dry_run"]))
    one_of = [f"--{name}" for name in ("explain", "dry_run", "preview") if actions[name]]
    if len(one_of) > 1:
        raise UserError(f"one of these at a time. Received: {' '.join(one_of)}.")
    return Asked(*resolve(given), **{name: value for name, value in actions.items() if value})


def _refuse_place(preview: str) -> None:
    """Checks that a preview is a picture, and takes no other's place."""
    path, received = pathlib.Path(preview), f"Received: --preview={preview}."
    if path.suffix != ".png":
        raise UserError(f"--preview is a .png file. {received}")
    if path.exists() and preview != PREVIEW_PATH:
        raise UserError(f"{preview} exists; remove it, or choose another file. {received}")


def run(asked: Asked) -> int:
    """Settles the recipe and does one of: explain, preview, dry run, train; the exit code.

    Raises:
        UserError: for a mistake in what was asked.
        Failure: if training cannot go on.
    """
    from tf_diffaug.commands import dry_run, explain, preview, training
    from tf_diffaug.runs.recipe import settle
    from tf_diffaug.runs.saved import (
        default_directory,
        features_of,
        read_saved,
        refuse_other_settings,
    )

    origins = dict(asked.origins)
    mistakes = functools.partial(user_mistakes, functools.partial(as_flags, asked.config))
    with mistakes():
        recipe = settle(asked.config)
        if asked.config.augment is None:
            origins["augment"] = f"default: {recipe.why}"
        if asked.config.best_by is None:
            origins["best_by"] = "default: fid, or else the first of metrics"
        if asked.config.run_dir is None:
            recipe = recipe.replace(run_dir=str(default_directory(recipe.config)))
            origins["run_dir"] = "named after the recipe"
        run_dir = pathlib.Path(recipe.config.run_dir)
        saved = read_saved(run_dir)
        if saved is not None:
            recipe = recipe.replace(fid_features=features_of(recipe.config, saved["settings"]))
            refuse_other_settings(run_dir, saved["settings"], recipe.config)
        silence = training.chief_prints(recipe.config)
    with silence, mistakes():
        print(table(recipe.config, origins))
        if asked.explain:
            return explain.say(recipe)
        if asked.preview is not None:
            return preview.write(recipe, asked.preview)
        if asked.compile_for is not None:
            return compile_for.try_out(recipe, asked.compile_for)
        if asked.dry_run:
            return dry_run.try_out(recipe)
        ready = training.prepare(recipe, saved)
    with silence:
        return training.train(ready)
