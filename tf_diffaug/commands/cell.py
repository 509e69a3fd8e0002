"""One cell of a study: its commands, `train`, `evaluate` and `overlap`, each a process of its own.

A process that trains one GAN after the other grows by what TensorFlow keeps of each.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tf_diffaug.commands import FAILED, OK, STOPPED, USER_ERROR
from tf_diffaug.errors import UserError
from tf_diffaug.runs.config import Config, fields
from tf_diffaug.runs.directory import RunDirectory
from tf_diffaug.runs.saved import read_saved
from tf_diffaug.studies.results import Line, Place, line_of
from tf_diffaug.studies.study import Cell
from tf_diffaug.studies.work import CellFailure

Report = Callable[[int, Mapping[str, float]], None]
_DIVERGED = re.compile(r"Training failed in step ([\d,]+): ([^.\n]+)\.")
_SHARE = re.compile(rb"(\d+)%\|")
_LOOK = 1.0  # seconds between looks at how far a run is
_TAIL = 4096


class Stopped(Exception):
    """A signal ended the cell after it had saved; the same command goes on."""


class CellRunner:
    """Runs cells, each to its line.

    Args:
        place: where runs and results lie.
        data_dir: where CIFAR's files are.
        program: what the commands are commands of.
    """

    def __init__(
        self,
        place: Place,
        *,
        data_dir: str | None = None,
        program: Sequence[str] = (sys.executable, "-m", "tf_diffaug"),
    ) -> None:
        self._place = place
        self._data = [] if data_dir is None else [f"--data_dir={data_dir}"]
        self._program = program
        self._signals: list[int] = []
        self._child: subprocess.Popen | None = None

    def __call__(self, cell: Cell, lock: int, report: Report) -> Line:
        """Trains, measures and returns the cell's line.

        Raises:
            UserError: for a mistake in what was asked.
            CellFailure: if a command failed for another reason than a loss that is not finite.
            Stopped: if a signal asked for it.
        """
        run = RunDirectory(self._place.run_dir(cell))
        said = self._do(cell, lock, self.train_flags(cell), lambda: _tell(run, report))
        diverged = _DIVERGED.search(said)
        overlap = run.path / "overlap" / "overlap.json"
        if diverged is None:
            self._measure(cell, lock, run, overlap, report)
        return self._line(cell, RunDirectory(run.path), overlap, diverged)

    def train_flags(self, cell: Cell) -> list[str]:
        """The command that trains it."""
        flags = [f"--{name}={value}" for name, value in cell.flags.items()]
        own = [f"--run_dir={self._place.run_dir(cell)}", "--noreport"]
        return ["train", *flags, *self._data, *own]

    def stop(self, number: int, frame: Any = None) -> None:
        """What a signal does: the child saves and ends; a second one ends it at once."""
        del frame
        self._signals.append(number)
        if self._child is not None:
            kind = signal.SIGTERM if len(self._signals) == 1 else signal.SIGKILL
            self._child.send_signal(kind)

    def _line(
        self, cell: Cell, run: RunDirectory, overlap: pathlib.Path, diverged: re.Match | None
    ) -> Line:
        saved = read_saved(run.path) or {"settings": {}, "versions": {}}
        evaluations = run.evaluated()
        return line_of(
            cell,
            settings=_told(saved["settings"]),
            versions=saved["versions"],
            records=run.records(),
            images=_images_of(saved),
            evaluation=evaluations[-1] if evaluations and diverged is None else None,
            overlap=json.loads(overlap.read_text()) if overlap.exists() else None,
            diverged=diverged and f"diverged at step {diverged[1]}: {diverged[2]}",
        )

    def _measure(
        self, cell: Cell, lock: int, run: RunDirectory, overlap: pathlib.Path, report: Report
    ) -> None:
        """Measures what a run came to, unless it is known, and reports how far that is."""
        step = run.records()[-1]["step"]
        commands = {}
        if not any(one["step"] == step for one in run.evaluated()):
            commands["evaluate"] = [f"--{name}={value}" for name, value in cell.measured.items()]
        if cell.study.overlap and not overlap.exists():
            commands["overlap"] = [f"--{word}" for word in cell.study.overlap.split()]
        log = self._place.log(cell)
        for name, flags in commands.items():
            tell = functools.partial(_tell_share, log, log.stat().st_size, step, name, report)
            self._do(cell, lock, [name, str(run.path), *flags, *self._data], tell)

    def _do(
        self,
        cell: Cell,
        lock: int,
        arguments: Sequence[str],
        tell: Callable[[], None] = lambda: None,
    ) -> str:
        """Runs a command to its end; returns the last of what it said."""
        if self._signals:
            raise Stopped
        log = self._place.log(cell)
        with open(log, "ab") as file:
            start = file.tell()
            # In a session of its own the terminal's Ctrl-C does not reach it twice; with the lock
            # the cell stays taken for as long as the command runs, should this process be killed.
            self._child = subprocess.Popen(
                [*self._program, *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,
            )
            if self._signals:  # one came before there was a child
                self._child.terminate()
            while self._child.poll() is None:
                time.sleep(_LOOK if not self._signals else 0.1)
                tell()
        code, self._child = self._child.returncode, None
        said = log.read_bytes()[start:].decode(errors="replace")
        if self._signals or code == STOPPED:
            raise Stopped
        last = said.strip().replace("\r", "\n").splitlines()[-1:] or ["nothing was said"]
        if code == USER_ERROR:
            raise UserError(f"{cell.title}: {last[0]}")
        if code != OK and not (code == FAILED and _DIVERGED.search(said)):
            raise CellFailure(f"{arguments[0]} ended with {code}: {last[0]} (all: {log})")
        return said


def _told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run that differ from the defaults, but for where things lie."""
    default = {name: field.default for name, field in fields().items()}
    beside = ("run_dir", "data_dir", "report")
    told = {n: v for n, v in settings.items() if n not in beside and v != default[n]}
    if str(told.get("dataset", "")).startswith(("folder:", "packed:")):
        kind, _, path = told["dataset"].partition(":")
        told["dataset"] = f"{kind}:{pathlib.Path(path).name}"
    return told


