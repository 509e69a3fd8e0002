"""`--init_from`: a new run that starts from trained weights, and takes nothing else over.

Optimizers, step, regularizers' own variables and the best value start anew. A run that has a
checkpoint goes on from that, and never comes here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_diffaug._keras import layer_variables, raw_variables
from tf_diffaug.errors import UserError, one_line, raised_here
from tf_diffaug.keras_file import load_keras_file
from tf_diffaug.language import literal
from tf_diffaug.runs import networks
from tf_diffaug.runs.checkpoints import find_checkpoint, groups_in, newest_step, read_groups
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.saved import read_saved
from tf_diffaug.training import GAN

# What `export` writes.
GENERATOR_FILE, DISCRIMINATOR_FILE = "generator.keras", "discriminator.keras"
_LETTERS = {"generator": "G", "ema_generator": "the averaged G", "discriminator": "D"}
# Where weights begin does not matter to those that take trained ones.
_NO_DIFFERENCE = ("name", "dtype", "seed", "init")
_MOST_NAMED = 4


@dataclasses.dataclass(frozen=True)
class InitialWeights:
    """What a run began with, as its config.json has it.

    Args:
        source: the folder.
        step: of the checkpoint, None for an export.
        fingerprint: a digest of all values that were loaded.
        layers: how many layers were loaded, of G and D.
        fresh: the layers of this run that were not, each with its network's letter before it.
        unused: the layers of the source for which this run has no place.
        differs: what the networks were made with there and here, where it is not the same.
    """

    source: str
    step: int | None
    fingerprint: str
    layers: int
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What was loaded and what was not, for a person."""
        at = "an export" if self.step is None else f"step {self.step:,}"
        text = f"Starting from the weights of {self.source}, {at}: {self.layers} layers"
        text += f"; {_some(self.fresh)} fresh" if self.fresh else ""
        text += f"; {_some(self.unused)} not used" if self.unused else ""
        return f"{text}{f'; {_some(self.differs)}' if self.differs else ''}."


class _Source(NamedTuple):
    """Trained networks by group, `generator` always among them, and of which step they are."""

    networks: dict[str, keras.Model]
    step: int | None


class _Fit(NamedTuple):
    """How two networks fit each other: pairs of variables (ours, theirs), and layers left over."""

    pairs: list[tuple[tf.Variable, tf.Variable]]
    layers: int
    fresh: list[str]
    unused: list[str]


def initialize(gan: GAN, config: Config) -> InitialWeights | None:
    """Gives the networks of a new run the weights that its settings name.

    Args:
        gan: the GAN of the run.
        config: its settings.

    Returns None, with nothing done, for a run that starts from its seed or has a checkpoint.

    Raises:
        UserError: if there are no such weights, or they do not fit and that is not allowed.
    """
    if config.init_from is None or _has_begun(config):
        return None
    source = _read(config)
    ours = {"generator": gan.generator, "discriminator": gan.discriminator}
    if gan.ema_generator is not None:
        ours["ema_generator"] = gan.ema_generator
    pairs: dict[str, _Fit] = {}
    for group, network in ours.items():
        theirs = source.networks.get(group)
        if theirs is None and group == "ema_generator":
            theirs = source.networks["generator"]
        if theirs is not None and type(theirs) is not type(network):
            raise _error(config, _other_family(theirs, network))
        pairs[group] = _fit(network, theirs, _LETTERS[group])
    differs = _differences(source, ours)
    both = [pairs["generator"], pairs["discriminator"]]
    _refuse_misfits(config, both, differs)
    _refuse_fresh_frozen(config, gan.discriminator, both[1])
    with gan.distribute_strategy.scope():
        for fit in pairs.values():
            for variable, value in fit.pairs:
                variable.assign(value)
    return InitialWeights(
        source=config.init_from,
        step=source.step,
        fingerprint=_fingerprint(pairs),
        layers=sum(fit.layers for fit in both),
        fresh=tuple(name for fit in both for name in fit.fresh),
        unused=tuple(name for fit in both for name in fit.unused),
        differs=tuple(differs),
    )


def _has_begun(config: Config) -> bool:
    if config.run_dir is None:
        return False
    return newest_step(pathlib.Path(config.run_dir) / "checkpoints") is not None


def _read(config: Config) -> _Source:
    folder = pathlib.Path(config.init_from)
    with _naming(config):
        saved = read_saved(folder, flag="init_from")
        if saved is not None:
            return _read_run(folder, saved, config.init_checkpoint)
        if (folder / GENERATOR_FILE).is_file():
            return _read_export(folder, config)
    raise _error(
        config,
        f"that is no folder of a run, which has a config.json, nor of an export, which has "
        f"{GENERATOR_FILE} and {DISCRIMINATOR_FILE}",
    )


