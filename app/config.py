"""Every setting of a run, in one place; the flags are made from it."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from typing import Any

from app.errors import UserError, unknown

AUGMENT = ("none", "reals", "d_only", "both")
MODELS = ("sndcgan", "biggan", "stylegan2")
FAKE_LABELS = ("uniform", "data")
LOSSES = ("hinge", "non_saturating", "wasserstein")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def _option(
    default: Any,
    text: str,
    *,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    changeable: bool = False,
    unset: str = "",
) -> Any:
    """One field. `changeable`: may differ when a run is resumed. `unset`: what None means."""
    rules = {"choices": choices, "least": least, "above": above, "most": most, "below": below}
    extra = {"text": text, "changeable": changeable, "unset": unset}
    return dataclasses.field(default=default, metadata={**rules, **extra})


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of a run. The defaults are the quick start's recipe.

    Raises:
        UserError: if a value is out of its range, or two contradict each other.
    """

    # The three coordinates of an experiment, and the recipe they started from.
    preset: str | None = _option(None, "a named recipe to start from; help lists them")
    policy: str = _option("none", "augmentation T, such as color,translation,cutout")
    augment: str | None = _option(
        None,
        "where T stands: none, reals, d_only, both (DiffAugment)",
        choices=AUGMENT,
        unset="auto",
    )
    regularizers: str = _option("none", "what else the networks are asked, such as r1:10")

    # The images.
    dataset: str = _option("emoji_faces", "emoji_faces, emoji, cifar10, cifar100 or folder:PATH")
    data_dir: str | None = _option(
        None, "folder with CIFAR's files, else downloaded", changeable=True
    )
    resolution: int = _option(32, "pixels a side", least=1)
    flip: bool | None = _option(None, "flip half of the reals left to right", unset="auto")
    skip_broken: bool = _option(False, "leave broken or tiny image files out and count them")
    num_images: int | None = _option(None, "train on this many images", least=1, unset="all")
    data_fraction: float | None = _option(
        None, "train on this share of the images", above=0, most=1, unset="all"
    )
    subset: str = _option(
        "random",
        "how part of the data is drawn (paper: DiffAugment's own draw)",
        choices=("random", "paper", "balanced"),
    )
    data_seed: int = _option(0, "draws the part of the data", least=0)

    # The networks.
    model: str = _option(
        "sndcgan",
        "the two networks: sndcgan, biggan or stylegan2, with options as in "
        "'stylegan2(mapping_layers=2)'",
    )
    conditional: bool = _option(False, "train with the dataset's labels (biggan, stylegan2)")
    fake_labels: str = _option(
        "uniform", "labels of fakes: uniform, or as often as in the data", choices=FAKE_LABELS
    )
    label_fraction: float | None = _option(
        None, "train with this share of the labels", above=0, most=1, unset="all"
    )
    width: int = _option(16, "base channels: the papers use 64 to 128", least=1)
    latent_dim: int = _option(128, "length of G's input z", least=1)

    # The optimisation. Adam's constants are those recalled of the second paper's SNDCGAN.
    loss: str = _option("hinge", "adversarial loss", choices=LOSSES)
    steps: int = _option(5000, "G steps in all", least=1, changeable=True)
    batch_size: int = _option(32, "images of a D step, over all replicas", least=1)
    d_steps: int = _option(1, "D steps per G step", least=1)
    g_lr: float = _option(2e-4, "G's learning rate", above=0)
    d_lr: float = _option(2e-4, "D's learning rate", above=0)
    beta1: float = _option(0.5, "Adam's decay of the mean gradient", least=0, below=1)
    beta2: float = _option(0.999, "Adam's decay of the mean square", least=0, below=1)
    ema_decay: float = _option(
        0.999, "decay a step of the average of G's weights; 0: none", least=0, below=1
    )
    ema_start: int = _option(0, "step from which G's weights are averaged", least=0)
    ema_half_life: float | None = _option(
        None, "half-life of the average in images, in place of ema_decay", above=0, unset="none"
    )
    ema_ramp: float | None = _option(
        0.25, "the half-life is at most this share of the run so far", above=0, unset="none"
    )
    seed: int = _option(0, "the run's seed", least=0)
    strategy: str = _option("auto", "how training is distributed", choices=STRATEGIES)
    views: str = _option(
        "auto", "D's batches in one pass or several", choices=("auto", "joint", "separate")
    )
    deterministic: bool = _option(True, "the same bits every time, on a GPU too")

    # What is written, and when (in G steps; 0: only at the end).
    run_dir: str | None = _option(
        None,
        "folder of the run; auto: runs/, named by recipe",
        changeable=True,
        unset="auto",
    )
    log_every: int = _option(50, "G steps between metrics", least=1, changeable=True)
    sample_every: int = _option(500, "G steps between sample grids", least=0, changeable=True)
    eval_every: int = _option(1000, "G steps between FIDs", least=0, changeable=True)
    checkpoint_every: int = _option(500, "G steps between checkpoints", least=0, changeable=True)
    keep_checkpoints: int = _option(3, "newest checkpoints kept", least=1, changeable=True)

    # The evaluation protocol: a number means nothing without it.
    fid_features: str = _option("auto", "auto, inception, emoji-cnn, none or a model's path")
    num_fakes: int = _option(2000, "fakes an FID is measured on; the papers use 10000", least=2)
    fid_split: str = _option(
        "auto", "reals an FID is measured against", choices=("auto", "train", "test")
    )
    eval_batch_norm: str = _option(
        "moving",
        "G's batch norm in samples and FID",
        choices=("moving", "batch", "standing"),
    )
    truncation: float | None = _option(
        None,
        "bound of z (biggan), or psi (stylegan2), in samples and FID",
        least=0,
        unset="none",
    )
    eval_ema: bool = _option(True, "take samples and FID from the averaged G")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        if self.num_images is not None and self.data_fraction is not None:
            raise UserError(
                "--num_images and --data_fraction exclude each other. Received: "
                f"--num_images={self.num_images} --data_fraction={self.data_fraction}."
            )
        if self.subset != "random" and self.num_images is None and self.data_fraction is None:
            raise UserError(
                f"--subset={self.subset} says how a part of the images is drawn: "
                "give --num_images or --data_fraction too."
            )
        name = self.model.split("(")[0].strip()
        if name not in MODELS:
            raise UserError(unknown("model", name, MODELS))
        if self.conditional and name == "sndcgan":
            raise UserError(
                "sndcgan knows no classes: add --model=biggan or --model=stylegan2. "
                "Received: --conditional."
            )
        if self.fake_labels != "uniform" and not self.conditional:
            raise UserError(f"--fake_labels={self.fake_labels} is about labels: add --conditional.")
        if self.label_fraction is not None and not self.conditional:
            raise UserError(
                "--label_fraction hides labels of networks that look at them: add --conditional. "
                f"Received: --label_fraction={self.label_fraction}."
            )
        if self.policy == "none" and self.augment not in (None, "none"):
            raise UserError(
                f"--augment={self.augment} needs an augmentation: add "
                "--policy=color,translation,cutout, for example."
            )


