"""What a benchmark says of what it found."""

import argparse
import dataclasses

import pytest

from benchmarks import records
from benchmarks.records import Figure, Missing, Recorder


def test_what_is_recorded_is_read(tmp_path, capsys):
    path = tmp_path / "figures.jsonl"
    recorder = Recorder(path)
    recorder.add("cutout", "passes", [3.0, 1.0, 2.0])
    recorder.missing("PyTorch", "it is not there")
    recorder.add("loop", "a step", 0.25, "ms")
    assert records.read(path) == (
        [Figure("cutout", "passes", 2.0, "", (1.0, 3.0)), Figure("loop", "a step", 0.25, "ms")],
        [Missing("PyTorch", "it is not there")],
    )
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.split() == ["cutout", "passes", "2.00", "(1.00", "to", "3.00)"]
    assert second == "PyTorch: not measured: it is not there"
    assert third.split() == ["loop", "a", "step", "0.250", "ms"]


def test_several_processes_add_to_one_file(tmp_path):
    path = tmp_path / "figures.jsonl"
    for name in "ab":
        Recorder(path).add(name, "x", 1.0)
    assert [figure.row for figure in records.read(path)[0]] == ["a", "b"]


def test_without_a_file_it_only_prints(tmp_path, capsys):
    Recorder().add("a", "b", 1.0)
    assert capsys.readouterr().out
    assert records.read(tmp_path / "none") == ([], [])


@pytest.mark.parametrize(
    ("rounds", "spread"),
    [
        ([2.0], None),
        ([9.0, 1.0, 5.0], (1.0, 9.0)),
        ([4.0, 1.0, 2.0, 5.0, 3.0], (2.0, 4.0)),
        ([float(n) for n in range(10)], (2.0, 7.0)),
    ],
)
def test_the_spread_leaves_a_fifth_out_at_either_end(rounds, spread):
    assert records.of_rounds("a", "b", rounds).spread == spread


def test_the_width_of_a_spread():
    figure = Figure("a", "b", 2.0, "", (1.5, 3.0))
    assert figure.width == 1.5
    assert dataclasses.replace(figure, spread=None).width is None


def test_ratios_are_taken_round_by_round():
    assert records.ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError):
        records.ratios([2.0], [1.0, 3.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [(79123.4, "79,123"), (100, "100"), (12.345, "12.3"), (1, "1.00"), (0.0123, "0.0123"),
     (0.00123, "0.0012"), (0, "0"), (-1.5, "-1.50")],
)  # fmt: skip
def test_numbers_as_they_are_read(value, text):
    assert records.number(value) == text


def test_the_flag_names_the_file(tmp_path):
    parser = argparse.ArgumentParser()
    records.add_flag(parser)
    assert parser.parse_args([]).json is None
    assert parser.parse_args([f"--json={tmp_path}"]).json == tmp_path
