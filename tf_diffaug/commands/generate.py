"""`generate`: the images of a finished run as files, sheets and animations."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tf_diffaug.commands import saved_run
from tf_diffaug.commands.flags import Flag, listed
from tf_diffaug.errors import UserError

if TYPE_CHECKING:
    from tf_diffaug.runs import Run
    from tf_diffaug.runs.generate import ImageSource

SUMMARY = "write images of a run, grids, animations, and its nearest training images"
# The first is made first: what it needs, images and features, may be missing.
WHAT = {
    "nearest": ".png",
    "images": "",
    "grid": ".png",
    "classes": ".png",
    "truncation": ".png",
    "mixing": ".png",
    "interpolation": ".gif .webp",
    "class_interpolation": ".gif .webp",
}
_DEFAULT = ("images", "grid")
_LARGEST_GRID = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(saved_run.Asked):
    """What the user asked for; None is the run's own.

    Raises:
        UserError: if a value is out of its range.
    """

    what: tuple[str, ...] | None = None
    count: int = 64
    classes: tuple[str, ...] | None = None
    truncation: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(count=1)
        self.check_names("what", "picture", (*WHAT, "all"))
        if self.is_zip and self.what not in (None, ("images",)):
            raise UserError(
                "a zip holds images and nothing else: leave --what out, or give a folder. "
                f"Received: --out={self.out} --what={','.join(self.what)}."
            )

    @property
    def is_zip(self) -> bool:
        """Whether the images go to a zip."""
        return self.out is not None and str(self.out).lower().endswith(".zip")

    def folder(self, run: Run) -> pathlib.Path:
        """Where everything goes."""
        if self.out is not None:
            return self.out
        return self.run_dir / "generated" / f"step-{int(run.gan.step)}-seed-{run.seed}"


FLAGS = saved_run.flags(
    Flag(
        "what",
        listed,
        "images (a folder of PNG files), grid, classes (one a row), truncation (one a row), "
        "interpolation and class_interpolation (GIF and WebP), mixing (of styles), nearest "
        "(training images), several with commas between, or all that the run has",
        ",".join(_DEFAULT),
    ),
    Flag("count", int, "images; number i of a seed is the same at any count", "64"),
    Flag("classes", listed, "numbers or names, in turn; by default as in training", "auto"),
    Flag("truncation", float, "bound of z, or psi (stylegan2); by default as in the run", "auto"),
    out="folder, or FILE.zip for images; by default RUN_DIR/generated/step-STEP-seed-SEED",
    without=("num_fakes",),
)


HELP = """Writes images of a run: by default 64 PNG files and a grid of them.
Try: {0} runs/NAME, or {0} runs/NAME --what=all
{flags}"""
read = functools.partial(saved_run.read, Asked, FLAGS, command="generate")


def run(asked: Asked) -> None:
    """Restores the run and writes its pictures.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
        Failure: if the checkpoint cannot be restored.
    """
    from tf_diffaug.runs.generate import ImageSource

    with saved_run.mistakes(asked):
        loaded = saved_run.load(asked)
        source = ImageSource(loaded, classes=asked.classes, truncation=asked.truncation)
        folder = asked.folder(loaded)
        chosen = _chosen(asked, source)
        places = {what: _places(asked, folder, what) for what in chosen}
        saved_run.refuse_outputs(asked, *(path for paths in places.values() for path in paths))
        print(_how(source))
        for what, paths in places.items():
            with saved_run.progress() as report:
                _write(asked, source.replaced(progress=report), what, paths)
    written = [path for paths in places.values() for path in paths]
    print(_summary(asked, folder, written))


def _chosen(asked: Asked, source: ImageSource) -> list[str]:
    """The pictures to make; of all that there are, those that the run has."""
    from tf_diffaug.runs.generate import inability

    if asked.is_zip:
        return ["images"]
    chosen = []
    names = asked.what or _DEFAULT
    for what in (what for what in WHAT if what in names or "all" in names):
        reason = inability(source, what)
        if reason is None:
            chosen.append(what)
        elif "all" in names:
            print(f"No {what}. {reason}")
        else:
            raise UserError(f"{reason} Received: --what={','.join(names)}.")
    return chosen


def _places(asked: Asked, folder: pathlib.Path, what: str) -> list[pathlib.Path]:
    if asked.is_zip:
        return [folder]
    return [folder / f"{what}{suffix}" for suffix in WHAT[what].split() or [""]]


def _write(asked: Asked, source: ImageSource, what: str, paths: Sequence[pathlib.Path]) -> None:
    from tf_diffaug.runs import generate

    if what == "images":
        generate.save_images(source, paths[0], asked.count, overwrite=asked.overwrite)
        return
    options = {"count": min(asked.count, _LARGEST_GRID)} if what == "grid" else {}
    picture = getattr(generate, what)(source, **options)
    for path in paths:
        picture.save(path, overwrite=asked.overwrite)


def _how(source: ImageSource) -> str:
    """How the images are made, on one line, and on another what is otherwise than in the run."""
    config, gan = source.run.config, source.run.gan
    parts = [f"step {int(gan.step):,}", f"seed {source.seed}"]
    if config.eval_ema and gan.ema_generator is not None:
        parts.append("averaged weights")
    if source.truncation is not None:
        parts.append(f"truncation {source.truncation:g}")
    lines = [f"Images of {source.run.directory.path}: {', '.join(parts)}."]
    if config.eval_batch_norm == "batch":
        lines.append(
            "Batch norms use standing statistics, not a batch's as in the run's own samples: by "
            "these an image would depend on its neighbours."
        )
    return "\n".join(lines)


def _summary(asked: Asked, folder: pathlib.Path, written: Sequence[pathlib.Path]) -> str:
    if asked.is_zip:
        return f"In {folder}: {asked.count:,} PNG files."
    names = [
        f"{path.name}/ ({asked.count:,} PNG files)" if path.is_dir() else path.name
        for path in written
    ]
    return f"In {os.path.relpath(folder)}: {', '.join(names)}"
