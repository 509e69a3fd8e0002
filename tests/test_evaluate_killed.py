"""An evaluation that is killed loses nothing that was recorded, and the same command ends it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.runs import save_run
from tf_diffaug.runs import CheckpointStore, load_run

ROOT = pathlib.Path(__file__).parent.parent
STEPS = [0, 1, 2, 3]


def start(run):
    flags = ["--checkpoint=all", "--num_fakes=2000", "--seeds=2"]
    return subprocess.Popen(
        [sys.executable, "-m", "tf_diffaug", "evaluate", str(run), *flags],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(run.parent / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def records(run):
    path = run / "evaluations.jsonl"
    content = path.read_text() if path.exists() else ""
    assert content == "" or content.endswith("\n")
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.slow
@pytest.mark.one_stack
def test_a_killed_evaluation_is_ended_by_the_same_command(tmp_path):
    run = save_run(tmp_path, fid_features="emoji-cnn")
    loaded = load_run(run)
    store = CheckpointStore(loaded.gan, loaded.directory.checkpoints, keep=len(STEPS))
    for step in STEPS[1:]:
        loaded.gan.step.assign(step)
        store.save()
    process, deadline = start(run), time.monotonic() + 600
    while not records(run):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL
    kept = records(run)
    assert 1 <= len(kept) < len(STEPS)
    hidden = [path.name for path in run.rglob(".*")]
    again = start(run)
    output, _ = again.communicate(timeout=600)
    assert again.returncode == 0, output
    found = records(run)
    assert found[: len(kept)] == kept
    assert [record["step"] for record in found[len(kept) :]] == STEPS
    assert found[0]["values"] == found[len(kept)]["values"]
    assert hidden == []
