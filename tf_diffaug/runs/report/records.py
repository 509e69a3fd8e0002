"""What a report says of a run, read from its folder: no network is built, no image loaded."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

from tf_diffaug.evaluation import resolve_features
from tf_diffaug.evaluation.fid import refuse_unlike
from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.init_from import InitialWeights
from tf_diffaug.runs.recipe import Recipe, settle
from tf_diffaug.runs.saved import need_saved
from tf_diffaug.runs.words import protocol_words, recipe_in_words
from tf_diffaug.titles import metric_title

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RunRecords:
    """A run as its files tell it.

    Args:
        directory: where everything of it lies.
        name: what the page calls it.
        recipe: its settings.
        facts: what it was trained on, see `parts.data_facts`.
        initial: the trained weights that it began with, None if it began from its seed.
        versions: the software that it began with.
        train: the records of training, in order.
        evaluated: those of the evaluations during training.
        evaluations: those of the command `evaluate`.
    """

    directory: RunDirectory
    name: str
    recipe: Recipe
    facts: Record
    initial: InitialWeights | None
    versions: Record
    train: list[Record]
    evaluated: list[Record]
    evaluations: list[Record]

    @property
    def path(self) -> pathlib.Path:
        """Its folder."""
        return self.directory.path

    @property
    def step(self) -> int:
        """The last step that anything is known of."""
        return max((one["step"] for one in (*self.train, *self.evaluated)), default=0)

    def samples(self) -> list[tuple[int, pathlib.Path]]:
        """The sheets of samples by step."""
        found = self.directory.samples.glob("*.png")
        return sorted((int(path.stem), path) for path in found if path.stem.isdecimal())

    def class_names(self) -> list[str]:
        """Of a conditional run, the names of its classes, as far as they are known."""
        return list(self.facts.get("class_names") or ()) if self.recipe.config.conditional else []

    def nearest_sheet(self) -> tuple[str, pathlib.Path] | None:
        """The newest sheet of nearest training images that `generate` wrote, and its name."""
        found = self.path.glob("generated/*/nearest.png")
        newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
        return None if newest is None else (newest.parent.name, newest)

    def words(self) -> dict[str, str]:
        """The recipe in words, by subject."""
        config = self.recipe.config
        told = recipe_in_words(
            self.recipe,
            num_images=self.facts.get("num_images", 0),
            is_flipped=self.facts.get("flip") if config.flip is None else config.flip,
            fid_features=_features(config, self.evaluated),
        )
        if self.initial is not None and "Start" in told:
            told["Start"] += f" {self.initial.sentence()}"
        return told

    def figures(self) -> dict[str, tuple[str, str]]:
        """What a reader wants to know first: by subject a value, and what to know of it."""
        steps = self.recipe.config.steps
        done = "" if self.step >= steps else f"of {steps:,}"
        found = {"steps": (f"{self.step:,}", done)}
        if count := self.facts.get("num_images"):
            held_out = self.facts.get("num_test")
            found["images"] = (f"{count:,}", f"{held_out:,} held out" if held_out else "")
        for metric in dict.fromkeys(("fid", self.recipe.config.best_by)):
            found |= self._figures_of(metric)
        if self.evaluated and "leak_verdict" in self.evaluated[-1]:
            share = self.evaluated[-1].get("leak")
            seen = "" if share is None else f"the augmentation shows in {share:.0%} of the samples"
            found["leak gauge"] = (str(self.evaluated[-1]["leak_verdict"]), seen)
        speeds = [one["images_per_second"] for one in self.train if "images_per_second" in one]
        if speeds:
            found["speed"] = (f"{statistics.median(speeds):,.0f}", "images a second, the median")
        return found

    def _figures_of(self, metric: str) -> dict[str, tuple[str, str]]:
        """The last value in training, and the best one if checkpoints were chosen by it."""
        records = [one for one in self.evaluated if metric in one]
        if not records:
            return {}
        last, title = records[-1], metric_title(metric)
        found = {title: (f"{last[metric]:.4g}", _of_what(last.get("protocol", {})))}
        choose = max if METRICS[metric].better == "higher" else min
        best = choose(records, key=lambda one: one[metric])
        if metric == self.recipe.config.best_by and best["step"] != last["step"]:
            found[f"best {title}"] = (f"{best[metric]:.4g}", f"at step {best['step']:,}")
        return found

    def evaluation(self) -> Record | None:
        """The latest evaluation, with `values` and `readings`; of training if there is no other."""
        if self.evaluations:
            return self.evaluations[-1]
        measured = [one for one in self.evaluated if one.keys() & METRICS.keys()]
        if not measured:
            return None
        last = measured[-1]
        values = {key: {"mean": value} for key, value in last.items() if key in METRICS}
        return {"values": values, "readings": {}, "protocol": {}, **last}


def unlike(protocols: Sequence[Record]) -> str | None:
    """Why numbers measured so do not compare; None if they do."""
    for other in protocols[1:]:
        try:
            refuse_unlike(protocols[0], other)
        except ValueError as error:
            return str(error)
    return None


def _of_what(protocol: Record) -> str:
    """The beginning of a protocol, what fits below a number."""
    return ", ".join(protocol_words(protocol).split(", ")[:3])


def _features(config: Config, evaluated: Sequence[Record]) -> str:
    """Those that were measured by, which may be others than `auto` would find here."""
    for record in reversed(evaluated):
        features = record.get("protocol", {}).get("features")
        if isinstance(features, dict) and "name" in features:
            return str(features["name"])
    if config.fid_features in ("auto", "none"):
        return resolve_features(config.fid_features, config.dataset) or "none"
    return config.fid_features


def read_records(run_dirs: Sequence[str | os.PathLike]) -> list[RunRecords]:
    """Reads runs, named by their folders as shortly as tells them apart.

    Raises:
        UserError: if a folder is no run.
        ValueError: if a run's files are damaged.
    """
    paths = [pathlib.Path(run_dir) for run_dir in run_dirs]
    names = [pathlib.Path(os.path.abspath(path)).name for path in paths]
    if len(set(names)) < len(names):
        names = list(map(str, paths))
    return [_read(path, name) for path, name in zip(paths, names, strict=True)]


def _settle(config: Config) -> Recipe:
    """The recipe with the reason for its mode, though what is saved no longer says who chose it."""
    reasoned = settle(dataclasses.replace(config, augment=None))
    return reasoned if reasoned.config.augment == config.augment else settle(config)


def _read(path: pathlib.Path, name: str) -> RunRecords:
    saved = need_saved(path)
    directory = RunDirectory(path)
    initial = saved.get("initial_weights")
    return RunRecords(
        directory=directory,
        name=name,
        recipe=_settle(Config(**saved["settings"])),
        facts=saved.get("data", {}),
        initial=None if initial is None else InitialWeights(**initial),
        versions=saved.get("versions", {}),
        train=directory.records("train"),
        evaluated=directory.records("eval"),
        evaluations=directory.evaluated(),
    )
