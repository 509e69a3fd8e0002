"""`evaluate`: the numbers of finished runs, or of folders of images, with their protocols."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tf_diffaug.commands import saved_run
from tf_diffaug.commands.flags import Flag
from tf_diffaug.errors import UserError
from tf_diffaug.naming import unknown
from tf_diffaug.runs.protocols import PROTOCOLS

if TYPE_CHECKING:
    from tf_diffaug.runs.evaluate import Reals

SUMMARY = "measure a run by FID, KID, precision, recall and more, and look for copies"
_FOLDER = "folder:"
_PLACE = ("run_dirs", "out", "overwrite")
# What is not measured by a run has no use for the flags of one.
_OF_FOLDERS = (*_PLACE, "metrics", "fid_features", "resolution")
_OF_COMPARISON = (*_PLACE, "compare")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(saved_run.Asked):
    """What the user asked for; None is the run's own.

    Raises:
        UserError: if a value is out of its range.
    """

    metrics: str | None = None
    protocol: str | None = None
    seeds: int = 3
    per_class: bool = False
    compare: bool = False
    resolution: int | None = None
    fid_split: str | None = None
    eval_batch_norm: str | None = None

    def __post_init__(self) -> None:
        if self.checkpoint != "all":
            super().__post_init__()
        self.check_least(seeds=1, num_fakes=2, seed=0, resolution=1)
        if self.protocol is not None and self.protocol not in PROTOCOLS:
            received = f"--protocol={self.protocol}"
            raise UserError(unknown("protocol", self.protocol, PROTOCOLS, received=received))
        if self.folders and len(self.run_dirs) != 2:
            raise UserError(
                "folders are measured two at a time, evaluate folder:FAKES folder:REALS. "
                f"Received: {' '.join(map(str, self.run_dirs))}."
            )
        if self.compare and (self.folders or len(self.run_dirs) < 2):
            raise UserError(
                "--compare takes two runs or more that were evaluated. "
                f"Received: {' '.join(map(str, self.run_dirs))}."
            )
        if self.compare:
            self._refuse_unused("--compare", used=_OF_COMPARISON)
        elif self.folders:
            self._refuse_unused("a comparison of folders", used=_OF_FOLDERS)
        elif self.resolution is not None:
            raise UserError(
                "--resolution is for two folders: a run has its own. "
                f"Received: --resolution={self.resolution}."
            )

    def _refuse_unused(self, what: str, *, used: Sequence[str]) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in used and value != field.default:
                typed = f"--{field.name}" + ("" if value is True else f"={value}")
                raise UserError(f"{what} has no use for this flag. Received: {typed}.")

    @property
    def folders(self) -> bool:
        """Whether folders of images are measured, and no run."""
        return any(str(path).startswith(_FOLDER) for path in self.run_dirs)

    @property
    def replaced(self) -> dict[str, Any]:
        """The settings of the run that the protocol and the flags replace, flags going first."""
        own = {
            name: value
            for name in ("fid_split", "eval_batch_norm")
            if (value := getattr(self, name)) is not None
        }
        named = PROTOCOLS[self.protocol] if self.protocol else {}
        return {**named, **super().replaced, **own}


FLAGS = saved_run.flags(
    Flag(
        "metrics", str, "names with commas between; by default all that can be had", "all", ("all",)
    ),
    Flag(
        "protocol",
        str,
        "diffaugment (10,000 fakes, the test images, batch statistics), full (50,000, the "
        "training images) or low-shot (5,000, the training images); by default the run's own",
        "auto",
    ),
    Flag("seeds", int, "draws of fakes: values are their mean and deviation", "3"),
    Flag("per_class", bool, "each class by itself as well"),
    Flag("compare", bool, "measure nothing: set the last evaluations of two runs side by side"),
    Flag("fid_split", str, "reals: auto, train or test; by default as in the run", "auto"),
    Flag("eval_batch_norm", str, "moving, batch or standing; by default as in the run", "auto"),
    Flag("resolution", int, "side that the images of two folders are brought to", "auto"),
    Flag("checkpoint", str, "newest, best (by the run's --best_by), a step, or all", "newest"),
    out="a .json file for the record too",
    without=("checkpoint",),
)


HELP = """Measures runs, or a folder of images against another, and says how.
Try: {0} runs/NAME, {0} runs/NAME --protocol=low-shot --checkpoint=all,
or {0} folder:FAKES folder:REALS. Records go to RUN_DIR/evaluations.jsonl.
All reals of a split count, however few: fakes may be more, as low-shot's 5,000 are of 100.
{flags}"""
read = functools.partial(saved_run.read, Asked, FLAGS, command="evaluate", several=True)


def run(asked: Asked) -> None:
    """Measures, shows and records.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
        Failure: if a checkpoint cannot be restored.
    """
    from tf_diffaug.commands.evaluation_table import show
    from tf_diffaug.evaluation.metrics import parse_metrics
    from tf_diffaug.files import write_atomically

    with saved_run.mistakes(asked):
        metrics = None if asked.metrics is None else parse_metrics(asked.metrics)
        if asked.out is not None:
            saved_run.refuse_outputs(asked, asked.out)
        if asked.compare:
            records = _last_evaluations(asked)
            show(records)
        else:
            measure = _of_folders if asked.folders else _of_runs
            records = measure(asked, metrics)
        if asked.out is not None:
            write_atomically(asked.out, json.dumps(records, indent=2) + "\n")


def _of_runs(asked: Asked, metrics: Sequence[str] | None) -> dict[str, Any]:
    from tf_diffaug.commands.evaluation_table import show
    from tf_diffaug.runs import RunDirectory

    found = {}
    for folder in asked.run_dirs:
        reals = None
        for checkpoint in _checkpoints(asked, folder):
            record, reals = _measure(asked, folder, checkpoint, metrics, reals)
            name = f"{folder} step {record['step']:,}"
            show({name: record})  # first: what was measured is not lost with a full disk
            RunDirectory(folder).append_evaluation(record)
            found[name] = record
    return found


def _measure(
    asked: Asked,
    folder: pathlib.Path,
    checkpoint: str,
    metrics: Sequence[str] | None,
    reals: Reals | None,
) -> tuple[dict[str, Any], Reals]:
    from tf_diffaug.runs.evaluate import Reals, evaluate

    run = saved_run.load(dataclasses.replace(asked, checkpoint=checkpoint), folder)
    if run.config.fid_split == "test" and not run.facts["num_test"]:
        flag = "--fid_split=test" if asked.fid_split else f"--protocol={asked.protocol}"
        raise UserError(
            f"{folder} has no test images, which {flag} measures against. Choose "
            "--protocol=low-shot, full, or --fid_split=train."
        )
    with saved_run.progress(of=saved_run.REALS) as report:
        if reals is None:
            reals = Reals(run.config, run.data, metrics, keep_all=asked.per_class, progress=report)
    with saved_run.progress() as report:
        record = evaluate(
            run,
            metrics,
            seeds=asked.seeds,
            per_class=asked.per_class,
            reals=reals,
            progress=report,
        )
    record["protocol"]["name"] = asked.protocol
    return record, reals


def _checkpoints(asked: Asked, folder: pathlib.Path) -> list[str]:
    if asked.checkpoint != "all":
        return [asked.checkpoint]
    from tf_diffaug.runs.checkpoints import checkpoints_by_step

    steps = list(checkpoints_by_step(folder))
    if not steps:
        raise UserError(f"{folder} has no checkpoint yet. Received: --checkpoint=all.")
    return steps


def _of_folders(asked: Asked, metrics: Sequence[str] | None) -> dict[str, Any]:
    from tf_diffaug import data
    from tf_diffaug.commands.evaluation_table import show
    from tf_diffaug.evaluation import extractor_for
    from tf_diffaug.runs.evaluate import evaluate_images

    fakes, reals = (
        data.load(str(path), resolution=asked.resolution, labels=False).images
        for path in asked.run_dirs
    )
    for path, images in zip(asked.run_dirs, (fakes, reals), strict=True):
        if len(images) < 2:
            raise UserError(f"{path} has {len(images)} image: a distance takes 2 of each or more.")
    extractor = extractor_for(asked.fid_features or "auto", str(asked.run_dirs[1]), reals.shape[1])
    if extractor is None:
        raise UserError("features are needed. Received: --fid_features=none.")
    with saved_run.progress() as report:
        record = evaluate_images(fakes, reals, metrics, extractor=extractor, progress=report)
    named = {f"{asked.run_dirs[0]} against {asked.run_dirs[1]}": record}
    show(named)
    return named


def _last_evaluations(asked: Asked) -> Mapping[str, dict[str, Any]]:
    from tf_diffaug.evaluation.fid import refuse_unlike
    from tf_diffaug.runs import RunDirectory
    from tf_diffaug.runs.saved import need_saved

    found: dict[str, dict[str, Any]] = {}
    for folder in asked.run_dirs:
        need_saved(folder)
        records = RunDirectory(folder).evaluated()
        if not records:
            raise UserError(f"{folder} was not evaluated yet: evaluate {folder} does.")
        record = records[-1]
        for other in found.values():
            refuse_unlike(other["protocol"], record["protocol"])
        found[f"{folder} step {record['step']:,}"] = record
    return found
