"""A saved run, taken up again: its weights, its samples, its images wherever they lie."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_diffaug.commands import main
from tf_diffaug.errors import UserError
from tf_diffaug.runs import load_run

SMALL = ["--width=2", "--batch_size=4", "--fid_features=none", "--nodeterministic"]
SMALL += ["--noreport"]


def paint(folder):
    folder.mkdir(parents=True)
    for index in range(6):
        Image.new("RGB", (32, 32), (40 * index, 100, 200)).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with pictures and a run of three steps on them."""
    folder = tmp_path_factory.mktemp("trained")
    paint(folder / "pictures")
    flags = [f"--dataset=folder:{folder}/pictures", f"--run_dir={folder}/run", "--steps=3"]
    assert main(["train", *flags, "--checkpoint_every=2", *SMALL]) == 0
    return folder


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_taken_up_and_left_as_it_is(trained):
    before = files(trained)
    run = load_run(trained / "run")
    assert int(run.gan.step) == 3
    assert run.config.width == 2
    assert len(run.data) == run.facts["num_images"] == 6
    images = run.sampler(4, tf.constant([0, 1]))
    assert images.shape == (4, 32, 32, 3)
    assert run.evaluator() is None
    assert files(trained) == before


def test_a_checkpoint_may_be_chosen_by_its_step(trained):
    one, other = (load_run(trained / "run", checkpoint=step) for step in ("2", "3"))
    assert (int(one.gan.step), int(other.gan.step)) == (2, 3)
    with pytest.raises(UserError, match="checkpoints of steps 2, 3"):
        load_run(trained / "run", checkpoint="1")
    with pytest.raises(UserError, match="is not the folder of a run"):
        load_run(trained)


def test_the_same_seed_gives_the_same_samples(trained):
    runs = [load_run(trained / "run") for _ in range(2)]
    one, other = (run.sampler(3, tf.constant([5, 6])) for run in runs)
    np.testing.assert_array_equal(one, other)


def test_images_may_lie_elsewhere_but_must_be_the_same(trained, tmp_path, capsys):
    shutil.copytree(trained / "pictures", tmp_path / "moved")
    shutil.copytree(trained / "run", tmp_path / "run")
    assert len(load_run(trained / "run", dataset=f"folder:{tmp_path}/moved").data) == 6
    there = [f"--dataset=folder:{tmp_path}/moved", f"--run_dir={tmp_path}/run"]
    assert main(["train", *there, "--steps=4"]) == 0
    assert "Going on from step 3." in capsys.readouterr().out
    Image.new("RGB", (32, 32)).save(tmp_path / "moved" / "0.png")
    with pytest.raises(UserError, match="was trained on other images"):
        _ = load_run(trained / "run", dataset=f"folder:{tmp_path}/moved").data
    assert main(["train", *there, "--steps=5"]) == 2
    assert "was trained on other images" in capsys.readouterr().err


def test_a_run_without_its_checkpoints_is_not_wiped(trained, tmp_path, capsys):
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    before = files(tmp_path)
    assert main(["train", f"--run_dir={tmp_path}/run"]) == 2
    assert "starting anew would wipe them" in capsys.readouterr().err
    assert files(tmp_path) == before
    (tmp_path / "run" / "checkpoints").mkdir()  # as of a run that was killed before the first
    assert main(["train", f"--run_dir={tmp_path}/run"]) == 2
    assert files(tmp_path) == before


def test_a_run_killed_before_its_first_checkpoint_begins_again(trained, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    shutil.copy(trained / "run" / "config.json", run)
    (run / "metrics.jsonl").write_text('{"step": 1, "kind": "train", "d_loss": 2.0}\n')
    assert main(["train", f"--run_dir={run}"]) == 0
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [3]


def test_a_damaged_record_is_one_line(trained, tmp_path, capsys):
    shutil.copytree(trained / "run", tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_bytes(b'{"step": 1, "ki\n' + metrics.read_bytes())
    before = files(tmp_path)
    assert main(["train", f"--run_dir={tmp_path}/run", "--steps=5"]) == 2
    error = capsys.readouterr().err
    assert "metrics.jsonl is damaged: line 1 is no record" in error
    assert error.count("\n") == 1
    assert files(tmp_path) == before
