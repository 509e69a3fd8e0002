"""What the machine's memory is, what this process took of it, and what a step will take."""

from __future__ import annotations

import collections
import pathlib
import re
import sys
from typing import Any, NamedTuple

import tensorflow as tf

from tf_diffaug.runs.doctor.graphs import called_graphs, needed_ops

# They hand their input on, or read a variable, which is counted with the state.
_ALIASES = (
    *("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "StopGradient"),
    *("PreventGradient", "ReadVariableOp", "Placeholder", "Const", "NoOp"),
)


class Memory(NamedTuple):
    """Bytes of the machine, or of the container that this process is in."""

    total: int
    free: int


def machine_memory() -> Memory | None:
    """The memory that this process may have; None where the system has no `/proc`."""
    path = pathlib.Path("/proc/meminfo")
    if not path.exists():
        return None
    sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", path.read_text()))
    total, free = int(sizes["MemTotal"]) << 10, int(sizes["MemAvailable"]) << 10
    limit, used = (_cgroup(name) for name in ("max", "current"))
    if limit is not None and limit < total:
        total, free = limit, min(free, limit - (used or 0))
    return Memory(total, free)


def _cgroup(name: str) -> int | None:
    path = pathlib.Path(f"/sys/fs/cgroup/memory.{name}")
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else None


def process_peak() -> int:
    """The most bytes that this process has held."""
    # Not `ru_maxrss` where there is another: a process starts with it at its parent's size.
    path = pathlib.Path("/proc/self/status")
    if path.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", path.read_text())):
        return int(found[1]) << 10
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def live_bytes(graph: Any) -> int:
    """The most bytes of tensors that are alive at a time, were a graph run op by op as traced.

    Variables are not among them, nor what a kernel takes for itself, and no op is fused into
    another or writes over its input. Of the branches of a condition the largest counts.

    Args:
        graph: a concrete function's.

    Raises:
        ValueError: for a size that is not known.
    """
    needed = needed_ops(graph)
    order = [op for op in graph.get_operations() if op.name in needed]
    owners: dict[Any, Any] = {}  # from a tensor to the one whose memory it is
    uses: collections.Counter = collections.Counter()
    for op in order:
        for index, tensor in enumerate(op.outputs):
            owner = tensor.ref()
            if op.type in _ALIASES:
                given = op.inputs[index].ref() if index < len(op.inputs) else None
                owner = None if op.type == "ReadVariableOp" else owners.get(given)
            owners[tensor.ref()] = owner
        uses.update(_owned(op, owners))
    uses.update(filter(None, (owners.get(tensor.ref()) for tensor in graph.outputs)))
    held = peak = 0
    for op in order:
        if op.type not in _ALIASES:
            held += sum(_size(tensor) for tensor in op.outputs)
        inside = max((live_bytes(called) for called in called_graphs(op, graph)), default=0)
        peak = max(peak, held + inside)
        uses.subtract(_owned(op, owners))
        done = {*_owned(op, owners)} | {t.ref() for t in op.outputs if op.type not in _ALIASES}
        for owner in done:
            if uses[owner] == 0:
                held -= _size(owner.deref())
    return peak


def state_bytes(variables: Any) -> int:
    """Bytes of variables, one copy of each."""
    return sum(v.shape.num_elements() * tf.as_dtype(v.dtype).size for v in variables)


def _owned(op: tf.Operation, owners: dict) -> list:
    return [owner for t in op.inputs if (owner := owners.get(t.ref())) is not None]


def _size(tensor: tf.Tensor) -> int:
    if tensor.dtype in (tf.resource, tf.variant, tf.string):
        return 0
    count = tensor.shape.num_elements()
    if count is None:
        is_shape = tensor.dtype.is_integer and tensor.shape.rank == 1
        # Neither shapes nor a kernel's own notes for its gradient are large.
        if is_shape or tensor.op.type.startswith("FusedBatchNorm"):
            return 0
        raise ValueError(f"The size must be known. Received: {tensor.name} of {tensor.shape}.")
    return count * tensor.dtype.size
