"""A recipe compiled ahead of time, from its settings to what a core would need.

Each part runs in a process of its own: TensorFlow must not have begun to compute when its cores are
made, another Python may trace, and TensorFlow and JAX each hold libtpu in their own way.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tf_diffaug.aot.compile import Compiled, DoesNotFit
from tf_diffaug.aot.topologies import Topology

# They move together: each must read what the one before writes.
WHEELS = {
    "tensorflow-tpu": "2.20.0",
    "keras": "3.15.1",
    "libtpu": "0.0.20",
    "jax": "0.7.1",
    "jaxlib": "0.7.1",
}
# libtpu asks Google's servers for the machine that it is on, and waits long where there are none.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v3-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_MIN_LOG_LEVEL": "3",  # else it leaves logs in /tmp/tpu_logs
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
GRAPH, PROGRAM, LOWERED = "graph.pb", "program.hlo", "lowered.json"
_ROOT = pathlib.Path(__file__).resolve().parents[2]

# Told what was done, such as `traced`, and the seconds since the last time or the beginning.
Progress = Callable[[str, float], None]


def _quiet(done: str, seconds: float) -> None:
    """Says nothing."""


class Case(NamedTuple):
    """What is compiled.

    Args:
        settings: those of the recipe, as in config.json.
        facts: what the networks must know of the images, see `runs.parts.data_facts`.
        replicas: how many take the step together.
    """

    settings: dict[str, Any]
    facts: dict[str, Any]
    replicas: int


class Step(NamedTuple):
    """A lowered step: which stack traced it, and its instructions by kind."""

    traced_by: str
    instructions: dict[str, int]
    suspects: list[str]


def missing_wheels() -> list[str]:
    """What of `WHEELS` this environment lacks, or has in another version."""
    return [f"{name}=={version}" for name, version in WHEELS.items() if _version(name) != version]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def case_of(config: Any, facts: Mapping[str, Any], replicas: int) -> Case:
    """The case of a `Config`.

    Raises:
        UserError: if so many cores of a TPU cannot train it.
    """
    from tf_diffaug.runs.recipe import check_place  # which loads TensorFlow

    check_place(config, replicas, on_tpu=True)
    return Case(dataclasses.asdict(config), dict(facts), replicas)


def compile_case(
    case: Case,
    topologies: Sequence[Topology],
    *,
    trace_python: str | None = None,
    progress: Progress = _quiet,
) -> tuple[Step, list[Compiled]]:
    """Traces, lowers and compiles a step, for one topology or several.

    Args:
        case: what is compiled.
        topologies: where it would run, with at least so many replicas each.
        trace_python: the Python that traces it, by default this one.
        progress: called when a part is done.

    Raises:
        DoesNotFit: if a core of a topology has too little memory for it.
        RuntimeError: if a part fails, with the last of what it said.
    """
    with tempfile.TemporaryDirectory() as work:
        step = lower_case(case, "TPU", work, trace_python=trace_python, progress=progress)
        found = compile_lowered(work, topologies, replicas=case.replicas, progress=progress)
        return step, found


def compile_lowered(
    work: str, topologies: Sequence[Topology], *, replicas: int, progress: Progress = _quiet
) -> list[Compiled]:
    """Compiles the program that a folder holds; raises as `compile_case` does."""
    names = [topology.name for topology in topologies]
    answers = _run(sys.executable, "compile", work, str(replicas), *names, progress=progress)
    for answer in answers:
        if "does_not_fit" in answer:
            raise DoesNotFit(answer["does_not_fit"])
    return [Compiled(**answer["compiled"]) for answer in answers]


def lower_case(
    case: Case,
    platform: str,
    work: str,
    *,
    trace_python: str | None = None,
    progress: Progress = _quiet,
) -> Step:
    """Traces and lowers a step into a folder; the arguments are those of `compile_case`."""
    (pathlib.Path(work) / "case.json").write_text(json.dumps(case._asdict()))
    if trace_python is None:
        _run(sys.executable, "trace,lower", work, platform, progress=progress)
    else:
        _run(trace_python, "trace", work, progress=progress)
        _run(sys.executable, "lower", work, platform, progress=progress)
    return Step(**json.loads((pathlib.Path(work) / LOWERED).read_text()))


def _run(
    python: str, parts: str, work: str, *arguments: str, progress: Progress
) -> list[dict[str, Any]]:
    """What the parts print, each line an object that says what was `done`."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [python, "-m", "tf_diffaug.aot", parts, work, *arguments]
    answers, begin = [], time.monotonic()
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            for line in process.stdout:
                answers.append(json.loads(line))
                progress(answers[-1]["done"], time.monotonic() - begin)
                begin = time.monotonic()
        except BaseException:  # such as an interruption
            process.kill()
            process.wait()
            raise
        code = process.wait()
        errors.seek(0)
        lines = errors.read().strip().splitlines() or [f"exit code {code}"]
    if code:
        first = next((i for i, line in enumerate(lines) if "Error: " in line), len(lines) - 1)
        raise RuntimeError(f"{parts} failed: {' '.join(lines[first : first + 3])[:1000]}")
    return answers
