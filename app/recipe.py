"""The three coordinates of a run, read: T, where T stands, and what else is asked."""

from __future__ import annotations

import dataclasses
from typing import Any

from app import networks
from app.config import Config
from app.errors import UserError, user_settings
from app.resolve import Resolved
from tf_diffaug.augment import Policy, parse_policy
from tf_diffaug.training.modes import resolve_augment
from tf_diffaug.training.regularizers import REGULARIZERS, Regularizer, parse_regularizers


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A configuration whose coordinates are decided.

    Args:
        resolved: the settings, with the coordinates in their canonical spelling.
        policy: T.
        regularizers: what else is asked.
        why: why T stands where it stands, in words.
    """

    resolved: Resolved
    policy: Policy
    regularizers: tuple[Regularizer, ...]
    why: str

    @property
    def config(self) -> Config:
        """The settings."""
        return self.resolved.config

    def replace(self, origin: str, **settings: Any) -> Recipe:
        """A copy with some settings decided later, for the reason given."""
        return dataclasses.replace(self, resolved=self.resolved.replace(origin, **settings))


def decide(resolved: Resolved) -> Recipe:
    """Reads the coordinates and settles where T stands.

    Raises:
        UserError: for a policy or regularizer that does not parse, or a T that nothing uses.
    """
    config = resolved.config
    with user_settings():
        policy = parse_policy(config.policy)
        regularizers = _sorted(parse_regularizers(config.regularizers))
        _check_labelled(config, regularizers)
        augment = resolve_augment(policy, config.augment, regularizers)
        model = networks.canonical(config.model)
        _check_styled(config, regularizers)
    origins = dict(resolved.origins)
    settled = dataclasses.replace(
        config,
        policy=str(policy),
        regularizers=_spelt(regularizers),
        augment=augment,
        model=model,
    )
    why = "as asked"
    if config.augment is None:
        why = _why(policy, regularizers)
        origins["augment"] = f"default: {why}"
    return Recipe(Resolved(settled, origins), policy, regularizers, why)


def _check_labelled(config: Config, regularizers: tuple[Regularizer, ...]) -> None:
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


def _check_styled(config: Config, regularizers: tuple[Regularizer, ...]) -> None:
    about_styles = [regularizer.name for regularizer in regularizers if regularizer.needs_styles]
    if about_styles and not networks.have_styles(config.model):
        raise UserError(
            f"{' and '.join(about_styles)} is about a generator's styles: add --model=stylegan2. "
            f"Received: --model={config.model}."
        )


def canonical(name: str, value: Any) -> Any:
    """A setting in the one spelling by which two are compared.

    Raises:
        UserError: if it does not parse.
    """
    with user_settings():
        if name == "policy":
            return str(parse_policy(value))
        if name == "regularizers":
            return _spelt(parse_regularizers(value))
        if name == "model":
            return networks.canonical(value)
    return value


def _spelt(regularizers: tuple[Regularizer, ...]) -> str:
    return ",".join(map(str, _sorted(regularizers))) or "none"


def _sorted(regularizers: tuple[Regularizer, ...]) -> tuple[Regularizer, ...]:
    # A saved run is resumed with the order in which it was trained, whatever was typed.
    return tuple(sorted(regularizers, key=str))


def _why(policy: Policy, regularizers: tuple[Regularizer, ...]) -> str:
    if not policy.ops:
        return "there is no policy"
    if steering := [r.name for r in regularizers if r.steers_policy]:
        return f"{' and '.join(steering)} is about T in the adversarial losses"
    if users := [r.name for r in regularizers if r.uses_policy]:
        return f"{' and '.join(users)} uses the policy"
    return "a policy that nothing else uses is DiffAugment's"
