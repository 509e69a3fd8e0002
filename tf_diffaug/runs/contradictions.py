"""Settings that contradict each other, or go with nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tf_diffaug.errors import UserError
from tf_diffaug.runs.settings import shown

if TYPE_CHECKING:
    from tf_diffaug.runs.config import Config


def refuse_contradictions(config: Config, fields: Mapping[str, dataclasses.Field]) -> None:
    """Looks whether the settings go together.

    Args:
        config: the settings, each within its own range.
        fields: theirs, by name.

    Raises:
        UserError: if two contradict each other.
    """
    _check_images(config)
    _check_labels(config)
    _check_start(config, fields)
    _check_augmentation(config)


def _check_images(config: Config) -> None:
    if config.num_images is not None and config.data_fraction is not None:
        raise UserError(
            "--num_images and --data_fraction exclude each other. Received: "
            f"--num_images={config.num_images} --data_fraction={config.data_fraction}."
        )
    if config.subset != "random" and config.num_images is None and config.data_fraction is None:
        raise UserError(
            f"--subset={config.subset} says how a part of the images is drawn: "
            "give --num_images or --data_fraction too."
        )


def _check_labels(config: Config) -> None:
    if config.fake_labels != "uniform" and not config.conditional:
        raise UserError(f"--fake_labels={config.fake_labels} is about labels: add --conditional.")
    if config.label_fraction is not None and not config.conditional:
        raise UserError(
            "--label_fraction hides labels of networks that look at them: add --conditional. "
            f"Received: --label_fraction={config.label_fraction}."
        )


def _check_start(config: Config, fields: Mapping[str, dataclasses.Field]) -> None:
    if config.init_checkpoint not in ("newest", "best") and not config.init_checkpoint.isdecimal():
        raise UserError(
            "--init_checkpoint is newest, best or a step. "
            f"Received: --init_checkpoint={config.init_checkpoint}."
        )
    for name in ("init_checkpoint", "init_partly", "freeze_d"):
        value = getattr(config, name)
        if config.init_from is None and value != fields[name].default:
            raise UserError(
                f"--{name} is about trained weights: add --init_from=RUN_DIR. "
                f"Received: --{name}={shown(fields[name], value)}."
            )


def _check_augmentation(config: Config) -> None:
    if config.policy != "none":
        return
    if config.augment not in (None, "none"):
        raise UserError(
            f"--augment={config.augment} needs an augmentation: add "
            "--policy=color,translation,cutout, for example."
        )
    if config.policy_probability is not None:
        raise UserError(
            "--policy_probability is how likely an augmentation is: add "
            "--policy=color,translation,cutout, for example, or leave it at always. "
            f"Received: --policy_probability={config.policy_probability}."
        )
