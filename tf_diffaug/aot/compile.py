"""A program compiled for chips that are not there: libtpu, by way of JAX's compile-only client."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

import numpy as np

from tf_diffaug.aot.topologies import Topology

_MIB = 2**20
# What XLA says of a program that needs more memory than a core has.
_TOO_LARGE = ("RESOURCE_EXHAUSTED", "Ran out of memory", "exceeded hbm capacity")


class DoesNotFit(RuntimeError):
    """A program needs more memory than a core has; its text is one line."""


class Compiled(NamedTuple):
    """What XLA says of a compiled step, of one core.

    Args:
        device: the kind of chip.
        flops: floating-point operations of a step.
        state: MiB of what goes in: variables and a batch.
        temporary: MiB of what is kept in between.
        program: MiB of the program itself.
        seconds: how long the compilation took.
    """

    device: str
    flops: float
    state: float
    temporary: float
    program: float
    seconds: float

    @property
    def memory(self) -> float:
        """MiB in all."""
        return self.state + self.temporary + self.program


def compile_for(program: bytes, topology: Topology, *, replicas: int | None = None) -> Compiled:
    """Compiles a program that `lower` made.

    Args:
        program: serialised HLO of one replica's step.
        topology: where it would run.
        replicas: how many take the step together, all of the topology's by default.

    Raises:
        DoesNotFit: if a core has too little memory for it.
    """
    import jax
    from jax.experimental import topologies

    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology.chips).devices
    used = devices[: replicas or topology.replicas]
    begin = time.monotonic()
    try:
        executable = _compile(program, used)
    except jax.errors.JaxRuntimeError as error:
        text = " ".join(str(error).split())
        if not any(sign in text for sign in _TOO_LARGE):
            raise
        raise DoesNotFit(
            f"It does not fit the memory of a core of {topology.name}: {_sizes(text)}."
        ) from error
    seconds = time.monotonic() - begin
    cost, memory = executable.cost_analysis(), executable.get_compiled_memory_stats()
    cost = cost[0] if isinstance(cost, list) else cost
    return Compiled(
        used[0].device_kind,
        cost["flops"],
        memory.argument_size_in_bytes / _MIB,
        memory.temp_size_in_bytes / _MIB,
        memory.generated_code_size_in_bytes / _MIB,
        seconds,
    )


def _compile(program: bytes, devices: list) -> Any:
    """Private, all of it: JAX's public ways compile only what JAX itself has traced."""
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jax._src.lib import _jax, xla_client
    from jaxlib.mlir import ir

    with mlir.make_ir_context():
        module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(program))
        options = compiler.get_compile_options(len(devices), 1, device_assignment=np.array(devices))
        options.executable_build_options.use_spmd_partitioning = False
        return devices[0].client.compile(
            mlir.module_to_bytecode(module),
            executable_devices=xla_client.DeviceList(tuple(devices)),
            compile_options=options,
        )


def _sizes(text: str) -> str:
    found = re.search(r"Used [\d.]+\w of [\d.]+\w \w+", text)
    return found[0].lower() if found else text[:200]
