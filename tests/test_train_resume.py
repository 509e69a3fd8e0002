"""A run that is killed and started again ends with the bits of one that was left alone."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import tensorflow as tf

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 60
FLAGS = [
    *("--policy=color,translation,cutout", "--regularizers=r1:0.1", "--d_steps=2"),
    *("--width=4", "--batch_size=8", f"--steps={STEPS}", "--log_every=10"),
    *("--checkpoint_every=10", "--sample_every=20", "--eval_every=15", "--num_fakes=150"),
    # More fakes than reals, so that KID's subsets are drawn.
    *("--metrics=fid,kid,precision,recall", "--best_by=kid", "--ema_decay=0.5"),
    "--noreport",
]


# One thread: with several TensorFlow's own sums now and then differ in the last bit on a machine
# that is busy otherwise, which is nothing that a resume could mend.
ENVIRONMENT = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def start(run_dir):
    return subprocess.Popen(
        [sys.executable, "train.py", *FLAGS, f"--run_dir={run_dir}"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def interrupt(run_dir, step, number):
    """Starts the run, sends it a signal once it has saved a step, returns its exit code."""
    process = start(run_dir)
    deadline = time.monotonic() + 600
    while not (run_dir / "checkpoints" / f"step-{step}.index").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=600)
    return process.returncode


def finish(run_dir):
    process = start(run_dir)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def state(run_dir):
    path = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE")]
    return {name: reader.get_tensor(name) for name in names if "save_counter" not in name}


def test_killed_stopped_and_left_alone_end_alike(tmp_path):
    alone, broken = tmp_path / "alone", tmp_path / "broken"
    finish(alone)
    assert interrupt(broken, 20, signal.SIGKILL) == -signal.SIGKILL
    assert interrupt(broken, 40, signal.SIGTERM) == os.EX_TEMPFAIL
    finish(broken)

    expected, found = state(alone), state(broken)
    assert len(expected) > 50
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)

    for name in ("0000060.png", "0000020.png"):
        sample = pathlib.Path("samples") / name
        assert (alone / sample).read_bytes() == (broken / sample).read_bytes()
    records = {
        path: [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        for path in (alone, broken)
    }
    evaluated = {
        path: [record for record in found if record["kind"] == "eval"]
        for path, found in records.items()
    }
    assert evaluated[alone] == evaluated[broken]
    assert [record["step"] for record in evaluated[alone]] == [15, 30, 45, 60]
    assert {"fid", "kid", "kid_stderr", "precision", "recall"} <= evaluated[alone][0].keys()
    kids = [record["kid"] for record in evaluated[alone]]
    assert len(set(kids)) == 4
    chosen = f"step-{15 * (1 + kids.index(min(kids)))}.index"
    for path in (alone, broken):
        assert [p.name for p in (path / "checkpoints" / "best").glob("*.index")] == [chosen]
    steps = [record["step"] for record in records[broken] if record["kind"] == "train"]
    assert steps == list(range(10, STEPS + 1, 10))

    assert "finished" in finish(broken)
