"""The record of the benchmarks, what moved, and the page."""

import dataclasses
import json

import pytest

from benchmarks import page
from benchmarks.page import Entry, Record
from benchmarks.records import Figure, Missing


def figure(value, low=None, high=None, row="cutout", column="passes", unit=""):
    return Figure(row, column, value, unit, None if low is None else (low, high))


def entry(name="augment", **given):
    common = {
        "title": "Augmentation",
        "meaning": "Times.",
        "settings": "--repeats=3",
        "command": "python benchmarks/augment.py --repeats=3",
        "date": "2026-02-03",
        "seconds": 12.3,
    }
    return Entry(name=name, **{**common, **given})


def record(*entries, **given):
    common = {
        "command": "python -m benchmarks",
        "date": "2026-02-03",
        "machine": {"processor": "Z80", "cores": "2"},
        "versions": {"Python": "3.11.2"},
    }
    return Record(entries=[*entries], **{**common, **given})


@pytest.mark.parametrize(
    ("now", "was", "mark"),
    [
        # Within the wider of the spreads, and beyond.
        (figure(1.2, 1.1, 1.3), figure(1.0, 0.9, 1.2), ""),
        (figure(1.4, 1.3, 1.5), figure(1.0, 0.9, 1.1), "↑"),
        (figure(1.0, 0.99, 1.01), figure(1.4, 1.39, 1.41), "↓"),
        (figure(1.4, 1.0, 1.8), figure(1.0, 0.99, 1.01), ""),
        # However narrow the spread, a twentieth is nothing; and a tenth of one measurement.
        (figure(1.04, 1.04, 1.04), figure(1.0, 1.0, 1.0), ""),
        (figure(1.06, 1.06, 1.06), figure(1.0, 1.0, 1.0), "↑"),
        (figure(1.09), figure(1.0), ""),
        (figure(1.11), figure(1.0), "↑"),
        (figure(0.0), figure(0.0), ""),
    ],
)
def test_what_moved(now, was, mark):
    assert page.moved(now, was) == mark


def test_figures_are_held_against_the_entry_before():
    first = entry(figures=[figure(1.0, 0.9, 1.1)], date="2026-01-01")
    second = entry(figures=[figure(2.0, 1.9, 2.1), figure(5.0, column="new")]).after(first)
    assert second.before_date == "2026-01-01"
    assert [(now.value, was.value, mark) for now, was, mark in second.moves()] == [(2.0, 1.0, "↑")]
    cells = [page.cell(second, figure) for figure in second.figures]
    assert cells == ["2.00 (1.90 to 2.10), **was 1.00 ↑**", "5.00"]
    assert page.cell(second, None) == ""
    # Units and settings have to be the same.
    assert not second.was(figure(2.0, unit="ms"))
    assert entry(settings="--repeats=5").after(first).before == []
    assert entry().after(None) == entry()


def test_an_entry_that_failed_hands_the_figures_before_it_on():
    first = entry(figures=[figure(1.0)], date="2026-01-01")
    failed = entry(error="it ended with 1: no", date="2026-01-02").after(first)
    third = entry(figures=[figure(1.0)], date="2026-01-03").after(failed)
    assert third.before == first.figures
    assert third.before_date == "2026-01-01"


def test_rows_that_share_a_column_are_one_table():
    cells = [("a", "x"), ("a", "y"), ("b", "y"), ("b", "z"), ("c", "other")]
    figures = [figure(1.0, row=row, column=column) for row, column in cells]
    first, second = entry(figures=figures).tables()
    assert (first[0], [*first[1]]) == (["x", "y", "z"], ["a", "b"])
    assert (second[0], [*second[1]]) == (["other"], ["c"])


