"""The lines of a study's results: one finished cell each, all that drawings and verdicts know."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tf_diffaug.errors import UserError
from tf_diffaug.files import made_folders, read_regular, write_atomically
from tf_diffaug.studies.registry import get_study
from tf_diffaug.studies.study import Arm, Cell, Study

Line = dict[str, Any]
# A score is the mean of so many evaluations, the last ones; "start:" takes as few of those before.
LAST, FIRST = 5, 2


class Place:
    """Where a scale's results and runs lie; every study of the scale shares them.

    Args:
        folder: of all scales.
        scale: which.
    """

    def __init__(self, folder: str | os.PathLike, scale: str) -> None:
        self.path = pathlib.Path(folder) / scale
        self.results = self.path / "results.jsonl"
        self.runs = self.path / "runs"

    def run_dir(self, cell: Cell) -> pathlib.Path:
        """The folder of a cell's run."""
        return self.runs / cell.run_name

    def log(self, cell: Cell) -> pathlib.Path:
        """What the commands of a cell said."""
        return self.runs / f"{cell.run_name}.log"

    def lines(self) -> dict[str, Line]:
        """The lines by the key of their cell; a last one that was cut short is none.

        Raises:
            UserError: if another line is damaged.
        """
        if not self.results.exists():
            return {}
        found = {}
        for number, text in enumerate(read_regular(self.results).split(b"\n")[:-1], 1):
            try:
                line = json.loads(text)
                found[line["cell"]] = line
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f"{self.results} is damaged: line {number} is no result. Mend or remove that "
                    f"line. Received: {text[:40]!r}."
                ) from None
        return found

    def add(self, line: Line) -> None:
        """Adds a line, whole, whoever else adds one.

        Raises:
            OSError: if it cannot be written.
        """
        with self._locked(self.path / "results.lock", wait=True):
            content = self.results.read_bytes() if self.results.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            write_atomically(self.results, whole + json.dumps(line).encode() + b"\n")

    @contextlib.contextmanager
    def claimed(self, cell: Cell) -> Iterator[int | None]:
        """Makes a cell this process's own; yields the lock, None if another process has it.

        A process that is given the lock keeps it when this one is killed.
        """
        with self._locked(self.runs / f"{cell.run_name}.lock", wait=False) as lock:
            yield lock

    @contextlib.contextmanager
    def _locked(self, path: pathlib.Path, *, wait: bool) -> Iterator[int | None]:
        with made_folders(path.parent):
            lock: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError as error:
                # Some network file systems have no locks: better an unguarded cell than none.
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    os.close(lock)
                    lock = None
        try:
            yield lock
        finally:
            if lock is not None:
                os.close(lock)


def line_of(
    cell: Cell,
    *,
    settings: Mapping[str, Any],
    versions: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    images: str | None = None,
    evaluation: Mapping[str, Any] | None = None,
    overlap: Mapping[str, Any] | None = None,
    diverged: str | None = None,
) -> Line:
    """One cell's line, ready for JSON.

    Args:
        cell: which.
        settings: of the run that differ from the defaults.
        versions: the software that it ran on.
        records: its metrics, training and evaluations in order.
        images: the fingerprint of those that it was trained on, where known.
        evaluation: what `evaluate` measured of the last checkpoint.
        overlap: what `overlap` did, see `overlap.json`.
        diverged: why there is no end, in the words of `train`.
    """
    evaluated = [record for record in records if record["kind"] == "eval"]
    return {
        "cell": cell.key,
        "study": cell.study.name,
        "scale": cell.scale,
        "arm": cell.arm.name,
        "seed": cell.seed,
        "outcome": "finished" if diverged is None else diverged,
        "diverged": diverged is not None,
        "step": records[-1]["step"] if records else 0,
        "recipe": dict(settings),
        "images": images,
        "curves": _curves(records, [record["step"] for record in evaluated]),
        "evaluation": dict((evaluation or {}).get("values", {})),
        "overlap": _ratios(overlap),
        "protocol": dict((evaluation or (evaluated or [{}])[-1]).get("protocol", {})),
        "versions": dict(versions),
    }


