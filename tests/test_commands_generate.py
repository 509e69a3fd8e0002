"""`generate` as a user sees it: files of a run, and one line for a mistake."""

import errno
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.runs import save_run
from tf_diffaug import data, images
from tf_diffaug.commands import generate, main
from tf_diffaug.runs import load_run
from tf_diffaug.runs.generate import ImageSource

ROOT = pathlib.Path(__file__).resolve().parents[1]
STYLEGAN2 = {
    "model": "stylegan2(mapping_layers=2, w_dim=16)",
    "conditional": True,
    "resolution": 16,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a plain run and a conditional one with styles."""
    folder = tmp_path_factory.mktemp("saved")
    save_run(folder / "plain", eval_batch_norm="batch")
    save_run(folder / "styled", **STYLEGAN2)
    return folder


@pytest.fixture
def here(saved, tmp_path, monkeypatch):
    """A folder of its own with copies of the runs."""
    shutil.copytree(saved / "plain/run", tmp_path / "plain")
    shutil.copytree(saved / "styled/run", tmp_path / "styled")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    """The exit code of the command, in this process."""
    return main(["generate", *arguments])


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_by_default_it_writes_images_and_a_grid(here, capsys):
    before = written(here)
    assert run("plain", "--count=5") == 0
    place = here / "plain/generated/step-0-seed-0"
    names = [f"images/seed0_{i:06d}.png" for i in range(5)]
    assert written(place) == ["grid.png", "images", *names]
    assert set(before) <= set(written(here))
    read = data.load(f"folder:{place}/images")
    np.testing.assert_array_equal(read.images, ImageSource(load_run("plain")).images(5))
    said = capsys.readouterr()
    assert "step 0, seed 0, averaged weights" in said.out
    assert "standing statistics, not a batch's" in said.out
    assert "images/ (5 PNG files), grid.png" in said.out
    assert "retracing" not in said.err
    # The same images again, and others beside them.
    assert run("plain", "--count=5", "--seed=1") == 0
    assert (here / "plain/generated/step-0-seed-1/grid.png").exists()


def test_nothing_that_exists_is_overwritten_unasked(here, capsys):
    assert run("styled", "--what=grid", "--out=x", "--count=4") == 0
    before = (here / "x/grid.png").read_bytes()
    assert run("styled", "--what=grid,images", "--out=x", "--count=4", "--seed=1") == 2
    assert "grid.png exists. Add --overwrite" in capsys.readouterr().err
    assert written(here / "x") == ["grid.png"]
    assert (here / "x/grid.png").read_bytes() == before
    assert run("styled", "--what=grid", "--out=x", "--count=4", "--seed=1", "--overwrite") == 0
    assert (here / "x/grid.png").read_bytes() != before


@pytest.mark.slow
def test_all_is_all_that_the_run_has(here, capsys):
    assert run("styled", "--what=all", "--out=all", "--count=2") == 0
    stills = ["classes", "grid", "mixing", "nearest", "truncation"]
    moving = ["class_interpolation", "interpolation"]
    expected = {"images", *(f"{name}.png" for name in stills)}
    expected |= {f"{name}.{kind}" for name in moving for kind in ("gif", "webp")}
    assert {path.name for path in (here / "all").iterdir()} == expected
    for path in (here / "all").glob("*.*"):
        with Image.open(path) as picture:
            assert min(picture.size) > 90
    assert "No mixing" not in capsys.readouterr().out


def test_what_a_run_has_not_is_left_out_of_all_and_said(here, capsys, monkeypatch):
    made = []
    monkeypatch.setattr(generate, "_write", lambda asked, source, what, paths: made.append(what))
    assert run("plain", "--what=all") == 0
    assert made == ["nearest", "images", "grid", "truncation", "interpolation"]
    said = capsys.readouterr().out
    assert "No mixing. SNDCGANGenerator has no styles" in said
    assert said.count("it has no classes to show") == 2
    assert run("styled", "--what=all") == 0
    assert made[5:] == list(generate.WHAT)


def test_a_zip_holds_images_of_the_classes_asked_for(here):
    assert run("styled", "--out=x.ZIP", "--count=4", "--classes=emu, 0", "--truncation=0.5") == 0
    read = data.load("folder:x.ZIP")
    np.testing.assert_array_equal(read.labels, [2, 0, 2, 0])
    source = ImageSource(load_run("styled"), classes=[2, 0], truncation=0.5)
    np.testing.assert_array_equal(read.images, source.images(4))


MISTAKES = {
    "no run given": ([], "RUN_DIR"),
    "no such run": (["nowhere"], "nowhere is not the folder of a run"),
    "unknown flag": (["plain", "--cuont=3"], "Did you mean --count?"),
    "unknown picture": (["plain", "--what=grid,mixin"], "Did you mean 'mixing'?"),
    "the picture received": (["plain", "--what=grid,mixin"], "Received: --what=grid,mixin."),
    "count": (["plain", "--count=0"], "--count=0"),
    "count of words": (["plain", "--count=few"], "--count takes a whole number"),
    "seed": (["plain", "--seed=-1"], "--seed=-1"),
    "checkpoint": (["plain", "--checkpoint=7"], "checkpoints of steps 0"),
    "unknown class": (["styled", "--classes=0,emuu"], "Received: --classes=0,emuu."),
    "class out of range": (["styled", "--classes=3"], "Choose from 0 to 2"),
    "no classes there": (["plain", "--classes=0"], "unconditional"),
    "no class": (["styled", "--classes=,"], "Unknown class ''"),
    "no styles": (["plain", "--what=grid,mixing"], "Received: --what=grid,mixing."),
    "one class": (["styled", "--what=class_interpolation", "--classes=1"], "fewer than two"),
    "psi": (["styled", "--truncation=2"], "--truncation=2"),
    "bound": (["plain", "--truncation=0"], "--truncation=0"),
    "a zip of sheets": (["plain", "--what=grid", "--out=x.zip"], "--out=x.zip --what=grid"),
    "file in the way": (["plain", "--out=plain/config.json"], "--out"),
    "images elsewhere": (
        ["styled", "--what=nearest", "--dataset=folder:nowhere"],
        "nowhere",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(here, capsys, mistake):
    arguments, expected = MISTAKES[mistake]
    before = written(here)
    assert run(*arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("tf-diffaug generate: ")
    assert expected in error
    assert written(here) == before


def test_weights_that_went_wrong_are_one_line(here, capsys, monkeypatch):
    def spoiled(gan, latents, *args, **kwargs):
        return tf.fill([64, 32, 32, 3], np.nan)

    monkeypatch.setattr("tf_diffaug.runs.sampler.call_generator", spoiled)
    assert run("plain", "--out=x") == 2
    assert "not finite" in capsys.readouterr().err
    assert written(here / "x") == []


@pytest.mark.parametrize("out", ["x", "x/y", "x.zip", None])
def test_a_full_disk_is_one_line_and_leaves_nothing(here, capsys, monkeypatch, out):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    monkeypatch.setattr("zipfile.ZipFile.writestr", full)
    before = sorted(here.rglob("*"))
    where = [] if out is None else [f"--out={out}"]
    assert run("plain", "--what=images", *where, "--count=3") == 2
    place = out or "plain/generated"
    assert f"No space left on device: {place}" in capsys.readouterr().err.splitlines()[-1]
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("out", ["x/images", "x.zip"])
def test_a_kill_leaves_no_half_of_it(here, monkeypatch, out):
    made = []

    def encode(image, **options):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(image)
        return images.as_picture(image).tobytes()

    monkeypatch.setattr("tf_diffaug.runs.generate.files.encode_png", encode)
    flag = "--out=x.zip" if out == "x.zip" else "--out=x"
    assert run("plain", "--what=images", flag) == 130
    assert not (here / out).exists()


@pytest.mark.slow
def test_it_starts_as_a_program(here):
    command = [sys.executable, "-m", "tf_diffaug", "generate", "styled", "--out=x", "--count=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "grid.png" in done.stdout


def test_help_names_what_there_is(capsys):
    assert main(["generate", "--help"]) == 0
    said = capsys.readouterr().out
    for word in ("class_interpolation", "mixing", "nearest", "--count=64", "--out"):
        assert word in said
    assert max(map(len, said.splitlines())) <= 100
