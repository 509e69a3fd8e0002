"""The record of all benchmarks, what moved since the one before, and the page made of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import jinja2

from benchmarks import records
from benchmarks.records import Figure, Missing
from tf_diffaug.files import write_atomically

JSON, PAGE = "benchmarks.json", "benchmarks.md"
# Of what it was: what a median of rounds, and a figure of one measurement, may move at least.
LEAST, ALONE = 0.05, 0.10
# The share of the cores from which on other work is worth a word.
BUSY = 0.05


@dataclasses.dataclass(frozen=True)
class Entry:
    """One benchmark of a record.

    Args:
        name, title, meaning: as in the plan.
        settings: the flags that the figures depend on; others are not held against them.
        command: what ran.
        date, seconds: when, and how long; None if it has never run.
        busy: the share of the cores that other work took; None where that can't be told.
        error: why it failed; None if it did not.
        figures, missing: what it found.
        before: the figures that it found the last time that it found any.
        before_date: when that was; None if never.
    """

    name: str
    title: str
    meaning: str
    settings: str
    command: str
    date: str | None
    seconds: float | None
    busy: float | None = None
    error: str | None = None
    figures: list[Figure] = dataclasses.field(default_factory=list)
    missing: list[Missing] = dataclasses.field(default_factory=list)
    before: list[Figure] = dataclasses.field(default_factory=list)
    before_date: str | None = None

    def after(self, earlier: Entry | None) -> Entry:
        """The same, with what an earlier entry found."""
        if earlier is None or earlier.settings != self.settings:
            return self
        if earlier.figures:
            found = {"before": earlier.figures, "before_date": earlier.date}
        else:
            found = {"before": earlier.before, "before_date": earlier.before_date}
        return dataclasses.replace(self, **found)

    def moves(self) -> Iterator[tuple[Figure, Figure, str]]:
        """Every figure that moved, what it was, and the mark."""
        for figure in self.figures:
            was = self.was(figure)
            if was and (mark := moved(figure, was)):
                yield figure, was, mark

    def was(self, figure: Figure) -> Figure | None:
        """What a figure was before."""
        key = figure.row, figure.column, figure.unit
        return next((f for f in self.before if (f.row, f.column, f.unit) == key), None)

    def tables(self) -> list[tuple[list[str], dict[str, dict[str, Figure]]]]:
        """Columns, and rows of figures by column: a table for all rows that share a column."""
        rows: dict[str, dict[str, Figure]] = {}
        for figure in self.figures:
            rows.setdefault(figure.row, {})[figure.column] = figure
        found: list[tuple[list[str], dict[str, dict[str, Figure]]]] = []
        for row, cells in rows.items():
            shared = (table for table in found if {*table[0]} & {*cells})
            columns, lines = next(shared, ([], {}))
            if not lines:
                found.append((columns, lines))
            columns += [column for column in cells if column not in columns]
            lines[row] = cells
        return found


@dataclasses.dataclass(frozen=True)
class Record:
    """What one run of all benchmarks found, and where.

    Args:
        command: of the run.
        date: of its start.
        machine, versions: what they are of, by name.
        entries: one for each benchmark.
        before: date, machine and versions of the record before, if they were others.
    """

    command: str
    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    entries: list[Entry]
    before: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """The names of those that failed."""
        return [entry.name for entry in self.entries if entry.error]

    def entry(self, name: str) -> Entry | None:
        """That of a benchmark."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def differences(self, earlier: Record) -> dict[str, str]:
        """What is of another machine or version there, as it was."""
        here, there = self.machine | self.versions, earlier.machine | earlier.versions
        keys = {**here, **there}
        return {key: there.get(key, "none") for key in keys if here.get(key) != there.get(key)}


def moved(now: Figure, was: Figure) -> str:
    """An arrow if a figure moved by more than the wider spread of the two, else nothing."""
    widths = [figure.width for figure in (now, was) if figure.width is not None]
    least = (LEAST if widths else ALONE) * abs(was.value)
    if abs(now.value - was.value) <= max([least, *widths]):
        return ""
    return "↑" if now.value > was.value else "↓"


def cell(entry: Entry, figure: Figure | None) -> str:
    """A figure beside what it was."""
    if figure is None:
        return ""
    was = entry.was(figure)
    if was is None:
        return records.text(figure)
    mark = moved(figure, was)
    before = f"was {records.number(was.value)}"
    return f"{records.text(figure)}, " + (f"**{before} {mark}**" if mark else before)


def read(folder: Path) -> Record | None:
    """The record in a folder; None if there is none.

    Raises:
        ValueError: if the file is no record.
    """
    path = folder / JSON
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        entries = [
            Entry(
                **{
                    **entry,
                    "figures": [*records.figures(entry["figures"])],
                    "before": [*records.figures(entry["before"])],
                    "missing": [Missing(**each) for each in entry["missing"]],
                }
            )
            for entry in found["entries"]
        ]
        return Record(**{**found, "entries": entries})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is no record of benchmarks ({error!r}): restore or remove it."
        ) from error


def write(record: Record, folder: Path) -> None:
    """Writes the record and its page."""
    lines = json.dumps(dataclasses.asdict(record), indent=1, ensure_ascii=False)
    write_atomically(folder / JSON, lines + "\n")
    write_atomically(folder / PAGE, render(record))


def render(record: Record) -> str:
    """The page, in Markdown."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, of what our own scripts said
    )
    text = Path(__file__).with_name("page.md.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(
        record=record,
        compared=any(entry.before for entry in record.entries),
        moves=any([*entry.moves()] for entry in record.entries),
        cell=cell,
        number=records.number,
        LEAST=LEAST,
        ALONE=ALONE,
        BUSY=BUSY,
    )
