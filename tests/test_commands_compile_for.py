"""`train --dry_run --compile_for`: mistakes in one line, and nothing written."""

import pathlib
import subprocess
import sys

import pytest

from tf_diffaug.aot import stages
from tf_diffaug.aot.compile import Compiled, DoesNotFit
from tf_diffaug.aot.stages import Step
from tf_diffaug.commands import main

ROOT = pathlib.Path(__file__).resolve().parents[1]
SMALL = ["--width=2", "--num_images=16", "--batch_size=8", "--fid_features=none"]
STEP = Step("TensorFlow 2.20.0, Keras 3.15.1", {"all-reduce": 47}, [])
COMPILED = Compiled("TPU v3", 1.5e8, 4.0, 18.0, 10.0, 9.0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(stages, "missing_wheels", list)


def run(*flags):
    return main(["train", *flags, "--nodeterministic"], program="train.py")


def answer(monkeypatch, found):
    """Makes the compilation give, or raise, this."""

    def compile_case(case, topologies, *, progress):
        progress("traced", 12.4)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(stages, "compile_case", compile_case)


def complaint(here, capsys, code=2):
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert list(here.iterdir()) == []
    return error


def test_an_unknown_topology_lists_those_there_are(here, capsys):
    assert run("--dry_run", "--compile_for=tpu-v3-9") == 2
    error = complaint(here, capsys)
    assert "Did you mean 'tpu-v3-8'? Choose from tpu-v2-8, " in error
    assert "Received: --compile_for=tpu-v3-9." in error


def test_a_mistake_does_not_wait_for_tensorflow(here):
    code = (
        "import sys; from tf_diffaug.commands import main\n"
        "assert main(['train', '--dry_run', '--compile_for=tpu-v9']) == 2\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_without_the_packages_they_are_named(here, capsys, monkeypatch):
    monkeypatch.setattr(stages, "missing_wheels", lambda: ["tensorflow-tpu==2.20.0"])
    assert run("--dry_run", "--compile_for=tpu-v3-8") == 2
    error = complaint(here, capsys)
    assert "needs tensorflow-tpu==2.20.0: `make setup STACK=tpu`" in error


def test_it_is_a_dry_run(here, capsys):
    assert run("--compile_for=tpu-v3-8") == 2
    assert "add --dry_run" in complaint(here, capsys)


def test_a_batch_that_the_replicas_cannot_share(here, capsys, installed):
    assert run("--dry_run", "--compile_for=tpu-v3-8", *SMALL, "--batch_size=12") == 2
    assert "multiple of the 8 replicas" in complaint(here, capsys)


def test_it_says_what_a_core_would_need(here, capsys, installed, monkeypatch):
    answer(monkeypatch, (STEP, [COMPILED]))
    assert run("--dry_run", "--compile_for=tpu-v3-8", *SMALL) == 0
    said = capsys.readouterr().out
    assert "  traced      in 12 s\n" in said
    assert "It has not run on a TPU." in said
    assert "8, each on a core or chip of TPU v3; 1 images each" in said
    assert "1.5e+08 floating-point operations and 47 sums" in said
    assert "32 MiB a replica: state 4, temporary 18, program 10" in said
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "code", "text"),
    [
        (DoesNotFit("It does not fit the memory of a core of tpu-v3-8."), 2, "A smaller --batch_s"),
        (RuntimeError("lower failed: no kernel"), 3, "does not compile for tpu-v3-8: lower failed"),
        ((STEP._replace(suspects=["custom-call of host"]), [COMPILED]), 3, "wait for the host"),
    ],
)
def test_what_cannot_be_is_one_line(here, capsys, installed, monkeypatch, found, code, text):
    answer(monkeypatch, found)
    assert run("--dry_run", "--compile_for=tpu-v3-8", *SMALL) == code
    assert text in complaint(here, capsys)
