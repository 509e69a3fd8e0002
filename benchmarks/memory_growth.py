"""Whether the memory of a run grows: what its process holds in each hundred steps.

    python benchmarks/memory_growth.py
    python benchmarks/memory_growth.py --steps=3000 -- --model=biggan --conditional --dataset=emoji

A process of its own trains, evaluates, shows samples and saves every 50 steps; its resident memory
is read ten times a second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import records

ROOT = Path(__file__).resolve().parent.parent
EVERY = 50
WINDOW = 100
FLAGS = [
    "--width=4",
    "--batch_size=16",
    "--policy=color,translation,cutout",
    "--num_fakes=200",
    "--noreport",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    records.add_flag(parser)
    parser.add_argument("flags", nargs="*", help="flags of train.py, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder, "run")
        often = [f"--{what}_every={EVERY}" for what in ("eval", "sample", "checkpoint")]
        command = ["train.py", *FLAGS, *often, "--log_every=10", f"--run_dir={run_dir}"]
        command += [f"--steps={arguments.steps}", *arguments.flags]
        found = watch([sys.executable, *command], run_dir / "metrics.jsonl")
    recorder = records.Recorder(arguments.json)
    for window, peak in found.items():
        recorder.add(f"steps {window + 1} to {window + WINDOW}", "at most", peak / 2**20, "MiB")
    # The last has the end of the run in it, which evaluates and saves once more.
    inner = sorted(found)[1:-1]
    if len(inner) > 1:
        growth = (found[inner[-1]] - found[inner[0]]) / 2**20
        recorder.add(f"after step {WINDOW}, before the end", "growth", growth, "MiB")


def watch(command: list[str], metrics: Path) -> dict[int, int]:
    """The largest resident memory in bytes by the first step, less one, of each window."""
    found: dict[int, int] = defaultdict(int)
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet) as process:
        while process.poll() is None:
            time.sleep(0.1)
            held = resident(process.pid)
            if held and (step := last_step(metrics)):
                window = (step - 1) // WINDOW * WINDOW
                found[window] = max(found[window], held)
    if process.returncode:
        raise SystemExit(f"the run ended with exit code {process.returncode}")
    return dict(found)


def resident(pid: int) -> int | None:
    """The bytes of memory that a process holds; None once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    held = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return 1024 * int(held[0]) if held else None


def last_step(metrics: Path) -> int | None:
    """The step of the last whole record."""
    if not metrics.exists():
        return None
    lines = [line for line in metrics.read_text().split("\n")[:-1] if line]
    return json.loads(lines[-1])["step"] if lines else None


if __name__ == "__main__":
    main()
