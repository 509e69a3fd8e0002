"""What a study is: arms, at a scale, by seeds. Pure data, in the words of flags."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence

from tf_diffaug.language import parse_calls

SCALES = ("paper", "gpu", "cpu")
FORMS = ("strength", "bars", "curves", "boxes")
# Flags that change neither what is trained nor what is measured: two cells that differ in nothing
# else are one.
_BESIDE = ("metrics", "log_every", "sample_every", "checkpoint_every", "keep_checkpoints")
# A step's time over the plain step's, measured on 2 CPU cores: docs/benchmarks.md, Regularisers.
_TIMES = {
    "adversarial_defence": 2.01,
    "bcr": 1.6,
    "cntr": 2.26,
    "cr": 1.31,
    "dragan": 1.58,
    "js": 2.35,
    "r1": 1.69,
    "r2": 1.64,
    "ssgan": 1.46,
    "wgan_gp": 1.65,
    "zcr": 1.47,
}


@dataclasses.dataclass(frozen=True)
class Setup:
    """A network and its training at one scale: what all arms of a study share there.

    Args:
        words: flags, without dashes.
        shares: flags by the percentage of the data that they stand for; in all flags `{seed}` is
            the cell's, and `{name}` one of the values.
        hours: that the plain cell takes; None where that was not measured or published.
        basis: on what machine, and how the hours are known.
        counted: loss terms that the hours are with.
        seeds: how many, by default.
        values: what depends on the scale in the flags of arms, by name.
        end: flags of the command `evaluate` for the last checkpoint.
    """

    words: str
    shares: Mapping[int, str]
    hours: float | None
    basis: str
    counted: Sequence[str] = ()
    seeds: int = 3
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    end: str = "metrics=fid,kid,mind seeds=3"

    @property
    def flags(self) -> dict[str, str]:
        """Those of `train` that all arms have, by name; the last of a name counts."""
        return _flags(self.words)


@dataclasses.dataclass(frozen=True)
class Arm:
    """One recipe of a study: what it adds to the setup.

    Args:
        name: what tells it from the study's others; `--only` looks at it.
        words: flags, without dashes; the last of a name counts.
        share: percentage of the data; the setup says what that is at its scale.
        series: the curve, or kind of bar, that it belongs to in the drawing.
        x: where on the axis it stands; None: nowhere, a line across all of it.
        panel: which part of the drawing; empty for all.
        base: the arm that it is compared with; empty for the study's first.
        scales: at which it is run.
        times: what its cell takes over the plain one, where its regularizers do not say it.
    """

    name: str
    words: str = ""
    share: int = 100
    series: str = ""
    x: float | None = None
    panel: str = ""
    base: str = ""
    scales: Sequence[str] = SCALES
    times: float = 1.0


@dataclasses.dataclass(frozen=True)
class Study:
    """A figure or table of a paper, as a grid of cells.

    Args:
        name: what the command takes.
        title: what it asks.
        source: the figure or table that it regenerates.
        setups: by scale.
        arms: the recipes; the first is what others are compared with unless they say.
        form: how it is drawn: `strength`, `bars`, `curves` or `boxes`.
        x_label: of what `Arm.x` is.
        metrics: that are drawn; the first is the score.
        log: which axes are logarithmic, `x`, `y` or both.
        overlap: flags of the command `overlap`, for a study of it.
        needs: the flag of `train` that the user must add, with a value that shows how.
    """

    name: str
    title: str
    source: str
    setups: Mapping[str, Setup]
    arms: tuple[Arm, ...]
    form: str = "bars"
    x_label: str = ""
    metrics: tuple[str, ...] = ("fid",)
    log: str = ""
    overlap: str = ""
    needs: str = ""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if self.form not in FORMS or len(set(names)) < len(names):
            raise ValueError(
                f"A study has one of the forms {', '.join(FORMS)} and arms of different names. "
                f"Received: form={self.form!r}, names={names}."
            )

    def arms_at(self, scale: str) -> list[Arm]:
        """Those that are run at a scale."""
        return [arm for arm in self.arms if scale in arm.scales]

    def cells(
        self, scale: str, seeds: Sequence[int] | None = None, *, more: str = ""
    ) -> list[Cell]:
        """Every arm with every seed, an arm's seeds one after the other.

        Args:
            scale: `paper`, `gpu` or `cpu`.
            seeds: None for as many as the setup has.
            more: flags, without dashes, after all others.
        """
        setup = self.setups[scale]
        chosen = range(setup.seeds) if seeds is None else seeds
        return [
            Cell(self, scale, arm, seed, more) for arm in self.arms_at(scale) for seed in chosen
        ]

    def hours(self, scale: str) -> float | None:
        """That all cells of a scale take, None where that is not known."""
        setup = self.setups[scale]
        if setup.hours is None:
            return None
        return setup.hours * sum(cell.cost for cell in self.cells(scale))


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a study, and what is measured of it.

    Args:
        study: which it is of.
        scale: at which.
        arm: its recipe.
        seed: of the run.
        more: flags, without dashes, after all others: another recipe.
    """

    study: Study
    scale: str
    arm: Arm
    seed: int
    more: str = ""

    @property
    def setup(self) -> Setup:
        """That of its scale."""
        return self.study.setups[self.scale]

    @functools.cached_property
    def flags(self) -> dict[str, str]:
        """The flags of `train`, by name, as typed."""
        setup = self.setup
        words = f"{setup.words} {setup.shares[self.arm.share]} {self.arm.words} {self.more}"
        for name, value in {**setup.values, "seed": str(self.seed)}.items():
            words = words.replace(f"{{{name}}}", value)
        return _flags(words) | {"seed": str(self.seed)}

    @property
    def cost(self) -> float:
        """The time that it takes over that of the plain cell."""
        calls = parse_calls(self.flags.get("regularizers", "none"), what="regularizers")
        more = [call.name for call in calls if call.name not in self.setup.counted]
        # Terms share views of D: together cntr and bcr take what cntr does.
        return self.arm.times * max([1.0, *(_TIMES.get(name, 1.0) for name in more)])

    @property
    def measured(self) -> dict[str, str]:
        """The flags of `evaluate` for the last checkpoint; of few images copies are looked for."""
        found = _flags(self.setup.end)
        few = "num_images" in self.flags or self.study.needs
        return found | {"metrics": found["metrics"] + ",auth_pct"} if few else found

    @functools.cached_property
    def key(self) -> str:
        """What two cells have alike if one result does for both: studies share their baselines."""
        return _digest({**self._trained, "evaluate": self.setup.end, "overlap": self.study.overlap})

    @property
    def run_name(self) -> str:
        """The name of the run's folder, the same for all that is measured of one run."""
        return f"s{self.seed}-{_digest(self._trained)}"

    @property
    def title(self) -> str:
        """What a line or a bar calls it."""
        return f"{self.arm.name} seed {self.seed}"

    @property
    def _trained(self) -> dict[str, str]:
        flags = {name: value for name, value in self.flags.items() if name not in _BESIDE}
        return flags | {"dataset": images_name(flags.get("dataset", ""))}


def images_name(dataset: str) -> str:
    """What images are called wherever they lie: `cats` for `folder:photos/cats`."""
    return os.path.basename(dataset.rpartition(":")[2].rstrip("/"))


def _flags(words: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(words))


def _digest(flags: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(flags, sort_keys=True).encode()).hexdigest()[:10]
