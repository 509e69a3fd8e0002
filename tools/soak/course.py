"""One long run that is struck by many faults, and what it comes to."""

from __future__ import annotations

import collections
import json
import pathlib
import random
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tools.soak.faults import MANY, Fault
from tools.soak.run import EVERY, FINISHED, Run, Wrong, weights


class Course:
    """A run that goes on after each fault, and what is to be said of each in the table.

    Args:
        run: the run, of which nothing is there yet.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        self.wrong: list[str] = []
        self.final_bits = 0
        self.planned = 0
        self._must_fall_back = False
        self._unresumed: list[str] = []
        # Faults after which nothing was saved yet; and what was saved first after which.
        self._unseen: list[str] = []
        self._seen: list[tuple[list[str], int, dict[str, bytes]]] = []

    @property
    def last_step(self) -> int:
        """Where the run may end: at a step at which everything is due.

        It is past the save after the last that is known of: a kill may have come just after it.
        """
        return ((self.run.saved + EVERY // 2) // EVERY + 1) * EVERY

    def suffer(self, faults: list[Fault], rng: random.Random, *, until: float) -> None:
        """Injects faults one after the other, until a time by `time.monotonic`."""
        self.planned = len(faults)
        for fault in faults:
            if time.monotonic() > until:
                return
            saved = self.run.saved
            print(f"{self.run.workers} worker(s), step {saved}: {fault.name}", flush=True)
            self.rows[fault.name]["injected"] += 1
            try:
                self.run.start(self.last_step if fault.moment == "report" else MANY + saved)
                fault.strike(self.run, fault, rng)
                self._look(saved)
                fault.aftermath(self.run, rng)
            except Wrong as error:
                self.run.kill()
                self._note(fault.name, str(error))
            self._must_fall_back |= fault.is_told
            self._unresumed.append(fault.name)
            self._unseen.append(fault.name)

    def finish(self) -> None:
        """Lets the run end undisturbed."""
        saved = self.run.saved
        try:
            self.run.start(self.last_step)
            self.run.must_end(FINISHED, says="Done: ")
            self._look(saved)
        except Wrong as error:
            self.run.kill()
            self._note(self._unresumed[-1] if self._unresumed else "none", str(error))

    def compare(self, whole: pathlib.Path) -> None:
        """Holds the weights after each fault, and all that is left, against another run's."""
        for names, step, found in self._seen:
            expected = weights(str(whole / "checkpoints" / f"step-{step}"))
            bits = bits_that_differ(expected, found)
            if bits:
                self.wrong.append(f"{bits} bits differ at step {step}, after: {', '.join(names)}")
            for name in names:
                self.rows[name]["bits that differ"] += bits
        expected, found = _left(whole), _left(self.run.path)
        for what in expected:
            if found[what] != expected[what]:
                self.wrong.append(f"{self.run.workers} worker(s): other {what} than without faults")
        last = [str(p / "checkpoints" / f"step-{self.run.saved}") for p in (whole, self.run.path)]
        self.final_bits = bits_that_differ(*map(weights, last))

    def _note(self, fault: str, error: str) -> None:
        """Takes down what went wrong."""
        self.rows[fault]["failed"] += 1
        self.wrong.append(f"{self.run.workers} worker(s), {fault}: {error}")
        print(self.wrong[-1], flush=True)

    def _look(self, saved: int) -> None:
        """Sees, once the processes have ended, where they had begun and what they saved."""
        run = self.run
        if run.began is None:  # it was struck before
            return
        if run.began < saved:
            raise run.wrong(f"went on from step {run.began}, and step {saved} was saved")
        if self._must_fall_back and not any("the one before it is taken" in o for o in run.output):
            raise run.wrong("did not say that a checkpoint is damaged")
        self._must_fall_back = False
        for name in self._unresumed:
            self.rows[name]["resumed"] += 1
        self._unresumed = []
        if run.saved > run.began:
            found = weights(str(run.path / "checkpoints" / f"step-{run.saved}"))
            self._seen.append((self._unseen, run.saved, found))
            self._unseen = []


def bits_that_differ(expected: dict[str, bytes], found: dict[str, bytes]) -> int:
    """In how many bits two checkpoints' weights differ; all, where one has what the other lacks."""
    count = 0
    for name in expected.keys() | found.keys():
        one, other = (np.frombuffer(w.get(name, b""), np.uint8) for w in (expected, found))
        if len(one) == len(other):
            count += int(np.unpackbits(one ^ other).sum())
        else:
            count += 8 * max(len(one), len(other))
    return count


def _left(run_dir: pathlib.Path) -> dict[str, Any]:
    """What is left of a run besides its weights, and must not depend on what befell it."""
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    best = tf.train.latest_checkpoint(str(run_dir / "checkpoints" / "best"))
    return {
        "pictures": {p.name: p.read_bytes() for p in (run_dir / "samples").glob("*.png")},
        "evaluations": [record for record in records if record["kind"] == "eval"],
        "steps of records": [record["step"] for record in records],
        "best weights": (pathlib.Path(best).name, weights(best)),
        "end of the report": (run_dir / "report.html").read_text()[-20:],
    }
