"""Each cell is run once, whatever ends the processes that run them, and however many there are."""

import signal
import subprocess
import sys
import time

import pytest

from tests.study_lines import make_line, make_study
from tf_diffaug.errors import UserError
from tf_diffaug.studies.results import Place
from tf_diffaug.studies.work import CellFailure, in_order, only, work

# Notes each beginning of a cell; a cell takes as long as the second argument says.
WORK = """
import sys, time
from tests.study_lines import make_line, make_study
from tf_diffaug.studies.results import Place
from tf_diffaug.studies.work import work

place, cells = Place(sys.argv[1], "cpu"), make_study().cells("cpu", range(3))

def run_cell(cell, lock, report):
    with open(sys.argv[1] + "/begun", "a") as file:
        file.write(cell.title + "\\n")
    report(50, {})
    time.sleep(float(sys.argv[2]))
    return make_line(cell)

tally = work(cells, place, run_cell, steps={cell.key: 100 for cell in cells}, say=print)
print(tally.done, tally.before, tally.elsewhere)
"""


def start(folder, seconds):
    command = [sys.executable, "-c", WORK, str(folder), str(seconds)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(command, **pipes)


def begun(folder):
    path = folder / "begun"
    return path.read_text().splitlines() if path.exists() else []


def go(folder, run_cell, cells=None):
    cells = make_study().cells("cpu", [0, 1]) if cells is None else cells
    said = []
    steps = {cell.key: 100 for cell in cells}
    tally = work(cells, Place(folder, "cpu"), run_cell, steps=steps, say=said.append)
    return tally, said


def test_each_cell_is_run_once_and_never_again(tmp_path):
    run = []

    def run_cell(cell, lock, report):
        run.append(cell.title)
        report(10, {"FID": 2.0})
        return make_line(cell)

    tally, _ = go(tmp_path, run_cell)
    assert (tally.done, tally.before, tally.failed) == (6, 0, [])
    assert run[:2] == ["none seed 0", "none seed 1"]
    tally, _ = go(tmp_path, run_cell)
    assert (tally.done, tally.before) == (0, 6)
    assert len(run) == 6


def test_a_loss_without_end_is_a_result_and_a_failure_is_not(tmp_path):
    def run_cell(cell, lock, report):
        if cell.seed == 0 and cell.arm.name == "none":
            raise CellFailure("train ended with -9")
        diverged = "diverged at step 7: d_loss is nan" if cell.seed == 0 else None
        return make_line(cell, diverged=diverged)

    tally, said = go(tmp_path, run_cell)
    assert (tally.done, tally.failed) == (5, ["none seed 0"])
    assert said[0] == "none seed 0: train ended with -9"
    assert said[1] == "bcr 0.1 seed 0: diverged at step 7: d_loss is nan"
    # The failed one is tried again, the diverged ones are not.
    tally, _ = go(tmp_path, lambda cell, lock, report: make_line(cell))
    assert (tally.done, tally.before) == (1, 5)


def test_a_mistake_ends_all(tmp_path):
    def run_cell(cell, lock, report):
        raise UserError("no such images")

    with pytest.raises(UserError, match="no such images"):
        go(tmp_path, run_cell)
    assert not Place(tmp_path, "cpu").lines()


def test_a_killed_study_goes_on_where_it_was(tmp_path):
    process = start(tmp_path, 0.05)
    until = time.monotonic() + 60
    while len(begun(tmp_path)) < 3 and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(Place(tmp_path, "cpu").lines())
    first = begun(tmp_path)
    assert 2 <= done < 9
    output, _ = start(tmp_path, 0).communicate(timeout=120)
    assert output.split() == [str(9 - done), str(done), "0"]
    assert len(Place(tmp_path, "cpu").lines()) == 9
    # None but the one at hand was begun twice.
    assert len(begun(tmp_path)) - 9 == len(first) - done <= 1


def test_two_processes_share_the_cells(tmp_path):
    both = [start(tmp_path, 0.3) for _ in range(2)]
    tallies = [list(map(int, one.communicate(timeout=120)[0].split())) for one in both]
    assert sorted(begun(tmp_path)) == sorted(
        cell.title for cell in make_study().cells("cpu", range(3))
    )
    assert sum(done for done, _, _ in tallies) == 9
    assert all(sum(tally) == 9 for tally in tallies)


def test_what_another_process_did_meanwhile_is_not_done_again(tmp_path):
    run, cells = [], make_study().cells("cpu", [0, 1])

    def run_cell(cell, lock, report):
        run.append(cell.title)
        if cell == cells[0]:
            Place(tmp_path, "cpu").add(make_line(cells[1]))
        return make_line(cell)

    tally, _ = go(tmp_path, run_cell, cells)
    assert (tally.done, tally.before, tally.elsewhere) == (5, 0, 1)
    assert cells[1].title not in run


def test_what_claims_need_comes_first_each_arm_with_all_its_seeds():
    cells = in_order(make_study().cells("cpu", [0, 1]), ["bcr 0.3", "none"])
    names = [(cell.arm.name, cell.seed) for cell in cells]
    assert names[:4] == [("none", 0), ("none", 1), ("bcr 0.3", 0), ("bcr 0.3", 1)]
    assert len(names) == 6


def test_arms_are_chosen_by_pattern():
    cells = make_study().cells("cpu", [0])
    assert [cell.arm.name for cell in only(cells, ["bcr *"])] == ["bcr 0.1", "bcr 0.3"]
    assert [cell.arm.name for cell in only(cells, ["none", "*0.3"])] == ["none", "bcr 0.3"]
    with pytest.raises(UserError, match=r"Did you mean 'none'\?.*Received: --only=nome\."):
        only(cells, ["nome"])