def _read_run(folder: pathlib.Path, saved: dict[str, Any], checkpoint: str) -> _Source:
    facts = saved.get("data", {})
    if "label_counts" not in facts:
        raise UserError("it is of an older version. Export it with --discriminator, and name that")
    path = find_checkpoint(folder, checkpoint, flag="init_checkpoint")
    theirs = Config(**saved["settings"])
    generator, discriminator = networks.networks_of(theirs, facts)
    found = {"generator": generator, "discriminator": discriminator}
    if "ema_generator" in groups_in(str(path)):
        found["ema_generator"], _ = networks.networks_of(theirs, facts)
    for network in found.values():
        network.build()
    read_groups(str(path), **{name: raw_variables(network) for name, network in found.items()})
    return _Source(found, int(path.name.rsplit("-", 1)[1]))


def _read_export(folder: pathlib.Path, config: Config) -> _Source:
    if config.init_checkpoint != "newest":
        raise UserError(
            "an export has one state and no checkpoints. "
            f"Leave out --init_checkpoint={config.init_checkpoint}"
        )
    found = {"generator": _load_model(folder / GENERATOR_FILE)}
    if (folder / DISCRIMINATOR_FILE).is_file():
        found["discriminator"] = _load_model(folder / DISCRIMINATOR_FILE)
    elif not config.init_partly:
        raise UserError(
            f"it has no {DISCRIMINATOR_FILE}. Export with --discriminator, or add --init_partly "
            "to leave D fresh"
        )
    return _Source(found, None)


def _load_model(path: pathlib.Path) -> keras.Model:
    try:
        return load_keras_file(path)
    except ValueError as error:
        raise UserError(f"{path.name} cannot be read: {one_line(error)[:200]}") from error


def _other_family(theirs: keras.Model, ours: keras.Model) -> str:
    names = [networks.family_of(network) for network in (theirs, ours)]
    if None in names or names[0] == names[1]:
        return f"it has a {type(theirs).__name__} where this run has a {type(ours).__name__}"
    return f"its networks are {names[0]}, and this run's {names[1]}: give --model={names[0]}"


def _fit(ours: keras.Model, theirs: keras.Model | None, letter: str) -> _Fit:
    """Pairs the layers of one name whose variables have the same shapes."""
    here = layer_variables(ours)
    there = {} if theirs is None else layer_variables(theirs)
    fits = {name for name in here if name in there and _shapes(here[name]) == _shapes(there[name])}
    pairs = [
        pair for name in here if name in fits for pair in zip(here[name], there[name], strict=True)
    ]
    fresh = [f"{letter}'s {name}" for name in here if name not in fits]
    unused = [f"{letter}'s {name}" for name in there if name not in here]
    return _Fit(pairs, len(fits), fresh, unused)


def _shapes(variables: Sequence[tf.Variable]) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in variables]


def _differences(source: _Source, ours: dict[str, keras.Model]) -> list[str]:
    """What the networks were made with, where it is not the same there and here."""
    found = {}
    for group in ("generator", "discriminator"):
        if group in source.networks:
            there, here = (n[group].get_config() for n in (source.networks, ours))
            found |= {
                name: _differ(name, there[name], here[name])
                for name in here
                if name not in _NO_DIFFERENCE and name in there and here[name] != there[name]
            }
    return list(found.values())


def _differ(name: str, there: Any, here: Any) -> str:
    if name == "num_classes":
        there, here = ("without classes" if n is None else f"of {n} classes" for n in (there, here))
        return f"it is {there}, and this run {here}"
    return f"{name} {literal(there)} there, {literal(here)} here"


def _refuse_misfits(config: Config, fits: Sequence[_Fit], differs: Sequence[str]) -> None:
    misfits = [name for fit in fits for name in fit.fresh + fit.unused]
    if not misfits:
        return
    why = f" ({'; '.join(differs)})" if differs else ""
    if not fits[0].pairs:
        raise _error(config, f"no layer of G fits{why}")
    if not config.init_partly:
        raise _error(
            config,
            f"these layers do not fit: {_some(misfits)}{why}. Give the settings that fit, or add "
            "--init_partly to leave these fresh",
        )


def _refuse_fresh_frozen(config: Config, discriminator: keras.Model, fit: _Fit) -> None:
    """Only what was trained is worth keeping as it is."""
    kept = [layer.name for block in discriminator.blocks()[: config.freeze_d] for layer in block]
    for name in fit.fresh:
        if name.removeprefix("D's ").split("/")[0] in kept:
            raise UserError(
                f"--freeze_d keeps trained blocks, and {name} would be fresh. "
                f"Received: --freeze_d={config.freeze_d} --init_from={config.init_from}."
            )


def _fingerprint(fits: dict[str, _Fit]) -> str:
    digest = hashlib.sha256()
    for group, fit in fits.items():
        digest.update(f"{group} {len(fit.pairs)}".encode())
        for _, value in fit.pairs:
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextlib.contextmanager
def _naming(config: Config) -> Iterator[None]:
    """Puts the flag before what is said of the folder."""
    try:
        yield
    except (ValueError, OSError) as error:
        if isinstance(error, ValueError) and not raised_here(error):
            raise
        raise _error(config, one_line(error).removesuffix(".")) from error


def _error(config: Config, text: str) -> UserError:
    return UserError(f"--init_from={config.init_from}: {text}.")
