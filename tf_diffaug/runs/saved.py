"""What a run's config.json holds, where a run lies by default, and what a resume may change."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import re
import sys
from collections.abc import Mapping
from typing import Any

from tf_diffaug.errors import UserError
from tf_diffaug.language import parse_calls
from tf_diffaug.runs.config import Config, checked_settings, fields
from tf_diffaug.runs.contents import check_saved, read_json, refuse_links
from tf_diffaug.runs.settings import shown

CONFIG_FILE = "config.json"
RUNS = pathlib.Path("runs")
_LONGEST_NAME = 80


def default_directory(config: Config) -> pathlib.Path:
    """runs/NAME: the recipe at a glance, and a hash so that no other recipe ever lands in it."""
    images = config.images_path if config.is_folder else config.dataset
    parts = [images.rstrip("/").split("/")[-1]]
    parts.append(f"{config.resolution}px")
    if config.data_fraction is not None:
        parts.append(f"{100 * config.data_fraction:g}pct")
    if config.num_images is not None:
        parts.append(f"{config.num_images}img")
    classes = "-cond" if config.conditional else ""
    parts.append(f"{config.family}-w{config.width}{classes}")
    if config.label_fraction is not None:
        parts.append(f"{100 * config.label_fraction:g}pctlabels")
    if config.policy != "none":
        parts += [config.policy.replace(",", "+"), config.augment or "auto"]
    if config.regularizers != "none":
        parts += [call.name for call in parse_calls(config.regularizers, what="regularizers")]
    if config.init_from is not None:
        parts.append(f"from-{os.path.basename(os.path.realpath(config.init_from))[:20]}")
    parts.append(f"s{config.seed}")
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", "-".join(parts)).lstrip(".-")[:_LONGEST_NAME]
    settings = config.lasting()
    if config.is_folder:  # however its path is spelt
        path = os.path.realpath(os.path.expanduser(config.images_path))
        settings["dataset"] = f"{config.dataset.partition(':')[0]}:{path}"
    if config.init_from is not None:
        settings["init_from"] = os.path.realpath(config.init_from)
    text = json.dumps(settings, sort_keys=True)
    return RUNS / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def read_saved(run_dir: pathlib.Path, *, flag: str = "run_dir") -> dict[str, Any] | None:
    """The contents of a run directory's config.json, its settings checked; None without a run.

    Args:
        run_dir: the folder.
        flag: what the user gave it by, for the message.

    Raises:
        UserError: if the file is damaged, or of a version with other settings, or a part of the run
            is a link to what lies elsewhere.
    """
    path = run_dir / CONFIG_FILE
    try:
        saved = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}). Give another --{flag}.") from error
    if not isinstance(saved, dict) or not isinstance(saved.get("settings"), dict):
        raise UserError(f"{path} is not a run's configuration. Give another --{flag}.")
    checked_settings(saved["settings"], str(path))
    try:
        check_saved(saved)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}. Give another --{flag}.") from error
    refuse_links(run_dir)
    return saved


def need_saved(run_dir: pathlib.Path) -> dict[str, Any]:
    """As `read_saved`, of a folder that must be that of a run.

    Raises:
        UserError: as `read_saved`, and if it is none.
    """
    saved = read_saved(run_dir)
    if saved is None:
        raise UserError(f"{run_dir} is not the folder of a run: it has no config.json.")
    return saved


def features_of(config: Config, saved: Mapping[str, Any]) -> str:
    """The features of a run that is resumed: of `auto`, those that it has.

    Args:
        config: the settings asked for.
        saved: those it was made with.
    """
    if config.fid_features != "auto":
        return config.fid_features
    return saved.get("fid_features", config.fid_features)


def refuse_other_settings(run_dir: pathlib.Path, saved: Mapping[str, Any], wanted: Config) -> None:
    """Checks that a run is resumed with its own recipe.

    The folder of images may be another, and any dataset may be packed or no longer: what the images
    are decides, see `refuse_other_data`.

    Args:
        run_dir: where the run is, for the message.
        saved: the settings it was made with.
        wanted: those of now, settled.

    Raises:
        UserError: naming each setting that differs and may not.
    """
    # What a run of an older version does not say is as it was then: the default, which for the best
    # checkpoint was the FID's.
    defaults = {name: field.default for name, field in fields().items()}
    before = defaults | {"best_by": "fid"} | dict(saved)
    differ = [
        f"--{name}={shown(fields()[name], value)} (saved: {shown(fields()[name], before[name])})"
        for name, value in wanted.lasting().items()
        if value != before[name]
        and not (name == "dataset" and _may_hold_the_same(value, before[name]))
        and not (name == "init_from" and _is_same_place(value, before[name]))
    ]
    if differ:
        raise UserError(
            f"{run_dir} holds a run with other settings: {', '.join(differ)}. Only steps, "
            "cadences, metrics, the report and where things lie may change; give another --run_dir "
            "to start anew."
        )


def _is_same_place(path: str | None, other: str | None) -> bool:
    return None not in (path, other) and os.path.realpath(path) == os.path.realpath(other)


def _may_hold_the_same(dataset: str, other: str) -> bool:
    kinds = {dataset.partition(":")[0], other.partition(":")[0]}
    return "packed" in kinds or kinds == {"folder"}


def refuse_other_data(
    run_dir: pathlib.Path, saved: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Checks that a run goes on with the images that it was trained on.

    Args:
        run_dir: where the run is, for the message.
        saved: the contents of its config.json.
        facts: those of the data of now, see `parts.data_facts`.

    Raises:
        UserError: if there are other images.
    """
    before = saved.get("data", {})
    if before.get("fingerprint") != facts["fingerprint"]:
        raise UserError(
            f"{run_dir} was trained on other images: {before.get('num_images')} then, "
            f"{facts['num_images']} now, or with other content. Put those back, or give another "
            f"--run_dir. Received: {facts['name']}."
        )


def refuse_other_start(
    run_dir: pathlib.Path, saved: Mapping[str, Any], initial: Mapping[str, Any]
) -> None:
    """Checks that a run that was ended before its first checkpoint starts from the same weights.

    Args:
        run_dir: where the run is, for the message.
        saved: the contents of its config.json.
        initial: those of now, see `init_from.InitialWeights`.

    Raises:
        UserError: if the weights are others.
    """
    before = saved.get("initial_weights") or {}
    if before.get("fingerprint") != initial["fingerprint"]:
        raise UserError(
            f"{run_dir} began with other weights than {initial['source']} has now. Give another "
            f"--run_dir, or --init_checkpoint={before.get('step')} if that is still there. "
            f"Received: --init_from={initial['source']}."
        )


def make_saved(
    config: Config,
    *,
    data: Mapping[str, Any],
    replicas: int,
    initial: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What config.json holds: every setting, what the data was, and what it ran on.

    Args:
        config: the settled settings.
        data: the facts of the data that was trained on, its fingerprint among them.
        replicas: devices that share a batch.
        initial: the weights that it began with, None if it began from its seed.
    """
    return {
        "settings": dataclasses.asdict(config),
        "data": dict(data),
        **({} if initial is None else {"initial_weights": dict(initial)}),
        "versions": {**versions(), "replicas": replicas},
    }


def versions() -> dict[str, Any]:
    """The software and machine that the bits of a run depend on."""
    import keras
    import numpy
    import tensorflow as tf

    import tf_diffaug

    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": numpy.__version__,
        "tf_diffaug": tf_diffaug.__version__,
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