def test_a_record_is_read_as_it_was_written(tmp_path):
    found = record(
        entry(figures=[figure(1.0, 0.9, 1.1)], missing=[Missing("torch", "none")], busy=0.25),
        entry(
            "packed", error="it ended with 1: no", before=[figure(3.0)], before_date="2025-12-31"
        ),
        before={"Python": "3.10.1"},
    )
    page.write(found, tmp_path)
    assert page.read(tmp_path) == found
    assert (tmp_path / page.PAGE).read_text() == page.render(found)
    assert sorted(path.name for path in tmp_path.iterdir()) == [page.JSON, page.PAGE]
    assert page.read(tmp_path / "none") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"entries": [{}]}', '{"entries": 3}'])
def test_what_is_no_record_is_said(tmp_path, text):
    (tmp_path / page.JSON).write_text(text)
    with pytest.raises(ValueError, match="restore or remove"):
        page.read(tmp_path)


def test_differences_of_machine_and_versions():
    here = record(versions={"Python": "3.11.2", "PyTorch": "2.13"})
    there = record(machine={"processor": "6502", "cores": "2"})
    assert here.differences(there) == {"processor": "6502", "PyTorch": "none"}
    assert here.differences(here) == {}


PAGE = """\
# Benchmarks

| | |
|---|---|
| date | 2026-02-03 |
| processor | Z80 |
| cores | 2 |
| Python | 3.11.2 |

The record before differs: Python 3.10.1; processor 6502.

## What moved

- Augmentation, cutout, passes: 2.00, was 1.00 on 2026-01-01 ↑

Failed: packed.

## Augmentation

Times.

`python benchmarks/augment.py --repeats=3`, 2026-02-03, 12 s. BUSY Before: 2026-01-01.

| | passes | a step |
|---|---|---|
| cutout | 2.00 (1.90 to 2.10), **was 1.00 ↑** |  |
| flip | 3.00 | 4.00 ms |

Not measured: PyTorch: no --torch_python was given

## Packed data

Rates.

`python benchmarks/augment.py --repeats=3`, 2026-02-03, 12 s.

Failed: it ended with 1: no

## Loop

Steps.

`python benchmarks/augment.py --repeats=3`.

Not measured: all of it: it was left out
"""


def test_the_page():
    first = entry(figures=[figure(1.0, 0.9, 1.1)], date="2026-01-01")
    figures = [figure(2.0, 1.9, 2.1), figure(3.0, row="flip")]
    figures.append(figure(4.0, row="flip", column="a step", unit="ms"))
    missing = [Missing("PyTorch", "no --torch_python was given")]
    none = [Missing("all of it", "it was left out")]
    text = page.render(
        record(
            entry(figures=figures, missing=missing, busy=0.25).after(first),
            entry("packed", title="Packed data", meaning="Rates.", error="it ended with 1: no"),
            entry("loop", title="Loop", meaning="Steps.", date=None, seconds=None, missing=none),
            before={"Python": "3.10.1", "processor": "6502"},
        )
    )
    heading, how, rest = text.split("\n\n", 2)
    assert "`python -m benchmarks`" in how
    assert "5 %" in how
    busy = "The machine was busy: other work took 25 % of its cores."
    assert f"{heading}\n\n{rest}" == PAGE.replace("BUSY", busy)


def test_a_page_where_nothing_moved():
    first = entry(figures=[figure(1.0)])
    text = page.render(record(entry(figures=[figure(1.0)]).after(first)))
    assert "## What moved\n\nNothing.\n" in text
    assert "**" not in text
    assert "busy" not in text
    alone = page.render(record(entry(figures=[figure(1.0)], busy=0.01)))
    assert "Nothing to compare with" in alone
    assert "busy" not in alone


def test_the_record_in_the_repository_makes_its_page():
    """No one edits the page, nor the record without the page."""
    docs = page.Path(page.__file__).parents[1] / "docs"
    found = page.read(docs)
    if found is None:
        pytest.skip("there is no record yet")
    assert (docs / page.PAGE).read_text(encoding="utf-8") == page.render(found)
    assert "/home" not in json.dumps(dataclasses.asdict(found))
