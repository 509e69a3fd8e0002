"""Interrupts small runs in many ways, and holds their weights against an undisturbed run's.

    python tools/soak.py --minutes=20

Each round starts a run, does one thing to it at a random moment, and starts it again until it is
finished. Half of the rounds have two workers. At the end a table says how often each fault was
injected, how often a run went on, and in how many runs a bit of the weights differs; the exit code
is 1 if one does, or if a run could not go on.
"""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import rich.box
import rich.console
import rich.table
import tensorflow as tf

from tools.launch_local import start

STEPS = 24
FLAGS = [
    *("--policy=color,translation,cutout", "--regularizers=r1:0.1", "--width=2", "--batch_size=4"),
    *(f"--steps={STEPS}", "--log_every=4", "--sample_every=6", "--eval_every=8", "--num_fakes=64"),
    *("--checkpoint_every=3", "--fid_features=emoji-cnn"),
]
# One thread: else TensorFlow's own sums now and then differ in the last bit on a busy machine.
ENVIRONMENT = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
FINISHED, USER_ERROR, STOPPED = 0, 2, 75


class Run:
    """A run directory, and the processes that train it."""

    def __init__(self, path: pathlib.Path, workers: int) -> None:
        self.path = path
        self.workers = workers
        self.processes: list[subprocess.Popen] = []

    def start(self, *flags: str) -> None:
        """Starts it, or goes on."""
        given = [*FLAGS, *flags, f"--run_dir={self.path}"]
        if self.workers > 1:
            self.processes = start(self.workers, given, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
            return
        command = [sys.executable, "-m", "tf_diffaug", "train", *given]
        self.processes = [
            subprocess.Popen(
                command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
            )
        ]

    def wait(self) -> int:
        """The first exit code that is not 0 of its processes, or 0."""
        codes = [process.wait(timeout=600) for process in self.processes]
        return next((code for code in codes if code), 0)

    def send(self, number: int, *, to: int | None = None) -> None:
        """Sends a signal to one of its processes, or all."""
        for process in self.processes if to is None else [self.processes[to]]:
            process.send_signal(number)

    def weights(self) -> dict[str, bytes]:
        """The bytes of the weights in its newest checkpoint, by name."""
        reader = tf.train.load_checkpoint(str(self.path / "checkpoints"))
        names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE")]
        return {n: reader.get_tensor(n).tobytes() for n in names if "save_counter" not in n}


def kill_all(run: Run, moment: float, rng: random.Random) -> None:
    """SIGKILL"""
    time.sleep(moment)
    run.send(signal.SIGKILL)


def kill_one(run: Run, moment: float, rng: random.Random) -> None:
    """SIGKILL of one worker"""
    time.sleep(moment)
    run.send(signal.SIGKILL, to=rng.randrange(run.workers))


def stop_one(run: Run, moment: float, rng: random.Random) -> None:
    """SIGTERM"""
    time.sleep(moment)
    run.send(signal.SIGTERM, to=rng.randrange(run.workers))


def damage(run: Run, moment: float, rng: random.Random) -> None:
    """SIGKILL, then a bit of the newest checkpoint flipped or its end cut off"""
    kill_all(run, moment, rng)
    if run.wait() == FINISHED:  # a finished run takes no checkpoint up
        return
    files = sorted((run.path / "checkpoints").glob("step-*.data*"), key=os.path.getmtime)
    if len(files) < 2:  # of a single checkpoint nothing is left to fall back to
        return
    content = bytearray(files[-1].read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    files[-1].write_bytes(content if rng.random() < 0.5 else content[: rng.randrange(len(content))])


def start_twice(run: Run, moment: float, rng: random.Random) -> None:
    """A second process on the run directory"""
    time.sleep(moment)
    if (run.path / "config.json").exists():
        second = Run(run.path, 1)
        second.start("--strategy=one_device")
        # It is refused, or finds the run finished.
        assert second.wait() in (USER_ERROR, FINISHED)


def turn_the_clock_back(run: Run, moment: float, rng: random.Random) -> None:
    """SIGKILL, then files of a time to come, as after a clock that was set back"""
    kill_all(run, moment, rng)
    run.wait()
    for file in run.path.rglob("*"):
        os.utime(file, (time.time() + 86_400 * rng.random(),) * 2)


FAULTS: tuple[Callable[[Run, float, random.Random], None], ...] = (
    *(kill_all, kill_one, stop_one, damage, start_twice, turn_the_clock_back),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="begin no round after so many")
    parser.add_argument("--rounds", type=int, default=50, help="of faults at most")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and faults")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    rng = random.Random(arguments.seed)
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    whole = {workers: _undisturbed(folder / f"whole-{workers}", workers) for workers in (1, 2)}
    for number in range(arguments.rounds):
        if time.monotonic() > end:
            break
        workers = 1 + number % 2
        fault = FAULTS[(number // 2) % len(FAULTS)]
        seconds, expected = whole[workers]
        run = Run(folder / f"round-{number}", workers)
        row = counts[f"{fault.__doc__}, {workers} worker(s)"]
        row["injected"] += 1
        run.start()
        fault(run, rng.uniform(0.1, 1.0) * seconds, rng)
        if run.wait() != FINISHED:
            run.start()
            row["resumed"] += 1
            if run.wait() != FINISHED:
                row["failed"] += 1
                continue
        row["differ"] += run.weights() != expected
        shutil.rmtree(run.path)
    rich.console.Console().print(_table(counts))
    bad = sum(row["failed"] + row["differ"] for row in counts.values())
    print(f"What is left of runs that failed: {folder}" if bad else "No bit differs.")
    if not bad:
        shutil.rmtree(folder)
    return bool(bad)


def _undisturbed(path: pathlib.Path, workers: int) -> tuple[float, dict[str, bytes]]:
    """How long a run takes that is left alone, and its weights."""
    run, begin = Run(path, workers), time.monotonic()
    run.start()
    if run.wait() != FINISHED:
        sys.exit(f"The run without faults failed: {path}.")
    return time.monotonic() - begin, run.weights()


def _table(counts: dict[str, collections.Counter]) -> rich.table.Table:
    table = rich.table.Table("fault", box=rich.box.SIMPLE)
    columns = ("injected", "resumed", "failed", "differ")
    for column in columns:
        table.add_column(column, justify="right")
    for fault, row in counts.items():
        table.add_row(fault, *(str(row[column]) for column in columns))
    return table


if __name__ == "__main__":
    sys.exit(main())