@functools.cache
def kinds() -> dict[str, type]:
    """The type of each field, None aside."""
    found = {}
    for name, hint in typing.get_type_hints(Config).items():
        union = typing.get_origin(hint) in (types.UnionType, typing.Union)
        found[name] = typing.get_args(hint)[0] if union else hint
    return found


@functools.cache
def _optional() -> frozenset[str]:
    hints = typing.get_type_hints(Config)
    return frozenset(n for n, hint in hints.items() if type(None) in typing.get_args(hint))


@functools.cache
def fields() -> dict[str, dataclasses.Field]:
    """The fields by name, in order."""
    return {field.name: field for field in dataclasses.fields(Config)}


def optional(name: str) -> bool:
    """Whether a field may be None."""
    return name in _optional()


def unset_words(name: str) -> tuple[str, ...]:
    """What a user may type for None, the word that help shows for it first."""
    if not optional(name):
        return ()
    rules = fields()[name].metadata
    words = (rules["unset"] or "none", "none")
    return tuple(word for word in dict.fromkeys(words) if word not in rules["choices"])


def recipe(config: Config) -> dict[str, Any]:
    """What makes two runs the same experiment: everything that may not change on resume."""
    settings = dataclasses.asdict(config)
    return {
        name: settings[name]
        for name, field in fields().items()
        if not field.metadata["changeable"] and name != "preset"
    }


def from_dict(settings: dict[str, Any], source: str) -> dict[str, Any]:
    """Checks the names and types of settings read from a file; fills nothing in.

    Raises:
        UserError: if a name is unknown or a value of another type than its field.
    """
    for name, value in settings.items():
        if name not in fields():
            raise UserError(f"{source}: {unknown('setting', name, fields())}")
        kind = kinds()[name]
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        fits = fits or (kind is float and type(value) is int)
        if not (fits or (value is None and optional(name))):
            raise UserError(f"{source}: {name} is {_a(kind)}. Received: {name}={value!r}.")
    return settings


def _a(kind: type) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names[kind]


def _check(field: dataclasses.Field, value: Any) -> None:
    if value is None:
        return
    rules, flag = field.metadata, f"--{field.name}"
    if rules["choices"] and value not in rules["choices"]:
        raise UserError(unknown(field.name, value, rules["choices"]))
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{flag} must be a finite number. Received: {flag}={value}.")
    limits = (
        ("least", "at least", lambda limit: value >= limit),
        ("above", "above", lambda limit: value > limit),
        ("most", "at most", lambda limit: value <= limit),
        ("below", "below", lambda limit: value < limit),
    )
    for rule, words, holds in limits:
        if rules[rule] is not None and not holds(rules[rule]):
            raise UserError(f"{flag} must be {words} {rules[rule]}. Received: {flag}={value}.")
