"""From what was said to one `Config`: defaults < saved run < preset < flags, in this order.

A run directory that is named is that run: its own settings stand in for the defaults, so that
`--run_dir` alone resumes it. One named after the recipe has nothing to add to the command.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from app import presets, runs
from app.config import Config, fields
from app.errors import UserError
from app.help_text import shown
from app.quiet import import_tensorflow

# Worth seeing at the start of every run, default or not.
ESSENTIALS = ("policy", "augment", "dataset", "model", "steps", "batch_size", "run_dir")


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A configuration and where each value came from.

    Args:
        config: the settings.
        origins: by field: `default`, `saved run`, `preset NAME`, `flag`, or why it was chosen.
    """

    config: Config
    origins: Mapping[str, str]

    def replace(self, origin: str, **settings: Any) -> Resolved:
        """A copy with some settings decided later, for the reason given."""
        config = dataclasses.replace(self.config, **settings)
        return Resolved(config, {**self.origins, **dict.fromkeys(settings, origin)})

    def table(self) -> str:
        """What differs from the defaults, and the essentials, with where each came from."""
        default = Config()
        names = [
            name
            for name in fields()
            if name in ESSENTIALS or getattr(self.config, name) != getattr(default, name)
        ]
        rows = [
            f"  {name:<{max(map(len, names))}}  {shown(name, getattr(self.config, name))}"
            f"  [{self.origins[name]}]"
            for name in names
        ]
        return "\n".join(rows)


def resolve(given: Mapping[str, Any]) -> Resolved:
    """Puts the layers on top of each other.

    Args:
        given: settings from the flags, by `Config` field.

    Raises:
        UserError: if the preset is unknown, a value is out of range, two contradict each other,
            or a saved run was made with another recipe.
    """
    settings = {name: field.default for name, field in fields().items()}
    origins = dict.fromkeys(settings, "default")

    def lay(layer: Mapping[str, Any], origin: str) -> None:
        settings.update(layer)
        origins.update(dict.fromkeys(layer, origin))

    name = given.get("preset")
    preset = {} if name is None else presets.get(name).settings
    if name is not None and presets.get(name).needs and given.get("dataset") is None:
        raise UserError(f"--preset={name} is for images of your own: {presets.get(name).command}.")
    saved = _saved(given, {**preset, **given})
    lay(saved, "saved run")
    lay(preset, f"preset {name}")
    lay(given, "flag")
    return Resolved(Config(**settings), origins)


def _saved(given: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the run in a directory that was named, if one is there."""
    if given.get("run_dir") is None:
        return {}
    run_dir = pathlib.Path(given["run_dir"])
    document = runs.read(run_dir)
    if document is None:
        return {}
    saved = document["settings"]
    # Where T stands by itself is decided again, from the same policy.
    asked = {name: value for name, value in asked.items() if (name, value) != ("augment", None)}
    runs.refuse_other_settings(run_dir, saved, asked, _canonical)
    return {name: value for name, value in saved.items() if name != "run_dir"}


def _canonical(name: str, value: Any) -> Any:
    if name not in ("policy", "regularizers", "model"):
        return value
    # TensorFlow takes seconds to load: only where two spellings differ.
    import_tensorflow()
    from app.recipe import canonical

    return canonical(name, value)
