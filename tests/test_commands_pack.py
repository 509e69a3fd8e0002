"""`pack` as a user sees it, and training from what it made."""

import pathlib

import numpy as np
import pytest

from tests.packs import files_of, flip_bit, write_nvidia_zip, write_pictures
from tests.runs import assert_same_bits, records
from tf_diffaug.commands import main
from tf_diffaug.data import PackedImages, load
from tf_diffaug.runs import load_run
from tf_diffaug.runs.generate import ImageSource
from tf_diffaug.runs.generate import nearest as nearest_sheet

SIZE = 32 * 32 * 3
SMALL = ["--width=2", "--batch_size=4", "--num_fakes=8", "--steps=4", "--log_every=2"]
SMALL += ["--nodeterministic"]
ALL = [*SMALL, "--eval_every=2", "--sample_every=4", "--fid_features=emoji-cnn", "--policy=color"]
BIGGAN = ["--model=biggan", "--conditional", "--metrics=fid,kid", "--d_steps=2"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with pictures, where the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_pictures(pathlib.Path("pictures"), count=40, test=10)
    return tmp_path


def run(*arguments):
    """The exit code of a command, in this process."""
    return main(list(arguments))


def pack(*arguments):
    return run("pack", *arguments)


def said(capsys):
    return capsys.readouterr().err.splitlines()[-1].removeprefix("tf-diffaug pack: ")


def test_a_folder_is_packed_and_the_way_on_is_said(here, capsys):
    assert pack("pictures", "out", "--resolution=32", "--fit=enlarge") == 0
    assert capsys.readouterr().out.splitlines() == [
        "40 images (10 held out), 32x32x3, 2 classes, in out.",
        "python train.py --dataset=packed:out --resolution=32",
    ]
    assert len(load("packed:out")) == 40
    assert pack("pictures", "my own", "--resolution=16", "--channels=1", "--fit=pad") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "python train.py '--dataset=packed:my own' --resolution=16 --channels=1"
    )
    before = files_of("out")
    assert pack("folder:pictures", "out", "--resolution=32", "--fit=enlarge") == 0
    assert files_of("out") == before


def test_sources_of_every_kind(here, capsys):
    write_nvidia_zip(here / "images.zip")
    for k, source in enumerate(("images.zip", "folder:images.zip", "emoji_faces", "~/pictures")):
        pytest.MonkeyPatch().setenv("HOME", str(here))
        assert pack(source, f"out{k}", "--resolution=8", "--workers=1") == 0
    assert files_of("out0") == files_of("out1")
    assert load("packed:out0").labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_broken_files_are_left_out_when_asked(here, capsys):
    (here / "pictures" / "train" / "cat" / "000.png").write_text("none")
    assert pack("pictures", "out", "--resolution=8") == 2
    assert "--skip_broken leaves them out. Received: SOURCE='folder:pictures'" in said(capsys)
    assert pack("pictures", "out", "--resolution=8", "--skip_broken") == 0
    assert "Left out as not usable (1): train/cat/000.png" in capsys.readouterr().out


