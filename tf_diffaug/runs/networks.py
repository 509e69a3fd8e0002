"""`--model`: a family of networks and its options, in the language of policies.

`biggan(shared_dim=128)`: the options are the keyword arguments of the family's two networks that
have no flag of their own; each network gets those that it knows.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

from tf_diffaug import models
from tf_diffaug.language import Call, bind, literal, parse_calls
from tf_diffaug.naming import unknown
from tf_diffaug.runs.config import Config

_GENERATOR = "Generator"
# By the name before "Generator" and "Discriminator", in lower case.
NETWORKS = {
    name.removesuffix(_GENERATOR).lower(): (
        getattr(models, name),
        getattr(models, name.replace(_GENERATOR, "Discriminator")),
    )
    for name in models.__all__
    if name.endswith(_GENERATOR)
}
# Flags of their own, or no business of the user's.
_COMMON = ("resolution", "channels", "width", "latent_dim", "num_classes", "seed")
# What means another thing to each of the two has the network's letter before it, as flags do.
_SEPARATE = ("architecture",)
_WORDS = {"true": True, "false": False, "none": None}


class _Option(NamedTuple):
    """What a user can set: which argument of which networks, its type and its default."""

    argument: str
    networks: tuple[type, ...]
    hint: Any
    default: Any


def spell_model(text: str) -> str:
    """A model in the one spelling by which two are compared.

    Raises:
        ValueError: for an unknown model or option, or a value of another type.
    """
    name, given = _parse(text)
    shown = [
        f"{key}={literal(given[key])}"
        for key, option in _options(name).items()
        if key in given and given[key] != option.default
    ]
    return f"{name}({', '.join(shown)})" if shown else name


def make_networks(
    text: str, *, precision: str = "float32", **common: Any
) -> tuple[keras.Model, keras.Model]:
    """The generator and the discriminator.

    Args:
        text: the model, as in `biggan(shared_dim=128)`.
        precision: float32, bfloat16 or float16: what they compute in; their weights are float32.
        **common: the arguments that are no options: resolution, channels, width, latent_dim,
            num_classes, seed.

    Raises:
        ValueError: if they can't be made as asked.
    """
    name, given = _parse(text)
    options = _options(name)

    def arguments(kind: type) -> dict[str, Any]:
        known = inspect.signature(kind).parameters
        own = {options[k].argument: v for k, v in given.items() if kind in options[k].networks}
        return {k: v for k, v in common.items() if k in known} | own

    dtype = precision if precision == "float32" else f"mixed_{precision}"
    generator, discriminator = (kind(**arguments(kind), dtype=dtype) for kind in NETWORKS[name])
    return generator, discriminator


def networks_of(config: Config, facts: Mapping[str, Any]) -> tuple[keras.Model, keras.Model]:
    """The generator and the discriminator of a run, weights from its seed, D's first blocks frozen.

    Args:
        config: the settings of the run.
        facts: what the networks must know of the images, see `parts.data_facts`.

    Raises:
        ValueError: if they can't be made as asked, or not for these images.
    """
    generator, discriminator = make_networks(
        config.model,
        precision=config.precision,
        resolution=config.resolution,
        channels=facts["channels"],
        width=config.width,
        latent_dim=config.latent_dim,
        num_classes=len(facts["label_counts"]) if config.conditional else None,
        seed=config.seed,
    )
    models.freeze_blocks(discriminator, config.freeze_d)
    return generator, discriminator


def family_of(network: keras.Model) -> str | None:
    """The name of the model that a network belongs to, None if it is no one's."""
    kind = type(network)
    return next((name for name, kinds in NETWORKS.items() if kind in kinds), None)


def have_styles(text: str) -> bool:
    """Whether a model's generator maps latents to styles first.

    Raises:
        ValueError: for an unknown model or option.
    """
    return hasattr(NETWORKS[_parse(text)[0]][0], "synthesis")


def have_maps(text: str) -> bool:
    """Whether a model's discriminator gives maps beside its features.

    Raises:
        ValueError: for an unknown model or option.
    """
    return hasattr(NETWORKS[_parse(text)[0]][1], "maps")


def normalization_of(text: str) -> str:
    """The normalization that a model's option of this name puts into D, "none" without any.

    Raises:
        ValueError: for an unknown model or option.
    """
    return _parse(text)[1].get("normalization", "none")


def normalized_models(normalization: str) -> list[str]:
    """The models, as a user gives them, whose D may have a normalization."""
    return [
        f"{name}(normalization={normalization})"
        for name in NETWORKS
        if "normalization" in _options(name)
    ]


def take_labels(text: str) -> bool:
    """Whether a model's networks can be conditional.

    Raises:
        ValueError: for an unknown model or option.
    """
    return _takes_labels(_parse(text)[0])


def conditional_models() -> list[str]:
    """The names of the models that can be conditional."""
    return [name for name in NETWORKS if _takes_labels(name)]


def _takes_labels(name: str) -> bool:
    return "num_classes" in inspect.signature(NETWORKS[name][0]).parameters


def _options(name: str) -> dict[str, _Option]:
    """The options of a family, both networks' together."""
    found: dict[str, _Option] = {}
    for letter, kind in zip("gd", NETWORKS[name], strict=True):
        hints = typing.get_type_hints(kind.__init__)
        for argument, parameter in inspect.signature(kind).parameters.items():
            if argument in _COMMON or parameter.kind is parameter.VAR_KEYWORD:
                continue
            key = f"{letter}_{argument}" if argument in _SEPARATE else argument
            kinds = (*found[key].networks, kind) if key in found else (kind,)
            found[key] = _Option(argument, kinds, hints[argument], parameter.default)
    return found


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    calls = parse_calls(text, what="model")
    if len(calls) != 1:
        raise ValueError(f"A run has one model. Received: model={text!r}.")
    call = calls[0]
    if call.name not in NETWORKS:
        raise ValueError(unknown("model", call.name, NETWORKS))
    options = _options(call.name)
    if not options and (call.args or call.kwargs):
        raise ValueError(f"{call.name} has no options. Received: model={text!r}.")
    if call.args:
        example = f"{call.name}({next(iter(options))}=...)"
        raise ValueError(f"A model's options go by keyword: {example}. Received: model={text!r}.")
    given = bind(call, list(options), what="model", text=text)
    return call.name, {key: _typed(call, key, given[key], options[key].hint) for key in given}


def _typed(call: Call, key: str, value: Any, hint: Any) -> Any:
    """The value, if it is of the option's type; true, false and none may be written so."""
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            raise ValueError(f"{call.name}: {unknown(key, value, typing.get_args(hint))}")
        return value
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    kinds = typing.get_args(hint) if union else (hint,)
    if isinstance(value, str) and str not in kinds:
        value = _WORDS.get(value, value)
    if type(value) is int and int not in kinds and float in kinds:
        value = float(value)
    if type(value) not in kinds:
        names = " or ".join("none" if k is type(None) else k.__name__ for k in kinds)
        raise ValueError(f"{call.name}: {key} is {names}. Received: {key}={value!r}.")
    return value
