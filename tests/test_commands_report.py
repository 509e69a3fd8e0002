"""`report` as a user sees it: a page of runs, and one line for a mistake."""

import pathlib

import pytest

from tests.reports import evaluation, write_run
from tests.runs import save_run
from tf_diffaug.commands import main
from tf_diffaug.errors import UserError
from tf_diffaug.runs.report import write_report


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two runs, as their files tell them."""
    monkeypatch.chdir(tmp_path)
    write_run(pathlib.Path("run"), evaluations=[evaluation()])
    write_run(pathlib.Path("other"), seed=1)
    return tmp_path


def run(*arguments):
    """The exit code of the command, in this process."""
    return main(["report", *arguments])


def written(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_page_of_a_run_is_in_its_folder_and_written_anew(here, capsys):
    before = written(here)
    for _ in range(2):
        assert run("run", "--nonearest") == 0
        assert capsys.readouterr().out.startswith("In run/report.html: ")
    after = written(here)
    assert "FID" in after.pop("run/report.html").decode()
    assert after == before


def test_a_page_elsewhere_is_not_overwritten_unasked(here, capsys):
    (here / "mine.html").write_text("mine")
    assert run("run", "other", "--nonearest", "--out=mine.html") == 2
    error = capsys.readouterr().err
    assert error == (
        "tf-diffaug report: mine.html exists. Add --overwrite, or choose another --out.\n"
    )
    assert (here / "mine.html").read_text() == "mine"
    assert run("run", "other", "--nonearest", "--out=mine.html", "--overwrite") == 0
    assert "What differs" in (here / "mine.html").read_text()


def test_a_page_of_several_runs_does_not_replace_that_of_one(here, capsys):
    assert run("run", "--nonearest") == 0
    assert run("run", "other", "--nonearest", "--out=run/report.html") == 2
    assert "run/report.html exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "at least one RUN_DIR is needed, as in report runs/NAME. Received: none."),
        (["run", "--nearst"], "unknown flag --nearst. Did you mean --nearest?"),
        (["run", "--checkpoint=best"], "unknown flag --checkpoint."),
        (
            ["run", "other"],
            "a page of several runs lies in none of them: add --out=FILE.html. "
            "Received: run other.",
        ),
        (["run", "--out=page.pdf"], "--out is a .html file. Received: --out=page.pdf."),
        (["."], ". is not the folder of a run: it has no config.json."),
        (["nowhere"], "nowhere is not the folder of a run: it has no config.json."),
        (["run", "nowhere", "--out=a.html"], "nowhere is not the folder of a run"),
        (["run", "--out=run/config.json/x.html"], "cannot write to run/config.json/x.html."),
        (["damaged"], "damaged/metrics.jsonl is damaged: line 2 is no record."),
        (["evaluated"], "evaluated/evaluations.jsonl is damaged: line 1 is no record."),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(here, capsys, arguments, message):
    write_run(here / "damaged")
    metrics = here / "damaged" / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join([lines[0], "{torn\n", *lines[1:]]))
    write_run(here / "evaluated")
    (here / "evaluated" / "evaluations.jsonl").write_text("[]\n")
    before = written(here)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert written(here) == before


def test_a_missing_package_is_said(here, capsys, monkeypatch):
    monkeypatch.setattr("tf_diffaug.runs.report.PACKAGES", ("no_such_package",))
    assert run("run") == 2
    assert "pip install 'tf-diffaug[report]'" in capsys.readouterr().err
    with pytest.raises(UserError, match="no_such_package"):
        write_report("run")


def test_the_nearest_images_are_looked_up_where_the_images_lie_now(tmp_path, capsys):
    folder = save_run(tmp_path)
    moved = (tmp_path / "pictures").rename(tmp_path / "moved")
    assert run(str(folder)) == 0
    assert "could not be had" not in capsys.readouterr().err
    page = (folder / "report.html").read_text()
    assert "Samples beside their nearest training images" not in page
    assert "pictures" in page
    assert run(str(folder), f"--dataset=folder:{moved}") == 0
    assert "Samples beside their nearest training images" in (folder / "report.html").read_text()


def test_help_names_the_flags(capsys):
    assert main(["report", "--help"]) == 0
    out = capsys.readouterr().out
    for flag in ("--nearest", "--dataset", "--out", "--overwrite"):
        assert flag in out
    assert "--num_fakes" not in out
