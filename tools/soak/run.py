"""A run directory and the processes that train it, as someone sees them who reads what they say."""

from __future__ import annotations

import collections
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time

import tensorflow as tf

from tools.launch_local import spawn

TOLD = "tools.soak.told"
EVERY = 4
FLAGS = [
    *("--policy=color,translation,cutout", "--regularizers=r1:0.1", "--width=2", "--batch_size=4"),
    *(f"--log_every={EVERY}", f"--sample_every={EVERY}", f"--eval_every={EVERY}", "--num_fakes=32"),
    *(f"--checkpoint_every={EVERY // 2}", "--fid_features=emoji-cnn", "--resolution=32"),
]
# One thread: else TensorFlow's own sums now and then differ in the last bit on a busy machine.
ENVIRONMENT = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
ENVIRONMENT.pop("TF_CONFIG", None)
FINISHED, USER_ERROR, FAILED, STOPPED = 0, 2, 3, 75
# Seconds in which a process says something, or ends.
PATIENCE = 180.0


class Wrong(Exception):
    """Something that must not be: what, and what was said before."""


class Run:
    """A run directory, and the processes that train it.

    Args:
        path: the directory.
        dataset: the folder of the images.
        workers: how many processes train it.
    """

    def __init__(self, path: pathlib.Path, dataset: pathlib.Path, workers: int) -> None:
        self.path = path
        self.dataset = dataset
        self.workers = workers
        self.processes: list[subprocess.Popen] = []
        self.output: list[str] = []
        self.saved = 0
        self.doing: tuple[str, int] | None = None
        self.began: int | None = None
        self._open = 0
        self._since = 0.0
        self._usual: dict[str, float] = collections.defaultdict(lambda: 0.05, start=5.0, report=0.5)
        self._lines: queue.Queue[str | None] = queue.Queue()

    def start(self, last_step: int, *flags: str) -> None:
        """Starts it, or goes on."""
        given = [*FLAGS, f"--dataset=folder:{self.dataset}", f"--steps={last_step}", *flags]
        given.append(f"--run_dir={self.path}")
        options = {"env": ENVIRONMENT, "stdout": subprocess.PIPE}
        if self.workers > 1:
            module = [TOLD, "train", *given, "--strategy=multi_worker"]
            self.processes = spawn(self.workers, module, **options)
        else:
            command = [sys.executable, "-m", TOLD, "train", *given]
            options |= {"stderr": subprocess.STDOUT, "text": True}
            self.processes = [subprocess.Popen(command, **options)]
        self.output, self._lines, self._open = [], queue.Queue(), self.workers
        self.doing, self.began = ("start", 0), None
        self._since = time.monotonic()
        for process in self.processes:
            threading.Thread(target=_read, args=(process, self._lines), daemon=True).start()

    def until(self, what: str) -> int:
        """Waits until it begins or ends something, `end save` say; returns the step of that."""
        while (line := self._next()) is not None:
            if match := re.fullmatch(rf"soak: {what} (\d+)", line):
                return int(match[1])
        raise self.wrong(f"ended before: {what}")

    def while_at(self, what: str, part: float) -> None:
        """Waits until it has done a part of something, as long as that usually takes."""
        while True:
            if what != "start":
                self.until(f"begin {what}")
            time.sleep(part * self._usual[what])
            while not self._lines.empty():  # what was said in the meantime
                self._next()
            if what == "start" or (self.doing is not None and self.doing[0] == what):
                return
            part *= 0.8  # too late: it was shorter than usual

    def wait(self) -> list[int]:
        """The exit codes, once all processes have ended."""
        while self._open:
            self._next()
        return [process.wait() for process in self.processes]

    def send(self, number: int, *, to: int | None = None) -> None:
        """Sends a signal to one of its processes, or all."""
        for process in self.processes if to is None else [self.processes[to]]:
            process.send_signal(number)

    def kill(self) -> None:
        """Ends all processes that still run."""
        self.send(signal.SIGKILL)
        self.wait()

    def must_end(self, code: int, *, says: str) -> None:
        """Waits for its end, which is to be one line and an exit code.

        Raises:
            Wrong: if it is not.
        """
        codes, text = self.wait(), "\n".join(self.output)
        # Where the chief fails, the others see that it is gone.
        others = {code} if code == STOPPED else {code, FAILED}
        if codes[0] != code or not set(codes) <= others:
            raise self.wrong(f"exit codes {codes} in place of {code}")
        if says not in text or "Traceback" in text:
            raise self.wrong(f"another message than {says!r}")

    def wrong(self, what: str) -> Wrong:
        """What went wrong, with the last lines that were said."""
        return Wrong("\n    ".join([what, *self.output[-6:]]))

    def _next(self) -> str | None:
        """The next line, None when one process has said all; keeps note of what is being done."""
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            self.send(signal.SIGKILL)
            raise self.wrong(f"nothing was said for {PATIENCE:.0f} s") from None
        if line is None:
            self._open -= 1
            return None
        if (match := re.fullmatch(r"soak: (begin|end) (\w+) (\d+)", line)) is None:
            if line:
                self.output.append(line)
            return line
        kind, what, step = match[1], match[2], int(match[3])
        now = time.monotonic()
        if kind == "end":
            self._usual[what] = 0.5 * (self._usual[what] + now - self._since)
            if what == "save":
                self.saved = step
        elif self.began is None:
            self.began = step - 1
            self._usual["start"] = now - self._since
        self.doing = (what, step) if kind == "begin" else None
        self._since = now
        return line


def weights(path: str) -> dict[str, bytes]:
    """The bytes of the weights in a checkpoint, by name."""
    reader = tf.train.load_checkpoint(path)
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE")]
    return {n: reader.get_tensor(n).tobytes() for n in names if "save_counter" not in n}


def _read(process: subprocess.Popen, lines: queue.Queue) -> None:
    with process.stdout as output:
        for line in output:
            lines.put(line.rstrip("\n").rpartition("\r")[2])
    lines.put(None)
