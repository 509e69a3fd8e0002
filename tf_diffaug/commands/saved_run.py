"""What the commands on finished runs share: flags, checks, the run itself, places for results.

Such a command asks for a frozen dataclass that extends `Asked`, and reads no config.json itself:

    @dataclasses.dataclass(frozen=True)
    class Asked(saved_run.Asked):
        repeats: int = 5

    FLAGS = saved_run.flags(Flag("repeats", int, "how often", "5"), out="a .json file")
    read = functools.partial(saved_run.read, Asked, FLAGS, command="measure")

    def run(asked):
        with saved_run.mistakes(asked):
            saved_run.refuse_outputs(asked, asked.run_dir / "measured.json")
            run = saved_run.load(asked)
            evaluator = saved_run.evaluator_of(run)
            with saved_run.progress() as report:
                ...

Refusals come first and the run after them: restoring one takes seconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tf_diffaug.commands.flags import Flag, read_flags
from tf_diffaug.commands.resolve import as_flags
from tf_diffaug.errors import UserError, user_mistakes
from tf_diffaug.naming import unknown
from tf_diffaug.runs.config import fields
from tf_diffaug.runs.settings import unset_words

if TYPE_CHECKING:
    from tf_diffaug.runs import Run
    from tf_diffaug.runs.evaluator import Evaluator


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """Which runs, in which state, measured how, and where results go; None is the run's own.

    Args:
        run_dirs: the folders of the runs, one at least.
        checkpoint: `newest`, `best` (by the run's `best_by`) or the number of a step.
        num_fakes: how many fakes a measurement takes.
        fid_features: what makes the features.
        seed: of the fakes.
        dataset: where the images lie now, `folder:PATH` or `packed:PATH`.
        data_dir: where CIFAR's files lie now.
        out: where results go; each command says what it is.
        overwrite: whether what is there may be replaced.

    Raises:
        UserError: if a value is out of its range.
    """

    run_dirs: tuple[pathlib.Path, ...]
    checkpoint: str = "newest"
    num_fakes: int | None = None
    fid_features: str | None = None
    seed: int | None = None
    dataset: str | None = None
    data_dir: str | None = None
    out: pathlib.Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        self.check_least(num_fakes=2, seed=0)
        if self.checkpoint not in ("newest", "best") and not self.checkpoint.isdecimal():
            raise UserError(
                f"--checkpoint is newest, best or a step. Received: --checkpoint={self.checkpoint}."
            )

    def check_least(self, **least: int) -> None:
        """Checks that values, where given, are no less than these.

        Raises:
            UserError: naming the first that is.
        """
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise UserError(f"--{name} must be at least {bound}. Received: --{name}={value}.")
            if value is not None and value >= 1 << 63:
                raise UserError(
                    f"--{name} must be a number of at most 64 bits. Received: --{name}={value}."
                )

    def check_names(self, flag: str, what: str, choices: Iterable[str]) -> None:
        """Checks that names, where given, are among these.

        Raises:
            UserError: naming the first that is not.
        """
        names = getattr(self, flag) or ()
        for name in names:
            if name not in choices:
                received = f"--{flag}={','.join(names)}"
                raise UserError(unknown(what, name, choices, received=received))

    @property
    def run_dir(self) -> pathlib.Path:
        """The folder of the run, of a command that takes one."""
        return self.run_dirs[0]

    @property
    def replaced(self) -> dict[str, Any]:
        """The settings of the run that were given anew."""
        names = ("num_fakes", "fid_features", "dataset", "data_dir")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_DATA_DIR = unset_words(fields()["data_dir"])
# Of a large set this takes minutes, before anything else is seen.
REALS = "Features of the real images"
AnyAsked = TypeVar("AnyAsked", bound=Asked)


def flags(*own: Flag, out: str, without: Sequence[str] = ()) -> tuple[Flag, ...]:
    """The flags of a command: its own, then those of every command on a finished run.

    Args:
        *own: the command's, each the name of a field of its `Asked`.
        out: what `--out` is, with its default.
        without: shared flags that mean nothing to the command, such as `num_fakes`.
    """
    shared = (
        Flag("checkpoint", str, "newest, best (by the run's --best_by) or a step", "newest"),
        Flag("num_fakes", int, "fakes that are measured; by default as in the run", "auto"),
        Flag("fid_features", str, "makes the features; by default as in the run", "auto"),
        Flag("seed", int, "of all that is drawn; by default the run's", "auto"),
        Flag("dataset", str, "folder:PATH or packed:PATH, if the images lie elsewhere now", "auto"),
        Flag("data_dir", str, "where CIFAR's files are, if elsewhere now", "auto", _DATA_DIR),
        Flag("out", pathlib.Path, out, "auto"),
        Flag("overwrite", bool, "replace what is there"),
    )
    known = (*own, *(flag for flag in shared if flag.name not in without))
    return tuple(
        f._replace(unset=f.unset or ("auto",)) if f.default == "auto" else f for f in known
    )


def read(
    asked: type[AnyAsked],
    known: Sequence[Flag],
    arguments: Sequence[str],
    *,
    command: str,
    several: bool = False,
) -> AnyAsked:
    """Reads a command line: flags, and the folder of a run.

    Args:
        asked: what is made of it.
        known: the command's flags, see `flags`.
        arguments: what was typed.
        command: the command's name, for messages.
        several: whether it takes more than one run.

    Raises:
        UserError: if it has a mistake.
    """
    given, rest = read_flags(known, arguments)
    if not rest or (len(rest) > 1 and not several):
        received = f"{len(rest)}: {' '.join(rest)}" if rest else "none"
        count = "at least one RUN_DIR is" if several else "one RUN_DIR is"
        raise UserError(f"{count} needed, as in {command} runs/NAME. Received: {received}.")
    return asked(run_dirs=tuple(map(pathlib.Path, rest)), **given)


def mistakes(asked: Asked) -> contextlib.AbstractContextManager[None]:
    """Within it, what the library says of the user's mistakes is one line, in words of flags."""
    return user_mistakes(functools.partial(as_flags, asked))


def refuse_outputs(asked: Asked, *outputs: pathlib.Path) -> None:
    """Refuses places that results cannot or must not be written to, before anything is measured.

    Args:
        asked: whether they may be replaced.
        *outputs: files, or folders; one that is there and empty is free.

    Raises:
        UserError: naming the first such place.
    """
    for output in outputs:
        folder = output.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise UserError(f"cannot write to {output}. Choose another --out.")
        there = any(output.iterdir()) if output.is_dir() else output.exists()
        if there and not asked.overwrite:
            raise UserError(f"{output} exists. Add --overwrite, or choose another --out.")


def load(asked: Asked, run_dir: pathlib.Path | None = None) -> Run:
    """The run with the weights and settings asked for.

    Args:
        asked: these.
        run_dir: which of several; by default the first.

    Raises:
        UserError: if there is no such run or checkpoint.
        Failure: if the checkpoint cannot be restored.
    """
    from tf_diffaug.runs import load_run

    folder = asked.run_dir if run_dir is None else run_dir
    return load_run(folder, checkpoint=asked.checkpoint, seed=asked.seed, **asked.replaced)


def evaluator_of(run: Run) -> Evaluator:
    """What measures the run as in training, its features and reals ready.

    Raises:
        UserError: if the run measures none, and none was asked for.
        ValueError: if features or images cannot be had.
    """
    with progress(of=REALS) as report:
        evaluator = run.evaluator(report)
    if evaluator is None:
        raise UserError(
            f"{run.directory.path} has no FID features: add --fid_features=inception, say."
        )
    return evaluator


@contextlib.contextmanager
def progress(unit: str = "image", *, of: str | None = None) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, told how much is done and of how much in all.

    There is none of what is done when it is first told of, as what comes from a cache.

    Args:
        unit: what is counted.
        of: what stands before the bar.
    """
    from tqdm.auto import tqdm

    with contextlib.ExitStack() as stack:
        bar = None

        def report(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and done < total:
                looks = {"unit_scale": True, "mininterval": 0.5, "dynamic_ncols": True}
                bar = stack.enter_context(tqdm(desc=of, total=total, unit=unit, **looks))
            if bar is not None:
                bar.total = total
                bar.update(done - bar.n)

        yield report
