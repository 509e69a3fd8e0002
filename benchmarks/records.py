"""How a benchmark says what it found: figures, printed, and kept as lines of JSON if asked for."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Figure:
    """One number of a table.

    Args:
        row, column: where it stands.
        value: the median of the rounds, or what was measured once.
        unit: empty for a ratio.
        spread: from where to where the rounds went, without the fifth of them at either end; None
            for what was measured once.
    """

    row: str
    column: str
    value: float
    unit: str = ""
    spread: tuple[float, float] | None = None

    @property
    def width(self) -> float | None:
        """Of the spread."""
        return self.spread and self.spread[1] - self.spread[0]


@dataclasses.dataclass(frozen=True)
class Missing:
    """What could not be measured here, and why."""

    what: str
    reason: str


def of_rounds(row: str, column: str, rounds: Sequence[float], unit: str = "") -> Figure:
    """The median of what the rounds gave, with their spread; of one round that alone."""
    value = statistics.median(rounds)
    cut = len(rounds) // 5
    inner = sorted(rounds)[cut : len(rounds) - cut]
    spread = (float(inner[0]), float(inner[-1])) if len(rounds) > 1 else None
    return Figure(row, column, float(value), unit, spread)


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """One number over the other, round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


class Recorder:
    """Prints figures as they are found, and adds them to a file.

    Args:
        path: the file, a line of JSON for each; None for none.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def add(self, row: str, column: str, found: float | Sequence[float], unit: str = "") -> Figure:
        """A figure: the numbers of all rounds, or what was measured once."""
        if isinstance(found, Sequence):
            figure = of_rounds(row, column, found, unit)
        else:
            figure = Figure(row, column, float(found), unit)
        print(f"{row:40} {column:40} {text(figure)}", flush=True)
        self._write(figure)
        return figure

    def missing(self, what: str, reason: str) -> None:
        """Something that could not be measured."""
        print(f"{what}: not measured: {reason}", flush=True)
        self._write(Missing(what, reason))

    def _write(self, line: Figure | Missing) -> None:
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps(dataclasses.asdict(line)) + "\n")


def add_flag(parser: argparse.ArgumentParser) -> None:
    """`--json`, whose value `Recorder` takes."""
    parser.add_argument("--json", type=Path, help="also add the figures to this file")


def read(path: Path) -> tuple[list[Figure], list[Missing]]:
    """What a `Recorder` wrote; nothing if there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    missing = [Missing(**line) for line in found if "reason" in line]
    return [*figures(line for line in found if "reason" not in line)], missing


def figures(lines: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> Iterator[Figure]:
    """Figures of what JSON made of them."""
    for line in lines:
        spread = line["spread"]
        yield Figure(**{**line, "spread": tuple(spread) if spread else None})


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 0.01 else f"{value:.2g}"


def text(figure: Figure) -> str:
    """The number with its unit and spread."""
    found = f"{number(figure.value)} {figure.unit}".rstrip()
    if figure.spread:
        found += f" ({number(figure.spread[0])} to {number(figure.spread[1])})"
    return found