def _tell(run: RunDirectory, report: Report) -> None:
    """Reports the last step of a run that is written to, and what was last measured."""
    try:
        lines = _tail(run.metrics).split(b"\n")[1:-1]
    except OSError:  # nothing is written yet
        return
    records = [json.loads(line) for line in lines]
    fids = [record["fid"] for record in records if "fid" in record]
    if records:
        report(records[-1]["step"], {"FID": fids[-1]} if fids else {})


def _tell_share(log: pathlib.Path, start: int, step: int, command: str, report: Report) -> None:
    """Reports how far a command is: the last bar after its place in the log, in percent."""
    shares = _SHARE.findall(_tail(log, start))
    if shares:
        report(step, {f"{command} %": float(shares[-1])})


def _tail(path: pathlib.Path, start: int = 0) -> bytes:
    """The last of a file that is written to, of what lies after the start."""
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - _TAIL, start))
        return file.read()


def _images_of(saved: Mapping[str, Any] | None) -> str | None:
    return (saved or {}).get("data", {}).get("fingerprint")


def refuse_other_images(cells: Sequence[Cell], place: Place, runner: CellRunner) -> None:
    """Checks that what there is of these cells is of the user's images, not of others so called.

    What has no fingerprint is taken to be, and all is where the images are no longer there.

    Args:
        cells: that were asked for.
        place: where their lines and runs are.
        runner: whose flags tell where the images lie.

    Raises:
        UserError: if there are other images, or these cannot be read.
    """
    lines, known = place.lines(), {}
    for cell in cells:
        line = lines.get(cell.key)
        before = line.get("images") if line else _images_of(read_saved(place.run_dir(cell)))
        config = config_of(cell, runner) if before else None
        if config is None or not config.is_folder:
            continue
        if not os.path.exists(os.path.expanduser(config.images_path)):
            continue
        from tf_diffaug.runs import parts, settle

        config = settle(config).config
        # Arms and seeds mostly share their images, which take a while to read.
        asked = tuple(getattr(config, name) for name in parts.OF_IMAGES)
        if asked not in known:
            known[asked] = parts.load_data(config).fingerprint
        if known[asked] != before:
            kind = "the result" if line else "an unfinished run"
            raise UserError(
                f"{place.path} has {kind} of {cell.title} of other images of the same name. Give "
                f"these another --folder. Received: --dataset={cell.flags['dataset']}."
            )


def config_of(cell: Cell, runner: CellRunner) -> Config:
    """The settings that a cell's command comes to.

    Raises:
        UserError: if it has a mistake.
    """
    from tf_diffaug.commands import train

    return train.read(runner.train_flags(cell)[1:]).config
