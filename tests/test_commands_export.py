"""`export` as a user sees it: what it says and writes, and one line for a mistake."""

import errno
import os
import shutil

import pytest

from tests.test_runs_export import write_run
from tf_diffaug.commands import export, main
from tf_diffaug.runs.export import DEFAULT_FORMATS
from tf_diffaug.runs.export.formats import FORMATS

# NumPy 2 about Keras 3's own way of saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("made") / "run", model="sndcgan")


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A folder of its own with a copy of the run."""
    shutil.copytree(made, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_formats_are_the_librarys():
    assert tuple(FORMATS) == export.FORMATS
    assert export.Asked(run_dirs=()).formats == DEFAULT_FORMATS


def test_it_writes_a_folder_and_says_how_to_share_it(here, capsys):
    assert main(["export", "run", "--license=mit", "--discriminator"]) == 0
    out = capsys.readouterr().out
    assert "keras and saved_model made the run's own pixels" in out
    assert out.endswith("hf upload USER/NAME run/export/7\n")
    assert sorted(os.listdir("run/export/7")) == [
        "README.md",
        "discriminator.keras",
        "generator.keras",
        "samples.png",
        "saved_model",
    ]
    assert os.listdir("run/export") == ["7"]
    assert "license: mit" in (here / "run/export/7/README.md").read_text()
    before = written(here)
    assert main(["export", "run"]) == 2
    assert capsys.readouterr().err == (
        "tf-diffaug export: run/export/7 exists. Add --overwrite, or choose another --out.\n"
    )
    assert written(here) == before
    assert main(["export", "run", "--overwrite", "--formats=keras"]) == 0
    assert not (here / "run/export/7/saved_model").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "one RUN_DIR is needed, as in export runs/NAME. Received: none."),
        (["nowhere"], 2, "nowhere is not the folder of a run: it has no config.json."),
        (
            ["run", "--formats=keras,onxn"],
            2,
            "Unknown format 'onxn'. Did you mean 'onnx'? Choose from keras, saved_model, tflite, "
            "onnx, all. Received: --formats=keras,onxn.",
        ),
        (
            ["run", "--checkpoint=3"],
            2,
            "run has checkpoints of steps 7. Received: --checkpoint=3.",
        ),
        (
            ["run", "--truncation=-1"],
            2,
            "--truncation must be at least 0. Received: --truncation=-1.",
        ),
        (["run", "--out=run"], 2, "run exists. Add --overwrite, or choose another --out."),
        (
            ["run", "--out=run", "--overwrite"],
            2,
            "Not replaced, as it holds something else too (checkpoints); choose another place: run",
        ),
        (["run", "--out=run/config.json/x"], 2, "cannot write to run/config.json/x."),
    ],
)
def test_a_mistake_is_one_line(here, capsys, arguments, code, message):
    before = written(here)
    assert main(["export", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert written(here) == before


def test_a_checkpoint_cut_short_is_said(here, capsys):
    (data,) = here.glob("run/checkpoints/*.data-*")
    data.write_bytes(data.read_bytes()[:1000])
    assert main(["export", "run"]) == 3
    error = capsys.readouterr().err
    assert "step-7 can't be restored" in error
    assert error.count("\n") == 1
    assert not (here / "run/export").exists()


def test_a_missing_package_is_said(here, capsys, monkeypatch):
    monkeypatch.setattr("tf_diffaug.runs.export.CARD_PACKAGES", ("no_such_package",))
    assert main(["export", "run"]) == 2
    assert "pip install 'tf-diffaug[share]'" in capsys.readouterr().err


def test_help_names_the_flags(capsys):
    assert main(["export", "--help"]) == 0
    out = capsys.readouterr().out
    for flag in ("--formats=keras,saved_model", "--license", "--out", "--overwrite"):
        assert flag in out


def test_a_full_disk_leaves_no_folder(here, capsys, monkeypatch):
    def full(source):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tf_diffaug.runs.export._draw_sheet", full)
    before = written(here)
    assert main(["export", "run", "--formats=keras"]) == 2
    assert "No space left on device: run/export/7" in capsys.readouterr().err
    assert written(here) == before
