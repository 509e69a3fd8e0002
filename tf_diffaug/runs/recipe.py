"""A configuration whose three choices are read: the augmentation, who sees it, the extra terms."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from tf_diffaug.augment import Policy, parse_policy
from tf_diffaug.errors import UserError
from tf_diffaug.evaluation import check_features
from tf_diffaug.evaluation.metrics import METRICS, parse_metrics
from tf_diffaug.runs import networks
from tf_diffaug.runs.config import Config, fields
from tf_diffaug.schedules import Schedule, as_schedule
from tf_diffaug.training import REGULARIZERS, Regularizer, get_loss, parse_regularizers
from tf_diffaug.training.losses import refuse_beside_paired
from tf_diffaug.training.modes import checked_probability, resolve_augment


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What `settle` makes of a configuration.

    Args:
        config: the settings, policy, regularizers, schedules, model and metrics in their one
            spelling, `augment` a mode and `best_by` a metric.
        policy: the augmentation.
        regularizers: the extra loss terms.
        why: why `augment` is what it is, in words.
    """

    config: Config
    policy: Policy
    regularizers: tuple[Regularizer, ...]
    why: str

    @property
    def is_scheduled(self) -> bool:
        """Whether anything follows a schedule of the images seen."""
        weights = [getattr(regularizer, "weight", None) for regularizer in self.regularizers]
        return any(isinstance(weight, Schedule) for weight in weights) or any(
            field.metadata["scheduled"] and isinstance(getattr(self.config, name), str)
            for name, field in fields().items()
        )

    def replace(self, **settings: Any) -> Recipe:
        """A copy with some settings that decide nothing else, such as the directory."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, **settings))


def images_per_step(config: Config) -> int:
    """The reals that one step takes, over all replicas."""
    return config.batch_size * get_loss(config.loss).batches(config.d_steps)


def settle(config: Config) -> Recipe:
    """Reads the three choices and decides what was left open.

    Raises:
        UserError: if two settings contradict each other.
        ValueError: for a policy, regularizer, loss, model or metric that does not parse, or a
            policy that nothing uses.
    """
    policy = parse_policy(config.policy)
    # A saved run is resumed with the order in which it was trained, whatever was typed.
    regularizers = tuple(sorted(parse_regularizers(config.regularizers), key=str))
    refuse_beside_paired(get_loss(config.loss), regularizers)
    model = networks.spell_model(config.model)
    _check_labels(config, regularizers)
    _check_needs(config, regularizers)
    _check_normalization(config, regularizers)
    metrics = parse_metrics(config.metrics)
    best_by = _best_by(config, metrics)
    augment = resolve_augment(policy, config.augment, regularizers)
    checked_probability(policy, config.policy_probability, regularizers)
    why = "as asked" if config.augment is not None else _reason(policy, regularizers)
    settled = dataclasses.replace(
        config,
        **_spelled_schedules(config),
        policy=str(policy),
        regularizers=",".join(map(str, regularizers)) or "none",
        augment=augment,
        model=model,
        metrics=",".join(metrics),
        best_by=best_by,
        init_from=None if config.init_from is None else os.path.normpath(config.init_from),
    )
    return Recipe(settled, policy, regularizers, why)


def _spelled_schedules(config: Config) -> dict[str, Any]:
    spelled = {}
    for name, field in fields().items():
        value = getattr(config, name)
        if field.metadata["scheduled"] and isinstance(value, str):
            value = as_schedule(value, name)
            spelled[name] = str(value) if isinstance(value, Schedule) else value
    return spelled


def check_place(config: Config, replicas: int, *, on_tpu: bool) -> None:
    """Looks whether so many replicas can train it.

    Raises:
        UserError: if not.
    """
    if config.batch_size % replicas:
        raise UserError(
            f"--batch_size must be a multiple of the {replicas} replicas that share it. "
            f"Received: --batch_size={config.batch_size}."
        )
    if config.jit != "none" and (on_tpu or replicas > 1):
        raise UserError(
            "--jit compiles the updates of one replica on a CPU or a GPU; a TPU's are compiled "
            f"anyhow. Leave it out. Received: --jit={config.jit} with {replicas} replica(s)."
        )
    if config.precision == "float16" and on_tpu:
        raise UserError(
            "A TPU's half precision is --precision=bfloat16. Received: --precision=float16."
        )


def _check_labels(config: Config, regularizers: tuple[Regularizer, ...]) -> None:
    if config.conditional and not networks.take_labels(config.model):
        known = " or ".join(f"--model={name}" for name in networks.conditional_models())
        raise UserError(f"{config.family} knows no classes: add {known}. Received: --conditional.")
    if get_loss(config.loss).paired and config.fake_labels != "uniform":
        raise UserError(
            f"--loss={config.loss} gives a fake the label of the real beside it: leave "
            f"--fake_labels out. Received: --fake_labels={config.fake_labels}."
        )
    about_labels = [regularizer.name for regularizer in regularizers if regularizer.fills_labels]
    if about_labels and not config.conditional:
        raise UserError(
            f"{' and '.join(about_labels)} is about labels: add --conditional. "
            f"Received: --regularizers={config.regularizers}."
        )
    fillers = [name for name, kind in REGULARIZERS.items() if kind.fills_labels]
    if config.label_fraction is not None and not about_labels:
        raise UserError(
            "--label_fraction leaves images without labels, which something must fill in: add "
            f"--regularizers={' or '.join(fillers)}. "
            f"Received: --label_fraction={config.label_fraction}."
        )


def _check_needs(config: Config, regularizers: tuple[Regularizer, ...]) -> None:
    """Looks whether there is what the regularizers are about."""
    for name in filter(None, (regularizer.features for regularizer in regularizers)):
        check_features(name)
    about_styles = [regularizer.name for regularizer in regularizers if regularizer.needs_styles]
    if about_styles and not networks.have_styles(config.model):
        raise UserError(
            f"{' and '.join(about_styles)} is about a generator's styles: add --model=stylegan2. "
            f"Received: --model={config.model}."
        )
    about_maps = [regularizer.name for regularizer in regularizers if regularizer.needs_maps]
    if about_maps and not networks.have_maps(config.model):
        raise UserError(
            f"{' and '.join(about_maps)} is about a discriminator's maps: add --model=fastgan. "
            f"Received: --model={config.model}."
        )


def _check_normalization(config: Config, regularizers: tuple[Regularizer, ...]) -> None:
    given = networks.normalization_of(config.model)
    for regularizer in regularizers:
        wanted = regularizer.normalization
        if wanted not in (None, given):
            choices = " or ".join(map(repr, networks.normalized_models(wanted)))
            raise UserError(
                f"{regularizer.name} is about layers that this D has not: add --model={choices}. "
                f"Received: --model={config.model}."
            )
    users = [name for name, kind in REGULARIZERS.items() if kind.normalization == given]
    if users and not any(regularizer.name in users for regularizer in regularizers):
        raise UserError(
            f"normalization={given} does nothing by itself: add --regularizers="
            f"{' or '.join(users)}. Received: --model={config.model}."
        )


def _best_by(config: Config, metrics: tuple[str, ...]) -> str:
    """The metric that chooses the best checkpoint: unless it is asked for, the FID goes first."""
    able = [name for name in metrics if METRICS[name].better != "none"]
    if config.best_by is None and able:
        return "fid" if "fid" in able else able[0]
    asked = "" if config.best_by is None else f"--best_by={config.best_by} "
    received = f"Received: {asked}--metrics={config.metrics}."
    choices = f"Choose from {', '.join(able)}" if able else "Add one that can, such as fid"
    if asked and config.best_by not in metrics:
        raise UserError(f"--best_by is one of --metrics. {choices}. {received}")
    if config.best_by not in able:
        raise UserError(
            f"{config.best_by or ' and '.join(metrics)} cannot choose a checkpoint: neither lower "
            f"nor higher is better. {choices}. {received}"
        )
    return config.best_by


def _reason(policy: Policy, regularizers: tuple[Regularizer, ...]) -> str:
    if not policy.ops:
        return "there is no policy"
    if steering := [r.name for r in regularizers if r.steers_policy]:
        return f"{' and '.join(steering)} is about the augmentation in the adversarial losses"
    if users := [r.name for r in regularizers if r.uses_policy]:
        beside = all(r.beside_losses for r in regularizers if r.uses_policy)
        return f"{' and '.join(users)} uses the policy{' beside the losses' if beside else ''}"
    return "a policy that nothing else uses is DiffAugment's"
