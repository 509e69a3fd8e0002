"""A run that is killed and started again ends with the bits of one that was left alone."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.runs import assert_same_bits, interrupt, records

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 60
COMMON = ["--width=4", "--batch_size=8", "--noreport"]
FLAGS = [
    *COMMON,
    *("--policy=color,translation,cutout", "--regularizers=r1:cosine(1, 0.1, images=300)"),
    *("--d_steps=2", "--policy_probability=linear(0, 1, images=400)"),
    *("--g_lr=cosine(2e-4, 5e-5, images=450)", "--beta2=cosine(0.9, 0.99, images=400)"),
    *(f"--steps={STEPS}", "--log_every=10"),
    *("--checkpoint_every=10", "--sample_every=20", "--eval_every=15", "--num_fakes=150"),
    # More fakes than reals, so that KID's subsets are drawn.
    *("--metrics=fid,kid,precision,recall", "--best_by=kid"),
    *("--ema_half_life=linear(0, 100, images=400)", "--ema_ramp=none"),
]
# What else a run carries from step to step: queues, a momentum D, adaptive values, heads.
LATER = {
    "terms": [
        "--model=sndcgan(normalization=chain)",
        "--policy=color,translation",
        "--regularizers=augself,chain(20, start=0),diggan,insgen,fakeclr",
    ],
    "diffusion": ["--policy=color,diffusion_noise", "--regularizers=diffusion(0.6, kimg=0.5)"],
    "fastgan": ["--model=fastgan", "--loss=smooth_hinge", "--regularizers=reconstruction"],
    "r3gan": [
        *("--model=r3gan", "--width=32", "--loss=relativistic", "--regularizers=r1:0.05,r2:0.05"),
    ],
}


# One thread: with several TensorFlow's own sums now and then differ in the last bit on a machine
# that is busy otherwise, which is nothing that a resume could mend.
ENVIRONMENT = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def start(run_dir, flags=FLAGS):
    return subprocess.Popen(
        [sys.executable, "train.py", *flags, f"--run_dir={run_dir}"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def interrupted(run_dir, step, number, flags=FLAGS):
    """The exit code of a run that gets a signal once it has saved a step."""
    process = start(run_dir, flags)
    interrupt([process], run_dir, number, step=step)
    process.communicate(timeout=600)
    return process.returncode


def finish(run_dir, flags=FLAGS):
    process = start(run_dir, flags)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


@pytest.mark.one_stack
def test_killed_stopped_and_left_alone_end_alike(tmp_path):
    alone, broken = tmp_path / "alone", tmp_path / "broken"
    finish(alone)
    assert interrupted(broken, 20, signal.SIGKILL) == -signal.SIGKILL
    assert interrupted(broken, 40, signal.SIGTERM) == os.EX_TEMPFAIL
    finish(broken)

    assert_same_bits(alone, broken)

    for name in ("0000060.png", "0000020.png"):
        sample = pathlib.Path("samples") / name
        assert (alone / sample).read_bytes() == (broken / sample).read_bytes()
    evaluated = {path: records(path, "eval") for path in (alone, broken)}
    assert evaluated[alone] == evaluated[broken]
    assert [record["step"] for record in evaluated[alone]] == [15, 30, 45, 60]
    assert {"fid", "kid", "kid_stderr", "precision", "recall"} <= evaluated[alone][0].keys()
    kids = [record["kid"] for record in evaluated[alone]]
    assert len(set(kids)) == 4
    chosen = f"step-{15 * (1 + kids.index(min(kids)))}.index"
    for path in (alone, broken):
        assert [p.name for p in (path / "checkpoints" / "best").glob("*.index")] == [chosen]
    steps = [record["step"] for record in records(broken, "train")]
    assert steps == list(range(10, STEPS + 1, 10))

    assert "finished" in finish(broken)


@pytest.mark.slow
@pytest.mark.parametrize("name", LATER)
def test_so_do_those_of_the_later_methods(tmp_path, name):
    flags = [*COMMON, *LATER[name], "--steps=24", "--log_every=4", "--checkpoint_every=4"]
    flags += ["--eval_every=0", "--sample_every=0", "--fid_features=none"]
    alone, broken = tmp_path / "alone", tmp_path / "broken"
    finish(alone, flags)
    assert interrupted(broken, 12, signal.SIGKILL, flags) == -signal.SIGKILL
    finish(broken, flags)
    assert_same_bits(alone, broken)
    steps = [record["step"] for record in records(broken, "train")]
    assert steps == list(range(4, 25, 4))
