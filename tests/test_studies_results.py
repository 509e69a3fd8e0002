"""Lines of results: what is in them, how they are read, and that none is lost."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.study_lines import make_line, make_study
from tf_diffaug.errors import UserError
from tf_diffaug.studies.results import Place, Results, value_of

ADD = """
import sys
from tests.study_lines import make_line, make_study
from tf_diffaug.studies.results import Place
place, first = Place(sys.argv[1], "cpu"), int(sys.argv[2])
for cell in make_study().cells("cpu", range(first, first + 5)):
    place.add(make_line(cell))
"""


@pytest.fixture
def cell():
    return make_study().cells("cpu", [0])[1]


def test_a_line_has_the_recipe_the_curves_and_the_protocol(cell):
    line = make_line(cell)
    assert line["cell"] == cell.key
    assert (line["study"], line["arm"], line["seed"]) == ("tiny", "bcr 0.1", 0)
    assert (line["outcome"], line["diverged"], line["step"]) == ("finished", False, 120)
    assert line["recipe"] == {"policy": "none"}
    assert line["protocol"]["features"]["name"] == "emoji-cnn"
    assert line["curves"]["step"] == [20, 40, 60, 80, 100, 120]
    assert line["curves"]["fid"] == [5, 4, 3, 2, 1, 0]
    assert json.loads(json.dumps(line)) == line


def test_a_curve_of_training_is_the_mean_since_the_evaluation_before(cell):
    found = [
        {"step": 10, "kind": "train", "accuracy_fake": 0.2},
        {"step": 20, "kind": "train", "accuracy_fake": 0.4},
        {"step": 20, "kind": "eval", "fid": 3.0},
        {"step": 30, "kind": "train", "accuracy_fake": 0.9, "r_v": 0.5},
        {"step": 40, "kind": "eval", "fid": 2.0, "leak": 0.1},
        {"step": 50, "kind": "train", "accuracy_fake": 1.0},  # nothing is measured after it
    ]
    curves = make_line(cell, records=found)["curves"]
    assert curves["step"] == [20, 40]
    assert curves["accuracy_fake"] == pytest.approx([0.3, 0.9])
    assert curves["r_v"] == [None, 0.5]
    assert curves["leak"] == [None, 0.1]


def test_values_are_those_of_the_last_evaluations(cell):
    overlap = {"cells": [{"op": "cutout(fill=zero)", "strength": 0.5, "ratio": [0.2, 0.9, 0.4]}]}
    line = make_line(cell, fids=(9.0, 7.0, 5.0, 1.0, 2.0, 3.0, 4.0), overlap=overlap)
    assert value_of(line, "fid") == pytest.approx(3.0)
    assert value_of(line, "start:fid") == pytest.approx(8.0)
    assert value_of(line, "spread:fid") == pytest.approx(np.std([5, 1, 2, 3, 4], ddof=1))
    assert value_of(line, "end:auth_pct") == 70.0
    assert value_of(line, "overlap:cutout(fill=zero):0.5") == 0.4
    assert value_of(line, "overlap:cutout(fill=zero):0.1") is None
    assert value_of(line, "kid") is None
    lost = make_line(cell, diverged="diverged at step 7: d_loss is nan")
    assert lost["outcome"] == "diverged at step 7: d_loss is nan"
    assert value_of(lost, "fid") is None


def test_early_and_late_do_not_overlap_where_values_are_missing(cell):
    line = make_line(cell, fids=range(10))
    line["curves"]["leak"] = [None, None, None, 0.3, None, 0.5, 0.6, None, None, 0.9]
    assert value_of(line, "start:leak") == pytest.approx(0.3)
    assert value_of(line, "leak") == pytest.approx((0.5 + 0.6 + 0.9) / 3)
    line["curves"]["leak"] = [None] * 6 + [0.1, 0.2, 0.3, 0.4]
    assert value_of(line, "start:leak") is None
    # Nothing is early in a run of few evaluations.
    assert value_of(make_line(cell, fids=[3.0, 2.0, 1.0]), "start:fid") is None


def test_results_are_of_the_arms_and_seeds_that_have_lines():
    study = make_study()
    cells = study.cells("cpu", [0, 1])
    lines = {c.key: make_line(c, fids=[c.seed + 1.0]) for c in cells if c.arm.name == "none"}
    lost = make_line(cells[2], diverged="diverged at step 2: g_loss is inf")
    results = Results(study, {**lines, cells[2].key: lost}, "cpu")
    assert len(results) == 3
    assert results.values("none", "fid") == {0: 1.0, 1: 2.0}
    assert results.values("bcr 0.1", "fid") == {}
    assert (results.diverged("bcr 0.1"), results.diverged("none")) == (1, 0)


def test_a_line_cut_short_is_none_and_makes_way_for_the_next(tmp_path):
    place = Place(tmp_path, "cpu")
    one, other, *_ = make_study().cells("cpu", [0])
    assert place.lines() == {}
    place.add(make_line(one))
    with open(place.results, "ab") as file:
        file.write(b'{"cell": "half')
    assert list(place.lines()) == [one.key]
    place.add(make_line(other))
    assert set(place.lines()) == {one.key, other.key}


def test_a_damaged_line_is_a_mistake_that_names_it(tmp_path):
    place = Place(tmp_path, "cpu")
    place.path.mkdir()
    place.results.write_text('{"cell": "a"}\nrubbish\n')
    with pytest.raises(UserError, match=r"line 2 is no result.*Received: b'rubbish'"):
        place.lines()


def test_two_processes_lose_no_line(tmp_path):
    command = [sys.executable, "-c", ADD, str(tmp_path)]
    both = [subprocess.Popen([*command, first]) for first in ("0", "5")]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    expected = {cell.key for cell in make_study().cells("cpu", range(10))}
    assert set(Place(tmp_path, "cpu").lines()) == expected


def test_a_cell_is_one_process_s_at_a_time(tmp_path, cell):
    place = Place(tmp_path, "cpu")
    with place.claimed(cell) as lock, place.claimed(cell) as other:
        assert lock is not None
        assert other is None
    with place.claimed(cell) as lock:
        assert lock is not None
