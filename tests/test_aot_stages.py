"""The parts as processes: what they say while they work, and how they fail; no compiler runs."""

import os
import sys

import pytest

from tf_diffaug.aot import stages
from tf_diffaug.aot.compile import DoesNotFit
from tf_diffaug.aot.stages import Case
from tf_diffaug.aot.topologies import TOPOLOGIES

STEP = '{"traced_by": "a stack", "instructions": {}, "suspects": []}'
COMPILED = """{"device": "TPU v3", "flops": 1, "state": 1, "temporary": 2, "program": 3,
    "seconds": 4}""".replace("\n", "")


@pytest.fixture
def part(tmp_path, monkeypatch):
    """Makes every part be a script of the shell, which knows the folder."""

    def make(script):
        path = tmp_path / "part"
        path.write_text(f"#!/bin/sh\nfolder=$4\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return make


def test_each_part_is_told_of_while_the_next_one_works(part, tmp_path):
    # The second part ends once the first has been told of, or never is.
    part(
        f"""echo '{{"done": "traced"}}'
        for i in $(seq 100); do [ -e $folder/told ] && break; sleep 0.1; done
        [ -e $folder/told ] || exit 1
        echo '{STEP}' > $folder/{stages.LOWERED}
        echo '{{"done": "lowered"}}'"""
    )
    told = []

    def progress(done, seconds):
        told.append(done)
        assert seconds >= 0
        (tmp_path / "told").touch()

    step = stages.lower_case(Case({}, {}, 8), "TPU", str(tmp_path), progress=progress)
    assert told == ["traced", "lowered"]
    assert step.traced_by == "a stack"


def test_a_part_that_fails_is_told_with_the_last_of_what_it_said(part, tmp_path):
    part("echo noise >&2; echo 'ValueError: no kernel' >&2; exit 1")
    with pytest.raises(RuntimeError, match=r"trace,lower failed: ValueError: no kernel$"):
        stages.lower_case(Case({}, {}, 8), "TPU", str(tmp_path))


def test_a_part_that_is_killed_is_told(part, tmp_path):
    part("kill -9 $$")
    with pytest.raises(RuntimeError, match="trace,lower failed: exit code -9"):
        stages.lower_case(Case({}, {}, 8), "TPU", str(tmp_path))


def test_an_interruption_ends_the_part_and_leaves_no_folder(part, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    part(f"""echo $$ > {tmp_path}/pid; echo '{{"done": "traced"}}'; exec sleep 60""")

    def progress(done, seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.compile_case(Case({}, {}, 8), [TOPOLOGIES["tpu-v3-8"]], progress=progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part", "pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_was_compiled_is_read_for_each_topology(part, tmp_path):
    part(f"""for name in $6 $7; do echo '{{"done": "compiled", "compiled": {COMPILED}}}'; done""")
    topologies = [TOPOLOGIES["tpu-v3-8"], TOPOLOGIES["tpu-v3-32"]]
    found = stages.compile_lowered(str(tmp_path), topologies, replicas=8)
    assert [compiled.memory for compiled in found] == [6, 6]


def test_what_does_not_fit_is_told(part, tmp_path):
    part("""echo '{"done": "compiled", "does_not_fit": "It does not fit."}'""")
    with pytest.raises(DoesNotFit, match=r"^It does not fit\.$"):
        stages.compile_lowered(str(tmp_path), [TOPOLOGIES["tpu-v3-8"]], replicas=8)
