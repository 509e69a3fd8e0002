"""From what was said to one `Config`: defaults < saved run < preset < flags, in this order.

A run directory that is named is that run: its own settings stand in for the defaults, so that
`--run_dir` alone resumes it. One named after the recipe has nothing to add to the command.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from tf_diffaug.commands import presets
from tf_diffaug.errors import UserError
from tf_diffaug.runs.config import Config, fields
from tf_diffaug.runs.saved import read_saved
from tf_diffaug.runs.settings import shown

# Worth seeing at the start of every run, default or not.
ESSENTIALS = ("policy", "augment", "dataset", "model", "steps", "batch_size", "run_dir")
# The library's words for what is a flag of another name.
_FLAGS = {
    "batch_norm": "eval_batch_norm",
    "features": "fid_features",
    "fraction": "data_fraction",
    "labels": "conditional",
    "metric": "metrics",
    "mode": "subset",
    "name": "dataset",
}


def resolve(given: Mapping[str, Any]) -> tuple[Config, dict[str, str]]:
    """Puts the layers on top of each other.

    Args:
        given: settings from the flags, by `Config` field.

    Returns:
        The settings, and where each is from: `default`, `saved run`, `preset NAME` or `flag`.

    Raises:
        UserError: if the preset is unknown, a value is out of range or two contradict each other.
    """
    settings = {name: field.default for name, field in fields().items()}
    origins = dict.fromkeys(settings, "default")

    def lay(layer: Mapping[str, Any], origin: str) -> None:
        settings.update(layer)
        origins.update(dict.fromkeys(layer, origin))

    if given.get("run_dir") is not None:
        saved = read_saved(pathlib.Path(given["run_dir"]))
        lay({} if saved is None else saved["settings"], "saved run")
    if (name := given.get("preset")) is not None:
        preset = presets.get(name)
        if preset.needs and origins["dataset"] == "default" and given.get("dataset") is None:
            raise UserError(f"--preset={name} is for images of your own: {preset.command}.")
        lay(preset.settings, f"preset {name}")
    lay(given, "flag")
    return Config(**settings), origins


def table(config: Config, origins: Mapping[str, str]) -> str:
    """What differs from the defaults, and the essentials, with where each came from.

    Args:
        config: the settled settings.
        origins: where each is from.
    """
    from tf_diffaug.runs.recipe import settle

    default = settle(Config()).config
    names = [
        name
        for name in fields()
        if name in ESSENTIALS or getattr(config, name) != getattr(default, name)
    ]
    width = max(map(len, names))
    return "\n".join(
        f"  {name:<{width}}  {shown(fields()[name], getattr(config, name))}  [{origins[name]}]"
        for name in names
    )


def as_flags(asked: Any, text: str) -> str:
    """A message of the library in the words of the command line: flags, as they were typed.

    Args:
        asked: the `Config`, or what else has a command's flags for attributes.
        text: the message.
    """

    flags = {field.name for field in dataclasses.fields(asked)}

    def flag_of(word: str) -> str | None:
        flag = _FLAGS.get(word, word)
        return flag if flag in flags else None

    def received(match: re.Match) -> str:
        flag = flag_of(match[1])
        if flag is None or (match.start() and text[match.start() - 1] in "-("):
            return match[0]
        value = getattr(asked, flag)
        if isinstance(value, bool) and match[2] not in ("True", "False"):
            return match[0]  # the library's own of that name, as the labels themselves
        known = flag in fields() and str(value) in match[2]
        return f"--{flag}={shown(fields()[flag], value) if known else match[2]}"

    def named(match: re.Match) -> str:
        flag = flag_of(match[1])
        return match[0] if flag is None else f"--{flag}{match[2] or ''}"

    before, mark, after = text.rpartition("Received: ")
    after = re.sub(r"\b([a-z_]+)=('[^']*'|\"[^\"]*\"|[^\s,.]+(?:\.\d+)?)", received, after)
    # A word with an underscore, or in backticks, is no word of a sentence.
    before = re.sub(r"(?<![-\w(./])`?([a-z]+_[a-z_]+)`?(?![\w(=/])()", named, before)
    before = re.sub(r"`([a-z]+)(=[^`]+)?`", named, before)
    return before + mark + after