MISTAKES = {
    (): "a SOURCE and an OUT are needed, as in pack photos OUT. Received: none.",
    ("pictures",): "a SOURCE and an OUT are needed, as in pack photos OUT. Received: 1: pictures.",
    ("cifr10", "out"): "emoji, cifar10, cifar100, folder:PATH, packed:PATH. Received: SOURCE=",
    ("folder:none", "out"): "No such folder or zip. Received: SOURCE='folder:none'.",
    ("packed:out", "x"): "That is packed already. Received: SOURCE='packed:out'.",
    ("pictures", "out", "--resolution=0"): "--resolution must be at least 1.",
    ("pictures", "out", "--workers=0"): "--workers must be at least 1.",
    ("pictures", "out", "--channels=2"): "Channels of folder:pictures are 1, 3 or 4.",
    ("pictures", "out", "--fit=squeeze", "--resolution=8"): "Unknown fit 'squeeze'.",
    ("pictures", "out", "--resolution=99"): "files cannot be used",
    ("emoji", "out", "--fit=pad"): "Images of emoji are resized, not fitted. Received: --fit=pad.",
    ("pictures", "pictures", "--resolution=8"): "There is something already: remove it, or",
    ("pictures", "out", "--resolutoin=8"): "unknown flag --resolutoin.",
    ("tfds:mnist", "out"): "pip install 'tf-diffaug[tfds]'",
}


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_line_and_nothing_is_left(here, capsys, arguments, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert pack(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert MISTAKES[arguments] in lines[0]
    assert not [path.name for path in here.iterdir() if path.name != "pictures"]


@pytest.mark.slow
def test_memory_and_disk_train_to_the_same_bits(here, monkeypatch):
    flags = [*ALL, *BIGGAN, "--fit=enlarge", "--flip", "--num_images=37"]
    pack("pictures", "out", "--resolution=32", "--fit=enlarge")
    # Nothing asks for all of the images at once.
    monkeypatch.delattr(PackedImages, "__array__")
    assert run("train", "--dataset=folder:pictures", "--run_dir=memory", *flags) == 0
    assert run("train", "--dataset=packed:out", "--run_dir=disk", *flags) == 0
    assert_same_bits("memory", "disk")
    assert records("memory", "eval") == records("disk", "eval") != []
    assert (here / "disk" / "report.html").exists()
    sheets = [nearest_sheet(ImageSource(load_run(n)), count=2).draw() for n in ("memory", "disk")]
    np.testing.assert_array_equal(*map(np.asarray, sheets))


def test_a_run_moves_between_memory_and_disk(here, capsys):
    flags = [*SMALL, "--fid_features=none", "--noreport", "--fit=pad"]
    pack("pictures", "out", "--resolution=32", "--fit=pad")
    assert run("train", "--dataset=folder:pictures", "--run_dir=memory", *flags, "--steps=6") == 0
    for steps, dataset in ((2, "packed:out"), (4, "folder:pictures"), (6, "packed:out")):
        moved = [f"--dataset={dataset}", f"--steps={steps}", "--run_dir=moved"]
        assert run("train", *flags, *moved) == 0
    assert_same_bits("memory", "moved")
    write_pictures(here / "others", count=30)
    pack("others", "other", "--resolution=32", "--fit=pad")
    capsys.readouterr()
    assert run("train", "--dataset=packed:other", "--run_dir=moved", "--steps=8") == 2
    assert "moved was trained on other images: 40 then, 30 now" in capsys.readouterr().err


def test_a_damaged_record_ends_the_run_and_a_flag_goes_on(here, capsys):
    flags = [*SMALL, "--fid_features=none", "--noreport", "--checkpoint_every=1", "--run_dir=run"]
    pack("pictures", "out", "--resolution=32", "--fit=enlarge")
    assert run("train", "--dataset=packed:out", *flags, "--steps=2") == 0
    capsys.readouterr()
    for record in range(40):
        flip_bit(here / "out" / "images.bin", record * SIZE + 7) if record % 2 else None
    assert run("train", "--run_dir=run", "--steps=20") == 3
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("tf-diffaug")]
    assert "of out/images.bin is damaged: its checksum differs. `skip_broken`" in line
    assert "The last good checkpoint: run/checkpoints/step-2" in line
    assert run("train", "--run_dir=run", "--steps=8", "--skip_broken") == 0
    assert load_run("run").config.skip_broken
    assert run("train", "--dataset=packed:out", "--dry_run", *flags, "--run_dir=other") == 2
    assert capsys.readouterr().err.count("is damaged") == 1


def test_a_size_that_differs_is_one_line(here, capsys):
    pack("emoji_faces", "out", "--resolution=16")
    capsys.readouterr()
    assert run("train", "--dataset=packed:out", "--nodeterministic") == 2
    assert capsys.readouterr().err == (
        "tf-diffaug train: packed:out was packed at 16x16; give --resolution=16, or pack it anew. "
        "Received: --resolution=32.\n"
    )


def test_a_folder_too_large_for_memory_is_packed_in_the_cache(here, caplog, monkeypatch):
    options = {"resolution": 32, "fit": "enlarge"}
    held = load("folder:pictures", **options)
    monkeypatch.setattr("tf_diffaug.data.memory.available", lambda: 2 * 50 * SIZE - 1)
    read = load("folder:pictures", **options)
    (line,) = caplog.messages
    (place,) = (here / "cache" / "tf_diffaug").iterdir()
    assert line.startswith("folder:pictures takes 0.000154 GB, more than half of the memory that")
    assert line.endswith(f"packed in {place}.")
    assert isinstance(read.images, PackedImages)
    assert (read.name, read.fingerprint) == (held.name, held.fingerprint)
    before = (place / "images.bin").stat()
    assert load("folder:pictures", **options).fingerprint == held.fingerprint
    assert (place / "images.bin").stat() == before
    (here / "pictures" / "train" / "cat" / "000.png").write_text("none")
    with pytest.raises(ValueError, match=r"files cannot be used: train/cat/000\.png"):
        load("folder:pictures", **options)
    assert load("folder:pictures", **options, skip_broken=True).skipped == ("train/cat/000.png",)
    monkeypatch.setattr("tf_diffaug.data.memory.available", lambda: 2 * 50 * SIZE)
    held = load("folder:pictures", **options, skip_broken=True)
    assert not isinstance(held.images, PackedImages)
