"""`study`: the papers' figures and tables, run cell by cell, drawn and decided."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tf_diffaug.commands.flags import Flag, listed, read_flags, setting_flags
from tf_diffaug.errors import UserError, one_line, user_mistakes
from tf_diffaug.files import write_atomically
from tf_diffaug.naming import unknown
from tf_diffaug.studies.claim_values import claims_of
from tf_diffaug.studies.registry import STUDIES, get_study
from tf_diffaug.studies.results import Place, Results, by_study
from tf_diffaug.studies.study import SCALES, Cell, Study, images_name
from tf_diffaug.studies.work import Tally, in_order, only, work

if TYPE_CHECKING:
    from tf_diffaug.commands.cell import CellRunner

SUMMARY = "run the grids of the papers' figures and tables, draw them, decide their claims"
_MOST_SEEDS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user asked for.

    Raises:
        UserError: if a value is out of its range, or the study needs images.
    """

    name: str
    scale: str = "cpu"
    seeds: int | None = None
    only: tuple[str, ...] = ()
    draw: bool = False
    folder: pathlib.Path = pathlib.Path("studies")
    data_dir: str | None = None
    dataset: str | None = None
    more: str = ""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            received = f"--scale={self.scale}"
            raise UserError(unknown("scale", self.scale, SCALES, received=received))
        if self.seeds is not None and not 1 <= self.seeds <= _MOST_SEEDS:
            raise UserError(
                f"--seeds is how many, from 1 to {_MOST_SEEDS:,}. Received: --seeds={self.seeds}."
            )
        try:
            words = shlex.split(self.more)
        except ValueError:
            words = ["an open quote"]
        if not all("=" in word and not word.startswith("-") for word in words):
            raise UserError(
                "--more takes flags of train without dashes, as in --more='steps=9000 width=8'. "
                f"Received: --more={self.more}."
            )
        if self.study.needs and self.dataset is None:
            raise UserError(f"{self.name} is for images of your own: add {self.study.needs}.")

    @property
    def study(self) -> Study:
        """The study."""
        return get_study(self.name)

    @property
    def words(self) -> str:
        """What all cells have after their own flags."""
        own = [] if self.dataset is None else [shlex.quote(f"dataset={self.dataset}")]
        return " ".join([self.more, *own]).strip()

    @property
    def file_name(self) -> str:
        """What its drawings are called: the study, and the images where they are the user's."""
        if self.dataset is None:
            return self.name
        # As in the keys of lines: two that differ have pages of their own.
        return f"{self.name}-{images_name(self.dataset)}"

    def cells(self) -> list[Cell]:
        """Those that were asked for, those that claims need first."""
        seeds = None if self.seeds is None else range(self.seeds)
        cells = self.study.cells(self.scale, seeds, more=self.words)
        claimed = set().union(*(claim.arms(self.name) for claim in claims_of(self.name)))
        return in_order(only(cells, self.only) if self.only else cells, claimed)


FLAGS = (
    Flag("list", bool, "say what there is: cells and hours at each scale"),
    Flag("scale", str, "paper: as published; gpu: shorter; cpu: slim, minutes a cell", "cpu"),
    Flag("seeds", int, "how many seeds each recipe has", "3", ("auto",)),
    Flag("only", listed, "arms, such as none,'both *': with commas between", "all", ("all",)),
    Flag("draw", bool, "run nothing: draw and decide from the lines that there are"),
    Flag("folder", pathlib.Path, "where results, runs and drawings lie, by scale", "studies"),
    *(flag for flag in setting_flags() if flag.name == "data_dir"),
    Flag("dataset", str, "images for a study of your own, as in train", "auto", ("auto",)),
    Flag(
        "more",
        str,
        "flags of train, without dashes, for every cell: another recipe",
        "none",
        ("none",),
    ),
)
HELP = """Runs what a figure or table of the papers rests on, recipe by recipe and seed by seed.
Try: {0} --list, then {0} reals-only --data_dir=data
{flags}
Give the command again, or in several shells: what is done is not done again, and what was begun
goes on. Lines go to FOLDER/SCALE/results.jsonl, which figures and verdicts are made from."""


def read(arguments: Sequence[str]) -> Asked | None:
    """Reads a command line; None if what was asked for, the list, is printed.

    Raises:
        UserError: if it has a mistake.
    """
    given, rest = read_flags(FLAGS, arguments)
    if given.pop("list", False):
        print(describe())
        return None
    if len(rest) != 1:
        received = f"{len(rest)}: {' '.join(rest)}" if rest else "none"
        raise UserError(
            f"one study is needed, as in study reals-only; --list has them. Received: {received}."
        )
    get_study(rest[0])
    given = {name: value for name, value in given.items() if value is not None}
    return Asked(name=rest[0], **given)


