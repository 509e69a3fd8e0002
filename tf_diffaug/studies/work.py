"""Going through the cells of a study, in any number of processes, until each has its line."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence

from tqdm.auto import tqdm

from tf_diffaug.errors import UserError
from tf_diffaug.naming import nearest
from tf_diffaug.studies.results import Line, Place
from tf_diffaug.studies.study import Cell

# From a cell, its lock and a report of (step, metrics) to its line.
RunCell = Callable[[Cell, int, Callable[[int, Mapping[str, float]], None]], Line]


class CellFailure(RuntimeError):
    """A cell that has no result, for a reason that is not the recipe's; its text is one line."""


@dataclasses.dataclass
class Tally:
    """What became of the cells that were asked for."""

    done: int = 0
    before: int = 0
    elsewhere: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)


def in_order(cells: Iterable[Cell], first: Iterable[str]) -> list[Cell]:
    """The cells of these arms first, an arm's seeds together, so that contrasts are soon whole."""
    wanted = set(first)
    return sorted(cells, key=lambda cell: cell.arm.name not in wanted)


def only(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """The cells of arms that one of the patterns, such as `both *`, fits.

    Raises:
        UserError: naming the first pattern that fits none.
    """
    names = list(dict.fromkeys(cell.arm.name for cell in cells))
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            match = nearest(pattern, names)
            hint = f" Did you mean {match!r}?" if match else ""
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise UserError(
                f"no arm is named so.{hint} Choose from {shown}; * stands for anything. "
                f"Received: --only={','.join(patterns)}."
            )
    chosen = {name for pattern in patterns for name in fnmatch.filter(names, pattern)}
    return [cell for cell in cells if cell.arm.name in chosen]


def work(
    cells: Sequence[Cell],
    place: Place,
    run_cell: RunCell,
    *,
    steps: Mapping[str, int],
    say: Callable[[str], None],
) -> Tally:
    """Runs every cell that has no line and that no other process is at.

    A line is written as soon as its cell is done: whatever ends this, what is done is not done
    again, and what was begun goes on by the run's own resume.

    Args:
        cells: in order.
        place: where lines and locks are.
        run_cell: runs one.
        steps: of each cell by its key, for the bar.
        say: takes a line for the user.

    Raises:
        UserError: for a mistake in what was asked, which other cells would have too.
    """
    tally = Tally()
    lines = place.lines()
    total = sum(steps[cell.key] for cell in cells)
    done = sum(steps[cell.key] for cell in cells if cell.key in lines)
    looks = {"mininterval": 0.5, "dynamic_ncols": True, "unit": "step"}
    with tqdm(total=total, initial=done, **looks) as bar:
        for cell in cells:
            with place.claimed(cell) as lock:
                # It may be another study's too, or have been done by another process meanwhile.
                if cell.key in place.lines():
                    tally.before += cell.key in lines
                    tally.elsewhere += cell.key not in lines
                elif lock is None:
                    tally.elsewhere += 1
                else:
                    _run(cell, lock, place, run_cell, _Bar(bar, done, cell), tally, say)
            # Those of a cell that has its line already are counted.
            done += 0 if cell.key in lines else steps[cell.key]
            bar.update(done - bar.n)
    return tally


def _run(
    cell: Cell,
    lock: int,
    place: Place,
    run_cell: RunCell,
    report: _Bar,
    tally: Tally,
    say: Callable[[str], None],
) -> None:
    try:
        line = run_cell(cell, lock, report)
    except CellFailure as error:
        tally.failed.append(cell.title)
        say(f"{cell.title}: {error}")
        return
    place.add(line)
    tally.done += 1
    if line["diverged"]:
        say(f"{cell.title}: {line['outcome']}")


class _Bar:
    """Tells the bar of all cells how far the one at hand is."""

    def __init__(self, bar: tqdm, before: int, cell: Cell) -> None:
        self._bar, self._before = bar, before
        bar.set_description(cell.title, refresh=True)

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        self._bar.set_postfix(
            {name: f"{value:.4g}" for name, value in metrics.items()}, refresh=False
        )
        self._bar.update(max(self._before + step - self._bar.n, 0))
