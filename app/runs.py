"""Run directories: their names, what stands in config.json, and what a resume may change."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from app.config import Config, fields, from_dict, recipe
from app.errors import UserError
from app.help_text import shown
from tf_diffaug.language import parse_calls

CONFIG_FILE = "config.json"
RUNS = pathlib.Path("runs")
_LONGEST_NAME = 80


def default_directory(config: Config) -> pathlib.Path:
    """runs/NAME: the recipe at a glance, and a hash so that no other recipe ever lands in it."""
    parts = [config.dataset.removeprefix("folder:").rstrip("/").split("/")[-1]]
    parts.append(f"{config.resolution}px")
    if config.data_fraction is not None:
        parts.append(f"{100 * config.data_fraction:g}pct")
    if config.num_images is not None:
        parts.append(f"{config.num_images}img")
    classes = "-cond" if config.conditional else ""
    parts.append(f"{config.model.split('(')[0]}-w{config.width}{classes}")
    if config.label_fraction is not None:
        parts.append(f"{100 * config.label_fraction:g}pctlabels")
    if config.policy != "none":
        parts += [config.policy.replace(",", "+"), config.augment or "auto"]
    if config.regularizers != "none":
        parts += [call.name for call in parse_calls(config.regularizers, what="regularizers")]
    parts.append(f"s{config.seed}")
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", "-".join(parts)).lstrip(".-")[:_LONGEST_NAME]
    text = json.dumps(recipe(config), sort_keys=True)
    return RUNS / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def read(run_dir: pathlib.Path) -> dict[str, Any] | None:
    """The document saved in a run directory, its settings checked; None if no run is there.

    Raises:
        UserError: if the file is damaged, or of a version with other settings.
    """
    path = run_dir / CONFIG_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}). Give another --run_dir.") from error
    if not isinstance(document, dict) or not isinstance(document.get("settings"), dict):
        raise UserError(f"{path} is not a run's configuration. Give another --run_dir.")
    from_dict(document["settings"], str(path))
    return document


def refuse_other_settings(
    run_dir: pathlib.Path,
    saved: Mapping[str, Any],
    wanted: Mapping[str, Any],
    canonical: Callable[[str, Any], Any] = lambda name, value: value,
) -> None:
    """Checks that a run is resumed with its own recipe.

    Args:
        run_dir: where the run is, for the message.
        saved: the settings it was made with.
        wanted: those of now, all or only those that were given.
        canonical: maps a setting to the spelling that is compared.

    Raises:
        UserError: naming each setting that differs and may not.
    """
    differ = [
        f"--{name}={shown(name, wanted[name])} (saved: {shown(name, saved[name])})"
        for name in wanted
        if name in saved
        and name != "preset"
        and not fields()[name].metadata["changeable"]
        and wanted[name] != saved[name]
        and canonical(name, wanted[name]) != canonical(name, saved[name])
    ]
    if differ:
        raise UserError(
            f"{run_dir} holds a run with other settings: {', '.join(differ)}. Only steps, cadences "
            "and the directory may change; give another --run_dir to start anew."
        )


def document(config: Config, *, data: Mapping[str, Any], replicas: int) -> dict[str, Any]:
    """What config.json holds: every setting, what the data was, and what it ran on.

    Args:
        config: the resolved settings.
        data: the facts of the data that was trained on, its fingerprint among them.
        replicas: devices that share a batch.
    """
    return {
        "settings": dataclasses.asdict(config),
        "data": dict(data),
        "versions": {**versions(), "replicas": replicas},
    }


def versions() -> dict[str, Any]:
    """The software and machine that the bits of a run depend on."""
    import importlib.metadata

    import keras
    import numpy
    import tensorflow as tf

    import tf_diffaug

    try:
        own = importlib.metadata.version("tf-diffaug")
    except importlib.metadata.PackageNotFoundError:
        own = getattr(tf_diffaug, "__version__", "source")
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": numpy.__version__,
        "tf_diffaug": own,
        "platform": f"{sys.platform}-{platform.machine()}",
        "cpu_count": os.cpu_count(),
    }


def version_changes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """One line on what changed since the run began, or None."""
    changed = [
        f"{name} {saved.get(name)} -> {now[name]}" for name in now if saved.get(name) != now[name]
    ]
    if not changed:
        return None
    return f"Note: since this run began: {', '.join(changed)}; it may not end with the same bits."
