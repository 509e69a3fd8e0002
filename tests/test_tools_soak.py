"""The soak test sees what it is there to see, on a program that trains nothing."""

import random
import sys
import time

import pytest

from tools.soak import __main__ as soak
from tools.soak import course as courses
from tools.soak import faults, run
from tools.soak.course import Course, bits_that_differ
from tools.soak.faults import Fault
from tools.soak.run import Run, Wrong

# Takes a step, saves it, and goes on from what its file says; FORGETS and GIVES_UP are its faults.
STAND_IN = """
import os, pathlib, sys, time
folder = pathlib.Path(next(a for a in sys.argv if a.startswith("--run_dir=")).partition("=")[2])
last = int(next(a for a in sys.argv if a.startswith("--steps=")).partition("=")[2])
folder.mkdir(exist_ok=True)
saved = folder / "saved"
step = int(saved.read_text()) if saved.exists() else 0
if "FORGETS" in os.environ:
    step = step // 2
if step and "GIVES_UP" in os.environ:
    sys.exit("tf-diffaug train: no.")
while step < last:
    print(f"soak: begin step {step + 1}", flush=True)
    time.sleep(0.01)
    step += 1
    print(f"soak: end step {step}", flush=True)
    print(f"soak: begin save {step}", flush=True)
    saved.with_suffix(".new").write_text(str(step))
    saved.with_suffix(".new").replace(saved)
    print(f"soak: end save {step}", flush=True)
print("Done: all.")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(run, "TOLD", "stand_in")
    monkeypatch.setitem(run.ENVIRONMENT, "PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(courses, "weights", lambda path: {"w": path[-1:].encode()})
    return Run(tmp_path / "run", tmp_path, 1)


def suffer(course, count=3):
    kill = Fault("kill", faults.kill, moment="save")
    course.suffer([kill] * count, random.Random(0), until=time.monotonic() + 60)
    course.finish()


def test_a_run_that_goes_on_is_counted_and_what_it_saved_is_looked_at(stand_in, monkeypatch):
    course = Course(stand_in)
    suffer(course)
    assert course.wrong == []
    assert course.rows["kill"] == {"injected": 3, "resumed": 3}

    monkeypatch.setattr(courses, "_left", lambda path: {})
    course.compare(stand_in.path)
    assert course.rows["kill"]["bits that differ"] == course.final_bits == 0
    # The other run's weights at each step are others: of "0" to "9" and "w" some bits differ.
    monkeypatch.setattr(courses, "weights", lambda path: {"w": b"w"})
    course.compare(stand_in.path)
    assert course.rows["kill"]["bits that differ"] > 0
    assert "bits differ at step" in course.wrong[0]


def test_what_is_lost_is_seen(stand_in, monkeypatch):
    monkeypatch.setitem(run.ENVIRONMENT, "FORGETS", "1")
    course = Course(stand_in)
    suffer(course)
    assert course.rows["kill"]["failed"] > 0
    assert "was saved" in course.wrong[0]


def test_a_run_that_does_not_go_on_is_seen(stand_in, monkeypatch):
    monkeypatch.setitem(run.ENVIRONMENT, "GIVES_UP", "1")
    course = Course(stand_in)
    suffer(course, count=2)
    assert course.rows["kill"]["resumed"] == 0
    assert "tf-diffaug train: no." in course.wrong[0]


def test_a_damage_must_be_told(stand_in):
    course = Course(stand_in)
    kill = Fault("damage", faults.kill, moment="save", is_told=True)
    course.suffer([kill], random.Random(0), until=time.monotonic() + 60)
    course.finish()
    assert "did not say that a checkpoint is damaged" in course.wrong[0]


def test_an_end_of_another_kind_is_wrong(stand_in):
    stand_in.start(2)
    with pytest.raises(Wrong, match=r"exit codes \[0\] in place of 2"):
        stand_in.must_end(2, says="Done")
    stand_in.start(4)
    with pytest.raises(Wrong, match="another message than 'Stopped'"):
        stand_in.must_end(0, says="Stopped")


def test_no_fault_is_begun_after_the_time(stand_in):
    course = Course(stand_in)
    course.suffer(faults.all_faults(1, 5, has_disk=True), random.Random(0), until=time.monotonic())
    assert not course.rows


def test_bits_that_differ():
    assert bits_that_differ({"a": b"\x00\xff"}, {"a": b"\x00\xff"}) == 0
    assert bits_that_differ({"a": b"\x00\xff"}, {"a": b"\x01\xfc"}) == 3
    assert bits_that_differ({"a": b"\x00"}, {"b": b"\x00\x00"}) == 8 + 16
    assert bits_that_differ({"a": b"\x00"}, {"a": b"\x00\x00"}) == 16


def test_half_of_the_kills_are_of_each_run_and_all_moments_among_them():
    for workers in (1, 2):
        kinds = faults.all_faults(workers, 25, has_disk=False)
        kills = [
            f.moment for f in kinds if f.name.startswith("SIGKILL during") and f.moment != "start"
        ]
        assert len(kills) == 25
        assert {kills.count(moment) for moment in faults.MOMENTS} == {5}


def test_each_kind_comes_once_before_any_comes_twice():
    kinds = faults.all_faults(1, 25, has_disk=True)
    order = faults.shuffled(kinds, random.Random(0))
    names = [fault.name for fault in order]
    assert sorted(names) == sorted(fault.name for fault in kinds)
    count = len(set(names))
    assert len(set(names[:count])) == count
    assert order != faults.shuffled(kinds, random.Random(1))


def test_table_has_a_line_for_each_fault_and_sums(capsys):
    lists = []
    for workers in (1, 2):
        course = Course(Run(None, None, workers))
        course.rows["SIGKILL"].update({"injected": 25, "resumed": 24, "bits that differ": workers})
        lists.append(course)
    soak.rich.console.Console(width=100, file=sys.stdout).print(soak.table_of(lists))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert ["SIGKILL", "1", "25", "24", "0", "1"] in lines
    assert ["all", "1,", "2", "50", "48", "0", "3"] in lines
