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
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_diffaug.aot.compile import Compiled, DoesNotFit
from tf_diffaug.aot.topologies import Topology
from tf_diffaug.errors import UserError

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
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
GRAPH, PROGRAM, LOWERED = "graph.pb", "program.hlo", "lowered.json"
_ROOT = pathlib.Path(__file__).resolve().parents[2]


class Case(NamedTuple):
    """What is compiled.

    Args:
        settings: those of the recipe, as in config.json.
        facts: what the networks must know of the images, see `runs.parts.data_facts`.
        replicas: how many take the step together.
        precision: Keras' dtype policy, such as `mixed_bfloat16`.
    """

    settings: dict[str, Any]
    facts: dict[str, Any]
    replicas: int
    precision: str = "float32"


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


def case_of(config: Any, facts: Mapping[str, Any], replicas: int, **options: str) -> Case:
    """The case of a `Config`.

    Raises:
        UserError: if the batch does not divide among the replicas.
    """
    if config.batch_size % replicas:
        raise UserError(
            f"--batch_size must be a multiple of the {replicas} replicas that share it. "
            f"Received: --batch_size={config.batch_size}."
        )
    return Case(dataclasses.asdict(config), dict(facts), replicas, **options)


def compile_case(
    case: Case, topologies: Sequence[Topology], *, trace_python: str | None = None
) -> tuple[Step, list[Compiled]]:
    """Traces, lowers and compiles a step, for one topology or several.

    Args:
        case: what is compiled.
        topologies: where it would run, with at least so many replicas each.
        trace_python: the Python that traces it, by default this one.

    Raises:
        DoesNotFit: if a core of a topology has too little memory for it.
        RuntimeError: if a part fails, with the last of what it said.
    """
    with tempfile.TemporaryDirectory() as work:
        step = lower_case(case, "TPU", work, trace_python=trace_python)
        return step, compile_lowered(work, topologies, replicas=case.replicas)


def compile_lowered(work: str, topologies: Sequence[Topology], *, replicas: int) -> list[Compiled]:
    """Compiles the program that a folder holds; raises as `compile_case` does."""
    found = []
    lines = _run(sys.executable, "compile", work, str(replicas), *(t.name for t in topologies))
    for line in lines.splitlines():
        answer = json.loads(line)
        if "does_not_fit" in answer:
            raise DoesNotFit(answer["does_not_fit"])
        found.append(Compiled(**answer))
    return found


def lower_case(case: Case, platform: str, work: str, *, trace_python: str | None = None) -> Step:
    """Traces and lowers a step into a folder; the arguments are those of `compile_case`."""
    (pathlib.Path(work) / "case.json").write_text(json.dumps(case._asdict()))
    if trace_python is None:
        _run(sys.executable, "trace,lower", work, platform)
    else:
        _run(trace_python, "trace", work)
        _run(sys.executable, "lower", work, platform)
    return Step(**json.loads((pathlib.Path(work) / LOWERED).read_text()))


def _run(python: str, stage: str, work: str, *arguments: str) -> str:
    """What a part prints."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [python, "-m", "tf_diffaug.aot", stage, work, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        first = next((i for i, line in enumerate(lines) if "Error: " in line), len(lines) - 1)
        raise RuntimeError(f"{stage} failed: {' '.join(lines[first : first + 3])[:1000]}")
    return done.stdout
