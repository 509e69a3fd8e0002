"""`evaluate` as a user sees it: a table, records, and one line for a mistake."""

import errno
import json
import os
import shutil

import pytest

from tests.runs import save_run
from tf_diffaug.commands import main
from tf_diffaug.runs import RunDirectory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    save_run(folder, fid_features="emoji-cnn", num_fakes=20)
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    (folder / "run" / "evaluations.jsonl").unlink(missing_ok=True)
    return folder


def evaluate(*arguments):
    return main(["evaluate", *arguments])


def test_it_shows_a_table_and_appends_records(here, capsys):
    assert evaluate("run", "--metrics=fid,precision", "--seeds=2", "--out=all.json") == 0
    shown = capsys.readouterr().out
    assert "run step 0" in shown
    assert "±" in shown
    assert "emoji-cnn features, 20 fakes, 12 train images" in shown
    assert "Mean and deviation over 2 draws" in shown
    assert evaluate("run", "--metrics=fid", "--seeds=1", "--checkpoint=all") == 0
    first, second = RunDirectory(here / "run").evaluated()
    assert [*first["values"]] == ["fid", "precision"]
    assert [*second["values"]["fid"]] == ["mean"]
    assert json.loads((here / "all.json").read_text()) == {"run step 0": first}
    assert first["protocol"]["name"] is None


def test_on_a_full_disk_the_numbers_are_shown_and_the_run_is_as_it_was(here, capsys, monkeypatch):
    def full(self, record):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run/evaluations.jsonl")

    monkeypatch.setattr(RunDirectory, "append_evaluation", full)
    assert evaluate("run", "--metrics=fid", "--seeds=1") == 2
    out, error = capsys.readouterr()
    assert "fid" in out
    last = error.splitlines()[-1]
    assert last == "tf-diffaug evaluate: No space left on device: run/evaluations.jsonl"
    assert not (here / "run" / "evaluations.jsonl").exists()


def test_runs_are_compared_under_one_protocol_alone(here, tmp_path, capsys):
    other = save_run(tmp_path, fid_features="emoji-cnn", num_fakes=20, seed=1)
    for run in ("run", other):
        assert evaluate(str(run), "--metrics=fid", "--seeds=1") == 0
    capsys.readouterr()
    out = tmp_path / "both.json"
    assert evaluate("run", str(other), "--compare", f"--out={out}") == 0
    assert [*json.loads(out.read_text())] == ["run step 0", f"{other} step 0"]
    shown = capsys.readouterr().out
    assert f"{other} step 0" in shown.replace("\n", "")
    assert evaluate(str(other), "--metrics=fid", "--seeds=1", "--num_fakes=30") == 0
    assert evaluate("run", str(other), "--compare") == 2
    assert "differ in --num_fakes" in capsys.readouterr().err


def test_folders_of_images(here, capsys):
    arguments = ("folder:pictures", "folder:pictures", "--fid_features=emoji-cnn")
    assert evaluate(*arguments, "--metrics=fid,auth_pct") == 0
    shown = capsys.readouterr().out
    assert "copies" in shown
    assert not (here / "run" / "evaluations.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "at least one RUN_DIR is needed"),
        (("nothere",), "nothere is not the folder of a run"),
        (("run", "--metrics=fad"), "Did you mean 'fid'?"),
        (("run", "--metrics=ct"), "ct needs features of held-out images"),
        (("run", "--protocol=lowshot"), "Did you mean 'low-shot'?"),
        (("run", "--protocol=diffaugment"), "which --protocol=diffaugment measures against"),
        (("run", "--fid_split=test"), "which --fid_split=test measures against"),
        (("run", "--checkpoint=7"), "checkpoints of steps 0"),
        (("run", "--checkpoint=newer"), "--checkpoint is newest, best or a step"),
        (("run", "--seeds=0"), "--seeds must be at least 1. Received: --seeds=0."),
        (("run", "--per_class"), "not conditional"),
        (("run", "--compare"), "two runs or more"),
        (("run", "run", "--compare"), "was not evaluated yet"),
        (("folder:pictures",), "two at a time"),
        (("folder:one", "folder:pictures"), "folder:one has 1 image: a distance takes 2"),
        (("folder:pictures", "folder:none"), "folder:none"),
        (("folder:pictures", "folder:pictures", "--fid_features=none"), "--fid_features=none"),
        (("run", "run", "--compare", "--seeds=7"), "--compare has no use for this flag. Received"),
        (("nothere", "run", "--compare"), "nothere is not the folder of a run"),
        (
            ("folder:pictures", "folder:pictures", "--per_class"),
            "this flag. Received: --per_class.",
        ),
        (("run", "--resolution=8"), "Received: --resolution=8."),
        (("run", "--out=pictures"), "pictures exists. Add --overwrite"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(here, capsys, arguments, expected):
    (here / "one").mkdir(exist_ok=True)
    shutil.copy(here / "pictures" / "cat" / "0.png", here / "one")
    assert evaluate(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert expected in lines[-1]
    assert lines[-1].startswith("tf-diffaug evaluate: ")
    assert not (here / "run" / "evaluations.jsonl").exists()
