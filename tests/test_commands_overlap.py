"""`overlap` as a user sees it: what it writes of a run, and one line for a mistake."""

import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tf_diffaug.augment import registered_ops
from tf_diffaug.commands import main
from tf_diffaug.commands.overlap import cells_of

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "tf_diffaug", "overlap"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run of four steps, measured and saved at two of them."""
    # Its first import on a machine looks for fonts, and where that takes long, says so on stderr.
    importlib.import_module("matplotlib.font_manager")
    folder = tmp_path_factory.mktemp("trained")
    cache = pytest.MonkeyPatch()
    cache.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    flags = ["--width=2", "--num_images=16", "--batch_size=4", "--num_fakes=20", "--steps=4"]
    often = ["--eval_every=2", "--checkpoint_every=2", "--nodeterministic", "--noreport"]
    fast = ["--g_lr=0.05", "--ema_decay=0"]  # so that fakes differ from each other
    several = ["--metrics=fid,kid"]
    asked = ["train", f"--run_dir={folder}/run", *flags, *often, *fast, *several]
    assert main(asked) == 0
    yield folder
    cache.undo()


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """A folder of its own with a copy of the run."""
    shutil.copytree(trained / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    """The exit code of the command, in this process."""
    return main(["overlap", *arguments])


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def evaluated(folder, step):
    lines = map(json.loads, (folder / "run" / "metrics.jsonl").read_text().splitlines())
    (record,) = [line for line in lines if line["kind"] == "eval" and line["step"] == step]
    return record


def test_it_writes_every_value_with_its_protocol_and_a_plot(here, capsys):
    before = written(here)
    ops = "translation(fill=reflect),cutout:[0.5, 0.25],brightness:0"
    assert run("run", f"--ops={ops}", "--strengths=0.1,0.3", "--repeats=3") == 0
    new = ["run/overlap", "run/overlap/overlap.json", "run/overlap/overlap.png"]
    assert sorted(set(written(here)) - set(before)) == new
    record = json.loads((here / "run/overlap/overlap.json").read_text())
    found = [(cell["op"], cell["strength"], cell["policy"]) for cell in record["cells"]]
    assert found == [
        ("translation(fill=reflect)", 0.1, "translation(0.1, fill=reflect)"),
        ("translation(fill=reflect)", 0.3, "translation(0.3, fill=reflect)"),
        ("cutout", 0.5, "cutout"),
        ("cutout", 0.25, "cutout:0.25"),
        ("brightness", 0, "brightness:0"),
    ]
    # The first repeat's fakes are those of the run's own FID.
    last = evaluated(here, 4)
    assert record["fid"][0] == pytest.approx(last["fid"], rel=1e-4)
    assert len(set(record["fid"])) == 3
    for cell in record["cells"]:
        ratios = np.divide(cell["fid"], record["fid"])
        np.testing.assert_allclose(cell["ratio"], ratios, rtol=1e-12)
    np.testing.assert_allclose(record["cells"][-1]["ratio"], 1, rtol=1e-6)
    extra = {"repeats": 3, "seed": 0, "batch_size": 128}
    assert record["protocol"] == {**last["protocol"], **extra}
    assert record["checkpoint"] == "newest"
    assert "tensorflow" in record["versions"]
    picture = Image.open(here / "run/overlap/overlap.png").convert("L")
    assert min(picture.size) > 300
    assert np.asarray(picture).std() > 10
    said = capsys.readouterr()
    text = said.out
    assert "retracing" not in said.err
    assert "translation(fill=reflect)  0.1: " in text
    assert "step 4; emoji-cnn features, 20 fakes, 16 train images; 3 draws" in text


def test_a_checkpoint_a_seed_and_a_folder_may_be_chosen(here):
    flags = ["--ops=cutout", "--strengths=0.5", "--repeats=1"]
    being_saved = here / "run" / "checkpoints" / "step-6_temp"
    being_saved.mkdir()
    assert run("run", "--checkpoint=2", "--out=a/b", "--num_fakes=30", "--seed=3", *flags) == 0
    early = json.loads((here / "a/b/overlap.json").read_text())
    protocol = early["protocol"]
    assert (protocol["step"], protocol["num_fakes"], protocol["seed"]) == (2, 30, 3)
    assert not (here / "run" / "overlap").exists()
    assert being_saved.exists()
    assert run("run", "--checkpoint=best", "--out=best", *flags) == 0
    best = json.loads((here / "best" / "overlap.json").read_text())
    assert best["protocol"]["chosen_on_same_data"] is True
    assert best["fid"][0] == pytest.approx(min(evaluated(here, k)["fid"] for k in (2, 4)), rel=1e-4)


MISTAKES = {
    "no run given": ([], "RUN_DIR"),
    "two runs": (["run", "run"], "Received: 2: run run."),
    "no such run": (["nowhere"], "nowhere is not the folder of a run"),
    "unknown flag": (["run", "--opps=cutout"], "Did you mean --ops?"),
    "unknown op": (["run", "--ops=cutot"], "Did you mean 'cutout'?"),
    "unknown argument": (["run", "--ops=cutout(fil=black)"], "Did you mean 'fill'?"),
    "not the language": (["run", "--ops=cutout("], "bracket"),
    "no such strength": (["run", "--ops=cutout(strength=2)"], "from 0 to 1"),
    "no op": (["run", "--ops=none"], "--ops names no op"),
    "strength out of range": (["run", "--ops=cutout", "--strengths=0.1,2"], "from 0 to 1"),
    "strengths of words": (["run", "--strengths=0.1,much"], "--strengths=0.1,much"),
    "no strengths": (["run", "--strengths=,"], "--strengths takes numbers"),
    "strengths without end": (["run", "--strengths=inf"], "--strengths takes numbers"),
    "repeats": (["run", "--repeats=0"], "--repeats=0"),
    "repeats of words": (["run", "--repeats=few"], "--repeats takes a whole number"),
    "fakes": (["run", "--num_fakes=1"], "--num_fakes=1"),
    "checkpoint": (["run", "--checkpoint=last"], "--checkpoint is newest, best or a step"),
    "step": (["run", "--checkpoint=3"], "checkpoints of steps 2, 4"),
    "features": (["run", "--fid_features=emoji-cmm"], "emoji-cnn"),
    "no features": (["run", "--fid_features=none"], "--fid_features="),
    "file in the way": (["run", "--out=run/config.json"], "--out"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(here, capsys, mistake):
    arguments, expected = MISTAKES[mistake]
    before = written(here)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("tf-diffaug overlap: ")
    assert error.count("\n") == 1
    assert expected in error
    assert written(here) == before


def test_results_are_replaced_only_where_that_is_asked_for(here, capsys):
    flags = ["run", "--ops=cutout", "--strengths=0.5", "--repeats=1"]
    results = here / "run" / "overlap" / "overlap.json"
    results.parent.mkdir()
    results.write_text("{}")
    assert run(*flags) == 2
    error = capsys.readouterr().err
    assert "run/overlap/overlap.json exists. Add --overwrite, or choose another --out." in error
    assert results.read_text() == "{}"
    assert run(*flags, "--overwrite") == 0
    assert json.loads(results.read_text())["checkpoint"] == "newest"


def test_other_images_are_a_mistake(here, capsys):
    path = here / "run" / "config.json"
    path.write_text(path.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    assert run("run", "--ops=cutout") == 2
    assert "was trained on other images" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_one_line(here, capsys):
    (here / "run" / "checkpoints" / "step-4.index").write_bytes(b"damaged")
    assert run("run", "--ops=cutout") == 3
    error = capsys.readouterr().err
    assert "step-4 can't be restored" in error
    assert error.count("\n") == 1


def test_a_run_without_checkpoints_is_a_mistake(here, capsys):
    shutil.rmtree(here / "run" / "checkpoints")
    assert run("run", "--ops=cutout") == 2
    assert "has no checkpoint" in capsys.readouterr().err


def test_a_strength_may_go_by_its_name():
    by_name = "cutout(strength=0.3), zoomout(fill=zero, strength=[0.1, 0.2])"
    by_place = "cutout:0.3, zoomout([0.1, 0.2], fill=zero)"
    assert cells_of(by_name, (0.5,)) == cells_of(by_place, (0.5,))


def test_by_default_the_ops_are_those_of_the_papers_figure():
    names = {"greenness", "mixup", "translation", "instance_noise"} & set(registered_ops())
    found = cells_of(None, [0.1, 0.2])
    assert {cell.op.split("(")[0] for cell in found} == names
    assert ("translation(fill=reflect)", 0.2, "translation(0.2, fill=reflect)") in found
    noise = [cell.strength for cell in found if cell.op == "instance_noise"]
    assert noise == ([0.02, 0.04, 0.06, 0.08, 0.1] if "instance_noise" in names else [])


def test_the_console_is_clean(here):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run(
        [*COMMAND, "run", "--ops=cutout:0.5", "--repeats=1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # stderr is the progress bar alone.
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert all("image" in line for line in lines), lines
    assert done.stdout.startswith("FID(real, fake) ")
    wrong = subprocess.run(
        [*COMMAND, "run", "--repeats=x"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
