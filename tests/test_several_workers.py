"""Several workers on this machine train what one device does, and end together."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.runs import assert_same_bits, interrupt, records, state
from tf_diffaug._keras import KERAS_3
from tools.launch_local import start

# All of them take a quarter of an hour on two cores: make test-workers, with either stack.
ALL = "TEST_WORKERS" in os.environ
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(KERAS_3 and not ALL, reason="on Keras 3 by make test-workers"),
]

STEPS = 20
FAILED = 3
# One thread: else TensorFlow's own sums now and then differ in the last bit on a busy machine.
ENVIRONMENT = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
ENVIRONMENT.pop("TF_CONFIG", None)
FLAGS = [
    *("--width=4", f"--steps={STEPS}", "--log_every=5", "--num_fakes=150"),
    *("--sample_every=10", "--eval_every=10", "--checkpoint_every=4", "--noreport"),
    *("--fid_features=emoji-cnn", "--policy=color,translation,cutout"),
]
# Adam makes whole steps of what is rounding, as of the gradient of a bias before a batch norm:
# after 20 of its usual ones two runs are far apart. With these the gradients are what is compared,
# in its moments; tests/test_cells.py has the weights.
CAREFUL = ["--g_lr=1e-7", "--d_lr=1e-7"]
# What is most unlike: batch norm, labels with several D steps, penalties that are due now and then.
CASES = {
    "sndcgan": ["--batch_size=12", "--regularizers=r1:0.1"],
    "stylegan2": [  # whose discriminator compares 4 images of a worker's own
        *("--model=stylegan2", "--batch_size=24", "--loss=non_saturating"),
        "--regularizers=r1(10, every=4),path_length",
    ],
    "bcr": ["--batch_size=12", "--regularizers=bcr:10,lecam", "--augment=none", "--d_steps=2"],
    "ada": ["--batch_size=12", "--regularizers=ada(kimg=1)", "--loss=wasserstein"],
}


def launch(run_dir, *flags, workers=2):
    given = [*FLAGS, *flags, f"--run_dir={run_dir}"]
    return start(workers, given, env=ENVIRONMENT, stdout=subprocess.PIPE)


def ended(processes):
    """The exit codes and outputs; a worker that waits for ever is an error."""
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    return [process.returncode for process in processes], outputs


@pytest.fixture(autouse=True)
def none_stay(monkeypatch):
    started = []
    popen = subprocess.Popen

    def noted(*given, **options):
        started.append(popen(*given, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    yield
    for process in started:
        process.kill()
        process.communicate()


def finish(run_dir, *flags, workers=2):
    codes, outputs = ended(launch(run_dir, *flags, workers=workers))
    assert codes == [0] * workers, "\n".join(outputs)
    return outputs


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_they_train_what_one_device_does(tmp_path, case, workers):
    if not ALL and (case, workers) != ("sndcgan", 2):
        pytest.skip("by make test-workers")
    one, several = tmp_path / "one", tmp_path / "several"
    flags = [*CAREFUL, *CASES[case]]
    command = [sys.executable, "-m", "tf_diffaug", "train", *FLAGS, *flags]
    subprocess.run([*command, f"--run_dir={one}"], env=ENVIRONMENT, check=True, capture_output=True)
    finish(several, *flags, workers=workers)
    expected, found = state(one), state(several)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        room = 1e-4 * np.abs(value).max() + 1e-5
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=room, err_msg=name)
    for alone, shared in zip(records(one, "eval"), records(several, "eval"), strict=True):
        assert shared["fid"] == pytest.approx(alone["fid"], rel=1e-4)
        assert shared["protocol"] == alone["protocol"]
    for alone, shared in zip(records(one, "train"), records(several, "train"), strict=True):
        for term in ("d_loss", "g_loss"):
            assert shared[term] == pytest.approx(alone[term], rel=1e-4, abs=1e-5)


def said(output):
    """The lines of an output that are ours: TensorFlow's runtime logs as it likes."""
    logs = re.compile(r"[IWEF]\d{4} |WARNING: All log messages before absl::InitializeLog")
    return [line for line in output.splitlines() if not logs.match(line)]


def interrupted(run_dir, which, number, *, step="*"):
    """What comes of two workers of which some get a signal once they have saved a step."""
    processes = launch(run_dir, "--batch_size=12")
    sent = interrupt(processes, run_dir, number, which=which, step=step)
    if number == signal.SIGSTOP:
        (other,) = {0, 1} - {*which}
        processes[other].wait(timeout=240)
        for index in which:
            processes[index].kill()
    codes, outputs = ended(processes)
    return codes, outputs, time.monotonic() - sent


def test_killed_and_stopped_they_end_together_and_go_on_to_the_same_bits(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    outputs = finish(whole, "--batch_size=12")
    assert "waits for 127.0.0.1:" in outputs[0]
    (only,) = said(outputs[1])
    assert only.endswith("prints and writes the run.")
    # One run, struck again each time it has saved a step more: each start of two workers takes
    # half a minute.
    killed = [[0], [1], *([[0, 1]] if ALL else [])]
    for which, step in zip(killed, (4, 8, 12), strict=False):
        codes, outputs, seconds = interrupted(broken, which, signal.SIGKILL, step=step)
        for index in range(2):
            if index in which:
                assert codes[index] == -signal.SIGKILL
            else:
                assert codes[index] == FAILED, outputs[index]
                assert "Another worker is gone" in outputs[index].splitlines()[-1]
        assert seconds < 60
    codes, outputs, _ = interrupted(broken, [1], signal.SIGTERM, step=16)
    assert codes == [os.EX_TEMPFAIL] * 2, outputs
    assert "the same command goes on" in outputs[0]
    finish(broken, "--batch_size=12")
    assert_same_bits(whole, broken)


@pytest.mark.skipif(not ALL, reason="by make test-workers")
@pytest.mark.parametrize("index", [0, 1])
def test_the_other_ends_when_one_hangs(tmp_path, index):
    # As if its machine were lost: no connection is closed, and nothing answers.
    codes, outputs, _ = interrupted(tmp_path / "run", [index], signal.SIGSTOP)
    assert codes[1 - index] == FAILED, outputs[1 - index]
    assert "Another worker is gone" in outputs[1 - index].splitlines()[-1]


def test_workers_of_other_flags_are_refused(tmp_path):
    processes = launch(tmp_path / "run", "--batch_size=12")
    config = json.loads(json.dumps(processes[1].args))
    processes[1].kill()
    # The other one again, with another seed, at the same address.
    with open(f"/proc/{processes[0].pid}/environ", "rb") as file:
        pairs = dict(pair.split(b"=", 1) for pair in file.read().split(b"\0") if b"=" in pair)
    cluster = json.loads(pairs[b"TF_CONFIG"])
    cluster["task"]["index"] = 1
    environment = {**ENVIRONMENT, "TF_CONFIG": json.dumps(cluster)}
    processes[1] = subprocess.Popen(
        [*config, "--seed=1"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    codes, outputs = ended(processes)
    assert codes == [2, 2], outputs
    assert all("Received: other settings" in output for output in outputs)
    assert not (tmp_path / "run").exists()
