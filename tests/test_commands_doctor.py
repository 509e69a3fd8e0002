"""`doctor` as a user sees it: one page, nothing written, a line for each problem."""

import os
import pathlib

import pytest

from tf_diffaug.commands import main
from tf_diffaug.runs import doctor
from tf_diffaug.runs.doctor.findings import Finding


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TPU_NAME", raising=False)


def test_one_page_and_nothing_written(capsys, tmp_path):
    assert main(["doctor", "--networks=sndcgan", "--noxla"]) == 0
    out, err = capsys.readouterr()
    for label in ("platform", "versions", "CPU", "GPU", "strategy", "precision", "sndcgan", "fit"):
        assert any(line.startswith(f"{label} ") for line in out.splitlines()), label
    assert out.endswith("All works.\n")
    assert err == ""
    assert str(pathlib.Path.home()) not in out or os.path.dirname(pathlib.Path.home()) == "/"
    assert list(tmp_path.iterdir()) == []


def test_each_problem_is_a_line_and_the_exit_code_is_1(capsys, monkeypatch):
    found = [Finding("GPU", "none"), Finding("a", "fails", "a fails:\nset B."), Finding("c", "ok")]
    monkeypatch.setattr(doctor, "examine", lambda *args, **kwargs: iter(found))
    assert main(["doctor"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == r"PROBLEM  a fails:\nset B."


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("--networks=sndgan", ("Did you mean 'sndcgan'", "Received: --networks=sndgan.")),
        ("--strategy=miror", ("Did you mean 'mirrored'", "Received: --strategy=miror.")),
        ("--strategy=multi_worker", ("every worker", "Received: --strategy=multi_worker.")),
        ("runs/NAME", ("takes flags only",)),
        ("--xla=perhaps", ("--xla takes true or false", "--xla=perhaps")),
    ],
)
def test_mistakes_are_one_line(capsys, argument, parts):
    assert main(["doctor", argument]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