def describe() -> str:
    """The text of `--list`."""
    blocks = []
    for study in STUDIES.values():
        lines = [f"{study.name}: {study.title}", f"    {study.source}"]
        for scale, setup in study.setups.items():
            hours = study.hours(scale)
            shown = "" if hours is None else f"about {hours:,.{0 if hours >= 10 else 1}f} h on "
            lines.append(f"    {scale:<6}{len(study.cells(scale)):>4} cells: {shown}{setup.basis}")
        blocks.append("\n".join(lines))
    note = (
        "Cells that two studies share are run once. Hours are of one machine, cell after cell.\n"
        "What overlap measures comes on top: 20 to 30 minutes a cell at the scale cpu, as seen."
    )
    return "\n\n".join([*blocks, note])


def run(asked: Asked) -> int:
    """Runs what is not done yet, then draws and decides; returns the exit code.

    Raises:
        UserError: for a mistake in what was asked.
    """
    from tf_diffaug.commands import FAILED, OK, STOPPED
    from tf_diffaug.commands.cell import CellRunner, Stopped, config_of, refuse_other_images

    place = Place(asked.folder, asked.scale)
    code = OK
    runner, cells = CellRunner(place, data_dir=asked.data_dir), asked.cells()
    with user_mistakes():
        refuse_other_images(cells, place, runner)
    if not asked.draw:
        # A mistake in any cell is said before the first is run.
        steps = {cell.key: config_of(cell, runner).steps for cell in cells}
        try:
            with user_mistakes(), _handled(runner):
                tally = work(cells, place, runner, steps=steps, say=_say)
        except Stopped:
            print("Stopped and saved; the same command goes on.")
            return STOPPED
        print(_tally_words(tally, len(cells)))
        code = FAILED if tally.failed else OK
    with user_mistakes():
        write(asked, place)
    return code


@contextlib.contextmanager
def _handled(runner: CellRunner) -> Iterator[None]:
    """Within it, a signal is the running cell's, which saves before it ends."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, runner.stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    from tqdm.auto import tqdm

    tqdm.write(text, file=sys.stderr)


def _tally_words(tally: Tally, count: int) -> str:
    told = [f"{tally.done} of {count} cells run", f"{tally.before} were done before"]
    if tally.elsewhere:
        told.append(f"{tally.elsewhere} are another process's")
    if tally.failed:
        told.append(f"{len(tally.failed)} failed: {', '.join(tally.failed)}")
    return "; ".join(told) + "."


def write(asked: Asked, place: Place, *, samples: bool = True) -> None:
    """Draws and decides from the lines, and says where.

    Args:
        asked: for which study.
        place: where its lines are.
        samples: False leaves the samples out, of images that are not to be shown.

    Raises:
        UserError: if there is no line yet, a sheet of samples is damaged, or there is no library to
            draw with.
    """
    from tf_diffaug.studies.page import page

    results_of = by_study(place.lines(), asked.scale, more=asked.words)
    results = results_of(asked.name)
    if not len(results):
        raise UserError(
            f"{place.results} has no line of {asked.name} yet: run it without --draw first."
        )
    pictures = _write_pictures(results, place, asked.file_name, samples=samples)
    write_atomically(place.path / f"{asked.file_name}.md", page(results, results_of, pictures))
    for claim in claims_of(asked.name):
        print(f"  {claim.number:<3} {claim.verdict(results_of).verdict:<14} {claim.text}")
    print(f"In {place.path}: {', '.join([f'{asked.file_name}.md', *pictures])}")


def _write_pictures(results: Results, place: Place, name: str, *, samples: bool) -> list[str]:
    """Draws what the lines and runs show; the names of the pictures that there are."""
    try:
        from tf_diffaug.studies.figures import draw
        from tf_diffaug.studies.samples import draw_samples
    except ModuleNotFoundError as error:
        raise UserError(one_line(error)) from error
    drawn = draw(results)
    if samples:
        drawn["samples"] = draw_samples(results, place)
    pictures = []
    for kind, content in drawn.items():
        picture = place.path / (f"{name}.png" if kind == "results" else f"{name}-{kind}.png")
        if content is not None:
            write_atomically(picture, content)
        # Samples were drawn before, where the runs are no longer there.
        if picture.exists():
            pictures.append(picture.name)
    return pictures
