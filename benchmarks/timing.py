"""What the benchmarks share: clocks, candidates that take turns, another process or checkout."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Candidate = Callable[[], float]


def take_turns(
    candidates: Mapping[str, Candidate], *, repeats: int, warmups: int = 3
) -> dict[str, list[float]]:
    """Runs all candidates `repeats` times in turns, so that a busy machine slows all alike.

    Args:
        candidates: by name, functions that run once and return the seconds it took.
        repeats: rounds that count.
        warmups: runs of each before, which do not.

    Returns:
        The seconds of every candidate, one number a round.
    """
    for candidate in candidates.values():
        for _ in range(warmups):
            candidate()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for i in range(repeats):
        # Each round starts with another one, so that none always follows the same.
        first = i % len(names) if names else 0
        for name in names[first:] + names[:first]:
            seconds[name].append(candidates[name]())
    return seconds


def checkout(path: str) -> Path:
    """The type of a flag: another checkout of this repository.

    Raises:
        argparse.ArgumentTypeError: if it is none; this one would be timed in its place.
    """
    if not (Path(path) / "tf_diffaug").is_dir():
        raise argparse.ArgumentTypeError(f"there is no checkout in {path}: no tf_diffaug/ is there")
    return Path(path).resolve()


class Process:
    """A script in an interpreter of its own that answers questions, one line of JSON each.

    Args:
        command: the interpreter, the script, its arguments.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: Any) -> Any:
        """Returns the answer.

        Raises:
            RuntimeError: if the process has ended.
        """
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("The other process ended; its error is above.")
        return json.loads(answer)

    def candidate(self, question: Any) -> Candidate:
        """One whose seconds are the answer to a question."""

        def seconds() -> float:
            answer = self.ask(question)
            # Its threads spin for a while after their work, at the cost of who runs next.
            time.sleep(0.02)
            return answer

        return seconds

    def close(self) -> None:
        """Ends it: there are no more questions."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
