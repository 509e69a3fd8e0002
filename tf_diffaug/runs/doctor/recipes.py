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
        """Bytes to have on each of so many devices."""
        share = math.ceil(self.batch_size / replicas)
        return round((self.state + SPARE * self.image * share) * 2**20) + RUNTIME


# Printed by tools/estimate_memory.py.
NEEDS: dict[str, Need] = {
    "quick": Need(13, 0.7, 32),
    "sndcgan-cifar10": Need(133, 2.9, 64),
    "sndcgan-reals-cifar10": Need(133, 2.9, 64),
    "sndcgan-both-cifar10": Need(133, 2.9, 64),
    "sndcgan-bcr-cifar10": Need(133, 5.7, 64),
    "biggan96-cifar10": Need(170, 13.4, 256),
    "biggan96-both-cifar10": Need(170, 13.4, 256),
    "biggan96-bcr-cifar10": Need(170, 13.4, 256),
    "biggan96-cntr-cifar10": Need(170, 13.5, 256),
    "biggan96-cntr-bcr-cifar10": Need(170, 13.5, 256),
    "biggan-cifar10": Need(130, 10.0, 50),
    "biggan-cifar10-20": Need(130, 10.0, 50),
    "biggan-cifar10-10": Need(130, 10.0, 50),
    "biggan-cifar100": Need(136, 10.0, 50),
    "biggan-cifar100-20": Need(136, 10.0, 50),
    "biggan-cifar100-10": Need(136, 10.0, 50),
    "biggan-cr-cifar10": Need(130, 10.0, 50),
    "biggan-cr-cifar10-20": Need(130, 10.0, 50),
    "biggan-cr-cifar10-10": Need(130, 10.0, 50),
    "biggan-cr-cifar100": Need(136, 10.0, 50),
    "biggan-cr-cifar100-20": Need(136, 10.0, 50),
    "biggan-cr-cifar100-10": Need(136, 10.0, 50),
    "stylegan2-cifar10": Need(418, 16.2, 32),
    "stylegan2-cifar10-20": Need(418, 16.2, 32),
    "stylegan2-cifar10-10": Need(418, 16.2, 32),
    "stylegan2-cifar100": Need(418, 16.2, 32),
    "stylegan2-cifar100-20": Need(418, 16.2, 32),
    "stylegan2-cifar100-10": Need(418, 16.2, 32),
    "stylegan2-100shot": Need(903, 966.9, 16),
    "fastgan-100shot": Need(688, 163.6, 8),
    "biggan-imagenet128": Need(2418, 149.2, 2048),
    "biggan-imagenet128-50": Need(2418, 149.2, 2048),
    "biggan-imagenet128-25": Need(2418, 149.2, 2048),
    "r3gan-cifar10": Need(642, 187.7, 512),
}
# Ops that run side by side, what kernels take for themselves, fragments. Measured on 2 CPU cores
# with TF 2.15: 2.0, 2.1 and 1.9 times the tensors of a step of the three networks' CIFAR recipes.
SPARE = 2.2
RUNTIME = 2**30  # half of it on those CPU cores
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
        f"estimated for {where}: variables and gradients, {SPARE} times the tensors alive at a "
        f"time in the step as traced, {gib(RUNTIME)} for the runtime; not measured here, and "
        "images and evaluation come on top",
    )
    small: dict[str, list[str]] = {}
    large: dict[str, list[str]] = {}
    for name, need in NEEDS.items():
        size = need.size(replicas)
        if size <= memory:
            small.setdefault(gib(size), []).append(name)
        else:
            large.setdefault(f"{gib(size)} ({_devices(need, memory)})", []).append(name)
    for label, groups in (("fit", small), ("too large", large)):
        lines = [f"{size}: {', '.join(names)}" for size, names in groups.items()]
        yield Finding(label, "; ".join(lines) or "none")


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
        if need.size(count) <= memory:
            return f"{count} such devices"
        count *= 2
    return "no number of such devices"
