"""Folders of runs that a stranger made."""

import json
import pathlib
import shutil
import tempfile

import hypothesis
import pytest

from tests.fuzz.hostile import MARKUP, changed, command, damaged, examples, snapshot
from tests.reports import evaluation, write_run

FILES = ("config.json", "metrics.jsonl", "evaluations.jsonl")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with all that a run's files can hold."""
    facts = {"label_counts": [60, 70], "class_names": ["cat", "dog"]}
    initial = {"source": "runs/before", "step": 3, "fingerprint": "1", "layers": 9}
    initial |= {"fresh": ["G's x"], "unused": [], "differs": ["width 4 there, 8 here"]}
    classes = {"cat": {"fid": {"mean": 3.0, "std": 0.5}}}
    return write_run(
        tmp_path_factory.mktemp("made") / "run",
        steps=(10, 30),
        facts=facts,
        initial=initial,
        evaluations=[evaluation(10), evaluation(classes=classes)],
        policy="color",
        augment="both",
        model="biggan",
        conditional=True,
    )


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def read(made, name):
    lines = (made / name).read_text().splitlines()
    return json.loads("".join(lines)) if name == "config.json" else list(map(json.loads, lines))


@pytest.fixture
def copy_of(made, tmp_path):
    """Makes a folder of its own with a copy of the run, for each example."""

    def copy():
        home = pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
        shutil.copytree(made, home / "run")
        return home

    return copy


COMMANDS = (
    ("report", "--nearest=false", "--dataset=folder:nowhere", "run"),
    ("evaluate", "--compare", "run", "run"),
    ("train", "--explain", "--run_dir=run"),
)


def check(capsys, monkeypatch, home):
    """All commands that build no network; they write the page at most."""
    monkeypatch.chdir(home)
    before = snapshot(home)
    for arguments in COMMANDS:
        command(capsys, home, *arguments)
    after = snapshot(home)
    page = after.pop("run/report.html", b"").decode()
    assert after == before
    assert not any(markup in page for markup in MARKUP if "<" in markup)
    assert "\x1b" not in page


@pytest.mark.parametrize("name", FILES)
@examples(12)
@hypothesis.given(data=hypothesis.strategies.data())
def test_values_of_other_kinds(made, copy_of, capsys, monkeypatch, name, data):
    home = copy_of()
    value = data.draw(changed(read(made, name)))
    text = json.dumps(value)
    if name != "config.json":
        text = "".join(
            json.dumps(one) + "\n" for one in (value if isinstance(value, list) else [value])
        )
    (home / "run" / name).write_text(text)
    check(capsys, monkeypatch, home)


@pytest.mark.parametrize("name", FILES)
@examples(6)
@hypothesis.given(data=hypothesis.strategies.data())
def test_bytes_that_are_damaged(made, copy_of, capsys, monkeypatch, name, data):
    home = copy_of()
    (home / "run" / name).write_bytes(data.draw(damaged((made / name).read_bytes())))
    check(capsys, monkeypatch, home)


@examples(10)
@hypothesis.given(data=hypothesis.strategies.data())
def test_samples_that_are_damaged(made, copy_of, capsys, monkeypatch, data):
    home = copy_of()
    path = home / "run/samples/0000030.png"
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    check(capsys, monkeypatch, home)
