"""Which recipes fit a device's memory, by an estimate made beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from tf_diffaug.runs.doctor.findings import Finding, gib
from tf_diffaug.runs.doctor.machine import gpu_memory
from tf_diffaug.runs.doctor.memory import machine_memory


class Need(NamedTuple):
    """What a recipe's step takes of a device's memory.

    Args:
        state: MiB of variables and gradients, whatever the batch.
        image: MiB for each image of a D step.
        batch_size: of the recipe, over all replicas.
    """

    state: float
    image: float
    batch_size: int

    def size(self, replicas: int) -> int:
        """Bytes on each of so many devices."""
        share = math.ceil(self.batch_size / replicas)
        return round((self.state + self.image * share) * 2**20)


# Printed by tools/estimate_memory.py.
NEEDS: dict[str, Need] = {}
# What the estimate leaves out: kernels' scratch space, fragments, the runtime.
SPARE = 1.3
RUNTIME = 2**30
_MOST_DEVICES = 1024


def fits(kind: str, replicas: int) -> Iterator[Finding]:
    """Which of the papers' recipes a device's memory holds, by an estimate.

    Args:
        kind: of the device: CPU, GPU or TPU.
        replicas: how many of them share a batch.
    """
    memory = device_memory(kind, replicas)
    if memory is None:
        yield Finding("recipes", f"the memory of a {kind} is not known: try train --dry_run")
        return
    where = f"{gib(memory)} for each of {replicas} replica(s)"
    yield Finding(
        "recipes",
        f"estimated for {where}: tensors alive at a time in the step as traced, and variables, "
        f"times {SPARE}, and {gib(RUNTIME)} for the runtime; not measured, images and evaluation "
        "come on top",
    )
    small, large = [], []
    for name, need in NEEDS.items():
        size = with_spare(need.size(replicas))
        if size <= memory:
            small.append(f"{name} {gib(size)}")
        else:
            large.append(f"{name} {gib(size)} ({_devices(need, memory)})")
    yield Finding("fit", ", ".join(small) or "none")
    yield Finding("too large", ", ".join(large) or "none")


def with_spare(size: float) -> float:
    """What to have for a step whose tensors and variables take so many bytes."""
    return SPARE * size + RUNTIME


def device_memory(kind: str, replicas: int) -> int | None:
    """The bytes that a replica may have; None if that cannot be told."""
    if kind == "GPU":
        return gpu_memory()
    memory = machine_memory() if kind == "CPU" else None
    return None if memory is None else memory.free // replicas


def _devices(need: Need, memory: int) -> str:
    """How many devices of that memory would hold it."""
    count = 2
    while count <= min(need.batch_size, _MOST_DEVICES):
        if with_spare(need.size(count)) <= memory:
            return f"{count} such devices"
        count *= 2
    return "no number of such devices"
