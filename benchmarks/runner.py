"""Runs benchmarks, each in a process of its own, and says on what machine."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import records
from benchmarks.page import Entry
from benchmarks.plan import Benchmark

HERE = Path(__file__).resolve().parent
PACKAGES = {
    "TensorFlow": "tensorflow",
    "Keras": "keras",
    "NumPy": "numpy",
    "TF-GAN": "tensorflow-gan",
}
_FOLDERS = re.compile(r"(?<![\w.:/])~?/(?:[^\s/'\"=]+/)*(?=[^\s/'\"=])")


def run(benchmark: Benchmark, peers: Mapping[str, str], *, quick: bool = False) -> Entry:
    """Runs one and returns what it found, or why it failed.

    Args:
        benchmark: it.
        peers: the values of flags that only some machines have, by flag.
        quick: whether its flags are those of a trial.
    """
    flags = [*benchmark.flags, *(benchmark.quick if quick else ())]
    given = [f"{flag}={peers[flag]}" for flag in benchmark.peers if flag in peers]
    date = today()
    with tempfile.TemporaryDirectory() as made:
        found = Path(made) / "figures.jsonl"
        command = [sys.executable, str(HERE / benchmark.script), *given, *flags]
        start, others = time.perf_counter(), other_work()
        done = subprocess.run(
            [*command, f"--json={found}"], stderr=subprocess.PIPE, text=True, check=False
        )
        seconds, busy = time.perf_counter() - start, others()
        figures, missing = records.read(found)
    error = None
    if done.returncode:
        sys.stderr.write(done.stderr)
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        error = f"it ended with {done.returncode}: {without_folders(last[0])}"
    elif not figures:
        error = "it found nothing"
    return Entry(
        name=benchmark.name,
        title=benchmark.title,
        meaning=benchmark.meaning,
        settings=shlex.join(flags),
        command=without_folders(
            shlex.join(["python", f"benchmarks/{benchmark.script}", *given, *flags])
        ),
        date=date,
        seconds=round(seconds, 1),
        busy=busy,
        error=error,
        figures=[] if error else figures,
        missing=[
            dataclasses.replace(each, reason=without_folders(each.reason)) for each in missing
        ],
    )


def not_run(benchmark: Benchmark) -> Entry:
    """That of one that was left out, of which there is no record."""
    return Entry(
        name=benchmark.name,
        title=benchmark.title,
        meaning=benchmark.meaning,
        settings=shlex.join(benchmark.flags),
        command=shlex.join(["python", f"benchmarks/{benchmark.script}", *benchmark.flags]),
        date=None,
        seconds=None,
        missing=[records.Missing("all of it", "it was left out")],
    )


def without_folders(text: str) -> str:
    """The text with files by their names alone: where they lie is nobody else's business."""
    return _FOLDERS.sub("", text)


def today() -> str:
    """The date, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def machine() -> dict[str, str]:
    """The processor, how many cores of it, and the memory."""
    from tf_diffaug.runs.doctor.findings import gib
    from tf_diffaug.runs.doctor.machine import processor
    from tf_diffaug.runs.doctor.memory import machine_memory

    memory = machine_memory()
    return {
        "processor": processor(),
        "cores": str(cores()),
        "memory": gib(memory.total) if memory else "unknown",
    }


def versions(torch_python: str | None) -> dict[str, str]:
    """Of Python and the packages that are timed; those that are not installed are left out.

    Raises:
        ValueError: if the other interpreter does not import PyTorch.
    """
    found = {"Python": platform.python_version()}
    for name, package in PACKAGES.items():
        try:
            found[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if torch_python:
        found["PyTorch"] = _torch_version(torch_python)
    return found


def _torch_version(python: str) -> str:
    asked = [python, "-c", "import torch; print(torch.__version__)"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(
            f"The interpreter must be able to import torch. Received: --torch_python={python}."
        ) from error


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def other_work(statistics: Path = Path("/proc/stat")) -> Callable[[], float | None]:
    """From now on: the share of the cores that processes other than our children took.

    Returns:
        What tells it, once our children have ended; None on a system that doesn't count.
    """
    start, begin = time.perf_counter(), _busy_seconds(statistics)
    children = _children_seconds()

    def share() -> float | None:
        if begin is None:
            return None
        others = _busy_seconds(statistics) - begin - (_children_seconds() - children)
        cores = os.cpu_count() or 1
        return round(max(0.0, others / (time.perf_counter() - start) / cores), 3)

    return share


def _busy_seconds(statistics: Path) -> float | None:
    if not statistics.exists():
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal.
    counts = [int(part) for part in statistics.read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(counts) - sum(counts[3:5])) / os.sysconf("SC_CLK_TCK")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def chosen(names: Sequence[str] | None, plan: Sequence[Benchmark]) -> list[Benchmark]:
    """Those of the names, or all.

    Raises:
        ValueError: for a name that is none of them.
    """
    from tf_diffaug.naming import unknown

    known = {benchmark.name: benchmark for benchmark in plan}
    for name in names or ():
        if name not in known:
            raise ValueError(unknown("benchmark", name, known, received=f"--only={name}"))
    return [known[name] for name in known if not names or name in names]