def _curves(
    records: Sequence[Mapping[str, Any]], steps: Sequence[int]
) -> dict[str, list[float | None]]:
    """By name a value for each evaluation; of what training records the mean since the last."""
    found: dict[int, dict[str, list[float]]] = {step: {} for step in steps}
    for record in records:
        at = next((step for step in steps if step >= record["step"]), None)
        if at is None or (record["kind"] == "eval" and record["step"] != at):
            continue
        for name, value in record.items():
            if isinstance(value, (int, float)) and name not in ("step", "images_per_second"):
                found[at].setdefault(name, []).append(value)
    names = dict.fromkeys(name for values in found.values() for name in values)
    curves = {
        name: [
            round(statistics.fmean(found[step][name]), 6) if name in found[step] else None
            for step in steps
        ]
        for name in names
    }
    return {"step": list(steps), **curves}


def _ratios(overlap: Mapping[str, Any] | None) -> dict[str, dict[str, list[float]]]:
    ratios: dict[str, dict[str, list[float]]] = {}
    for cell in (overlap or {}).get("cells", ()):
        ratios.setdefault(cell["op"], {})[f"{cell['strength']:g}"] = cell["ratio"]
    return ratios


class Results:
    """What the lines say of a study: values by arm and seed.

    Args:
        study: which.
        lines: by the key of their cell.
        scale: at which.
        seeds: None for all that any line has.
        more: see `Study.cells`.
    """

    def __init__(
        self,
        study: Study,
        lines: Mapping[str, Line],
        scale: str,
        seeds: Sequence[int] | None = None,
        *,
        more: str = "",
    ) -> None:
        self.study = study
        self.scale = scale
        if seeds is None:
            seeds = sorted({line["seed"] for line in lines.values()})
        cells = study.cells(scale, seeds, more=more)
        self._cells = {(cell.arm.name, cell.seed): cell for cell in cells if cell.key in lines}
        self._lines = {place: lines[cell.key] for place, cell in self._cells.items()}

    def __len__(self) -> int:
        return len(self._lines)

    def arms(self) -> list[Arm]:
        """The study's arms at this scale that have lines, in its order."""
        return [arm for arm in self.study.arms_at(self.scale) if self.lines(arm.name)]

    def cell(self, arm: str, seed: int) -> Cell:
        """One that has a line.

        Raises:
            KeyError: if it has none.
        """
        return self._cells[arm, seed]

    def lines(self, arm: str) -> dict[int, Line]:
        """An arm's lines, by seed."""
        return {seed: line for (name, seed), line in self._lines.items() if name == arm}

    def diverged(self, arm: str) -> int:
        """How many of an arm's runs came to no end."""
        return sum(line["diverged"] for line in self.lines(arm).values())

    def values(self, arm: str, metric: str) -> dict[int, float]:
        """An arm's values of a metric, by seed; see `value_of`."""
        found = {seed: value_of(line, metric) for seed, line in self.lines(arm).items()}
        return {seed: value for seed, value in found.items() if value is not None}


def by_study(lines: Mapping[str, Line], scale: str, *, more: str = "") -> Callable[[str], Results]:
    """From a study's name to what the lines say of it; arguments as of `Results`."""
    return lambda name: Results(get_study(name), lines, scale, more=more)


def value_of(line: Line, metric: str) -> float | None:
    """One number of a line, None if it has none, as of a run that diverged.

    Args:
        line: the line.
        metric: `fid`, or what else has a curve: the mean of its last 5 evaluations.
            `start:NAME`: of the first 2 that have it, the last 5 left out. `spread:NAME`: the
            deviation of the last 5. `end:NAME`: of the last checkpoint, over the seeds of
            `evaluate`. `overlap:OP:STRENGTH`: the median ratio.
    """
    if line["diverged"]:
        return None
    kind, _, name = metric.rpartition(":") if ":" in metric else ("", "", metric)
    if kind == "end":
        return line["evaluation"].get(name, {}).get("mean")
    if kind.startswith("overlap"):
        ratios = line["overlap"].get(kind.removeprefix("overlap:"), {}).get(name)
        return None if ratios is None else statistics.median(ratios)
    # Windows are of evaluations, whichever have a value: so early and late never overlap.
    curve = line["curves"].get(name, [])
    window = curve[:-LAST] if kind == "start" else curve[-LAST:]
    chosen = [value for value in window if value is not None]
    if kind == "spread":
        return statistics.stdev(chosen) if len(chosen) > 1 else None
    chosen = chosen[:FIRST] if kind == "start" else chosen
    return statistics.fmean(chosen) if chosen else None
