"""`study` as a user sees it: lists, mistakes, cells in processes of their own, what it draws."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.runs import paint
from tests.study_lines import make_line, make_study
from tf_diffaug.commands import main
from tf_diffaug.commands.cell import CellRunner, Stopped
from tf_diffaug.commands.study import Asked
from tf_diffaug.data import load
from tf_diffaug.errors import UserError
from tf_diffaug.runs import Config
from tf_diffaug.runs.saved import make_saved
from tf_diffaug.studies.registry import STUDIES
from tf_diffaug.studies.results import Place
from tf_diffaug.studies.work import CellFailure

ROOT = pathlib.Path(__file__).resolve().parents[1]
# A run of seconds on the embedded faces.
TINY = (
    "dataset=emoji_faces fid_features=emoji-cnn fid_split=auto steps=4 eval_every=2 width=2 "
    "num_fakes=20 batch_size=4 num_images=16 log_every=1 sample_every=0 eval_batch_norm=moving"
)


def run(*arguments):
    return main(["study", *arguments])


def test_the_list_has_every_study_with_its_cells_and_hours_at_each_scale(capsys):
    assert run("--list") == 0
    text = capsys.readouterr().out
    for name, study in STUDIES.items():
        block = text[text.index(f"{name}: {study.title}") :].split("\n\n")[0].splitlines()
        assert [line.split()[0] for line in block[-3:]] == ["paper", "gpu", "cpu"]
        for line, scale in zip(block[-3:], study.setups, strict=True):
            assert f" {len(study.cells(scale))} cells" in line
            assert line.endswith(study.setups[scale].basis)
            assert study.hours(scale) is None or " h on " in line


MISTAKES = {
    "no study": (
        [],
        "one study is needed, as in study reals-only; --list has them. Received: none.",
    ),
    "two": (["places", "policies"], "Received: 2: places policies."),
    "unknown": (["place"], "Unknown study 'place'. Did you mean 'places'?"),
    "scale": (["places", "--scale=tiny"], "Unknown scale 'tiny'. Choose from paper, gpu, cpu."),
    "seeds": (
        ["places", "--seeds=0"],
        "--seeds is how many, from 1 to 1,000. Received: --seeds=0.",
    ),
    "only": (["places", "--only=bth*"], "Received: --only=bth*."),
    "more": (["places", "--more=--steps=3"], "Received: --more=--steps=3."),
    "more of nothing": (["places", "--more=stps=3"], "unknown flag --stps. Did you mean --steps?"),
    "more out of range": (["places", "--more=steps=0"], "--steps must be at least 1"),
    "an open quote": (["places", "--more=policy='cutout"], "Received: --more=policy='cutout."),
    "images": (["hundred-shot"], "hundred-shot is for images of your own: add --dataset="),
    "nothing to draw": (["places", "--draw"], "has no line of places yet: run it without --draw"),
    "flag": (["places", "--sede=3"], "Did you mean --seeds?"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(here, capsys, mistake):
    arguments, expected = MISTAKES[mistake]
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("tf-diffaug study: ")
    assert error.count("\n") == 1
    assert expected in error
    assert list(here.iterdir()) == []


def test_it_draws_and_decides_from_lines_alone(here, capsys):
    place = Place("there", "cpu")
    for cell in STUDIES["cntr-and-bcr"].cells("cpu"):
        fid = {"none": 20.0, "cntr": 15.0, "bcr": 12.0, "cntr+bcr": 9.0}[cell.arm.name]
        place.add(make_line(cell, fids=[fid + cell.seed * 0.1] * 6))
    assert run("cntr-and-bcr", "--draw", "--folder=there") == 0
    said = capsys.readouterr().out
    assert "  8   holds          The contrastive loss helps" in said
    assert "In there/cpu: cntr-and-bcr.md, cntr-and-bcr.png, cntr-and-bcr-curves.png" in said
    text = (place.path / "cntr-and-bcr.md").read_text()
    assert "| cntr | 3 | 15.1 ± 0.1 | 15 |" in text
    assert "bcr above that of cntr+bcr: 3 (3 to 3, 3 seeds)" in text
    assert (place.path / "cntr-and-bcr.png").read_bytes().startswith(b"\x89PNG")
    # What was drawn of runs that are gone stays on the page.
    assert "samples" not in text
    (place.path / "cntr-and-bcr-samples.png").write_bytes(b"drawn before")
    assert run("cntr-and-bcr", "--draw", "--folder=there") == 0
    assert "(cntr-and-bcr-samples.png)" in (place.path / "cntr-and-bcr.md").read_text()


def test_images_of_one_name_do_not_share_results(here, capsys):
    for folder in ("cats", "dogs"):
        paint(here / folder / "train", side=64 if folder == "cats" else 80)
    asked = ["hundred-shot", "--seeds=1", "--folder=there"]
    cats, dogs = (
        STUDIES["hundred-shot"].cells("cpu", [0], more=f"dataset=folder:{name}/train")
        for name in ("cats", "dogs")
    )
    place = Place("there", "cpu")
    images = load("folder:cats/train", resolution=64).fingerprint
    for cell in cats:
        place.add(make_line(cell, images=images))
    assert [cell.key for cell in cats] == [cell.key for cell in dogs]
    assert run(*asked, "--dataset=folder:cats/train") == 0
    capsys.readouterr()
    for more in ([], ["--draw"]):
        assert run(*asked, *more, "--dataset=folder:dogs/train") == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "Give these another --folder. Received: --dataset=folder:dogs/train." in error
    # Lines can be drawn where the images no longer are.
    assert run(*asked, "--draw", "--dataset=folder:elsewhere/train") == 0


def test_a_run_that_was_begun_with_other_images_of_the_name_does_not_go_on(here, capsys):
    paint(here / "dogs" / "train", side=64)
    more = "dataset=folder:dogs/train"
    cell = STUDIES["hundred-shot"].cells("cpu", [0], more=more)[1]
    directory = Place("there", "cpu").run_dir(cell)
    directory.mkdir(parents=True)
    config = Config(dataset="folder:cats/train", fid_features="none")
    saved = make_saved(config, data={"fingerprint": "0" * 64}, replicas=1)
    (directory / "config.json").write_text(json.dumps(saved))
    assert run("hundred-shot", "--folder=there", "--seeds=1", "--dataset=folder:dogs/train") == 2
    assert "an unfinished run of diffaugment seed 0 of other images" in capsys.readouterr().err


def test_a_page_is_of_one_key_s_images():
    names = [f"folder:{path}" for path in ("photos", "photos.zip", "photos.old/", "a:photos")]
    pages = [Asked(name="hundred-shot", dataset=name).file_name for name in names]
    assert pages == [
        f"hundred-shot-{end}" for end in ("photos", "photos.zip", "photos.old", "photos")
    ]


def runner(tmp_path, script):
    """Of commands that are a script."""
    place = Place(tmp_path, "cpu")
    return CellRunner(place, program=[sys.executable, "-c", script])


def attempt(run_cell, report=lambda step, metrics: None):
    cell = make_study().cells("cpu", [0])[1]
    place = Place(run_cell._place.path.parent, "cpu")
    with place.claimed(cell) as lock:
        return run_cell(cell, lock, report)


def ending(code, *lines):
    return f"import sys; print(*{lines!r}, sep='\\n'); sys.exit({code})"


def test_a_loss_that_is_not_finite_is_a_result(tmp_path):
    said = "tf-diffaug train: Training failed in step 1,234: d_loss is nan, g_loss is inf. The last"
    line = attempt(runner(tmp_path, ending(3, "a table", f"{said} good checkpoint: x.")))
    assert line["diverged"]
    assert line["outcome"] == "diverged at step 1,234: d_loss is nan, g_loss is inf"


def test_a_mistake_in_a_cell_is_the_user_s(tmp_path):
    with pytest.raises(UserError, match=r"^bcr 0.1 seed 0: tf-diffaug train: no such images\.$"):
        attempt(runner(tmp_path, ending(2, "tf-diffaug train: no such images.")))


@pytest.mark.parametrize("code", [3, 1])
def test_another_failure_is_told_with_its_log(tmp_path, code):
    with pytest.raises(CellFailure, match=rf"train ended with {code}: No space left.*\.log\)$"):
        attempt(runner(tmp_path, ending(code, "more", "No space left")))


def test_how_far_a_measurement_is_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("tf_diffaug.commands.cell._LOOK", 0.01)
    script = (
        "import pathlib, sys, time\n"
        "print('99%|', flush=True)\n"
        "if sys.argv[1] == 'train':\n"
        "    run = pathlib.Path(next(a[10:] for a in sys.argv if a.startswith('--run_dir=')))\n"
        "    run.mkdir(parents=True)\n"
        '    (run / \'metrics.jsonl\').write_text(\'{"step": 100, "kind": "train"}\\n\')\n'
        "else:\n"
        "    print('5%|\\r 42%|', end='', flush=True)\n"
        "    time.sleep(1)"
    )
    told = []
    attempt(runner(tmp_path, script), lambda *report: told.append(report))
    assert told[-1] == (100, {"evaluate %": 42.0})


def test_a_signal_goes_to_the_command_which_saves_first(tmp_path):
    script = (
        "import pathlib, signal, sys, time\n"
        f"saved = pathlib.Path({str(tmp_path)!r}, 'saved')\n"
        "signal.signal(signal.SIGTERM, lambda *_: (saved.touch(), sys.exit(75)))\n"
        f"pathlib.Path({str(tmp_path)!r}, 'ready').touch()\n"
        "time.sleep(60)"
    )
    run_cell = runner(tmp_path, script)

    def stop():
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        run_cell.stop(signal.SIGINT)

    threading.Thread(target=stop).start()
    with pytest.raises(Stopped):
        attempt(run_cell)
    assert (tmp_path / "saved").exists()


def test_a_command_that_outlives_its_study_keeps_the_cell(tmp_path):
    pid = tmp_path / "pid"
    script = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    parent = (
        "import sys\n"
        "from tests.test_commands_study import attempt, runner\n"
        "import pathlib\n"
        f"attempt(runner(pathlib.Path({str(tmp_path)!r}), {script + '; time.sleep(60)'!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not pid.exists() or not pid.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    cell = make_study().cells("cpu", [0])[1]
    with Place(tmp_path, "cpu").claimed(cell) as lock:
        assert lock is None
    os.kill(int(pid.read_text()), signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with Place(tmp_path, "cpu").claimed(cell) as lock:
            if lock is not None:
                return
        time.sleep(0.05)
    pytest.fail("the lock outlived the command")


@pytest.mark.slow
def test_a_real_cell_is_trained_measured_and_not_done_again(here, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    asked = ["overlap", f"--more={TINY}", "--seeds=1"]
    assert run(*asked) == 0
    said = capsys.readouterr().out
    assert "1 of 1 cells run; 0 were done before." in said
    (line,) = map(json.loads, (here / "studies/cpu/results.jsonl").read_text().splitlines())
    assert (line["outcome"], line["step"], line["curves"]["step"]) == ("finished", 4, [2, 4])
    assert {"fid", "kid", "mind", "r_t"} <= set(line["curves"])
    assert {"fid", "kid", "mind", "auth_pct"} <= set(line["evaluation"])
    assert set(line["overlap"]["translation(fill=reflect)"]) == {"0.1", "0.2", "0.3", "0.4", "0.5"}
    assert line["recipe"]["num_images"] == 16
    assert not {"run_dir", "data_dir"} & set(line["recipe"])
    assert line["protocol"]["num_fakes"] == 20
    assert "tensorflow" in line["versions"]
    assert {path.name for path in (here / "studies/cpu").glob("overlap*")} == {
        "overlap.md",
        "overlap.png",
        "overlap-samples.png",
    }
    assert run(*asked) == 0
    assert "0 of 1 cells run; 1 were done before." in capsys.readouterr().out
