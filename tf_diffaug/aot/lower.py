"""From one replica's step to the program that XLA compiles: HLO, by TensorFlow's own kernels.

The kernels of a platform are in that platform's wheel: TPU's in `tensorflow-tpu`, GPU's in any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_diffaug.aot.rewrite import Replica

PLATFORMS = ("TPU", "GPU")
# What would stop a device at every step, for the host or for another compilation.
_HOST = ("infeed", "outfeed", "send", "recv", "send-done", "recv-done")
SHOWN = ("all-reduce", "all-gather", "all-to-all", "conditional", "while", "rng-bit-generator")


class Lowered(NamedTuple):
    """A step as XLA is given it.

    Args:
        program: the serialised HLO.
        instructions: how many there are of each kind.
        suspects: instructions that wait for the host, or whose shapes change.
    """

    program: bytes
    instructions: dict[str, int]
    suspects: list[str]


def lower_step(replica: Replica, platform: str) -> Lowered:
    """Lowers a training step, each variable's new value in the place of the old one.

    Args:
        replica: the step.
        platform: one of `PLATFORMS`. For a GPU the step is one replica's of one.

    Raises:
        NotImplementedError: if the replicas exchange more than sums, and it is not a TPU.
        tf.errors.OpError, ValueError: if TensorFlow has no kernel for it there.
    """
    # Private: what a graph brings along stays in that graph, where compilers do not look for it.
    from tensorflow.python.eager import context

    for function in replica.graph.library.function:
        context.context().add_function_def(function)
    if platform != "TPU":
        replica = replica._replace(graph=_with_collectives(replica.graph))
    places = list(replica.variables)
    module = _lower(replica, replica.specs, platform)
    del module.input_output_alias.entries[:]
    for index, place in enumerate(replica.written):
        number = len(replica.inputs) + places.index(place)
        entry = module.input_output_alias.entries.add(parameter_number=number, kind=1)
        entry.output_shape_index.append(len(replica.losses) + index)
    return _lowered(module)


def _with_collectives(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """A TPU's sums over the replicas as those that XLA has everywhere."""
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph)
    for node in made.node:
        if node.op == "CrossReplicaSum":
            node.op = "XlaAllReduce"
            node.attr["reduce_op"].s, node.attr["mode"].s = b"Add", b"CrossReplica"
        elif node.op == "AllToAll":
            if node.attr["split_count"].i != 1:
                raise NotImplementedError("Off TPUs a step of one replica is lowered.")
            dtype = node.attr["T"].type
            node.op = "Identity"
            del node.input[1]
            node.attr.clear()
            node.attr["T"].type = dtype
    return made


def lower_function(function: Any, specs: Sequence[tf.TensorSpec], platform: str) -> Lowered:
    """Lowers a function of tensors that holds no variables."""
    return _lowered(_lower(function, specs, platform))


def _lower(function: Any, specs: Sequence[tf.TensorSpec], platform: str) -> Any:
    # Private for want of a public one: the description of HLO as TensorFlow serialises it.
    from tensorflow.compiler.xla.service import hlo_pb2

    @tf.function(jit_compile=True, autograph=False)
    def compiled(*arguments: tf.Tensor) -> Any:
        return function(*arguments)

    program = compiled.experimental_get_compiler_ir(*specs)(
        stage="hlo_serialized", platform_name=platform
    )
    return hlo_pb2.HloModuleProto.FromString(program)


def _lowered(module: Any) -> Lowered:
    instructions, suspects = Counter(), []
    for computation in module.computations:
        for instruction in computation.instructions:
            kind = instruction.opcode
            instructions[kind] += 1
            called = f" of {instruction.custom_call_target}" if kind == "custom-call" else ""
            if kind in _HOST or called or any(instruction.shape.is_dynamic_dimension):
                suspects.append(f"{kind}{called} ({instruction.metadata.op_name})")
            if kind == "copy":
                # The language that the compiler reads has none; to the same shape it is one.
                instruction.opcode = "reshape"
    return Lowered(module.SerializeToString(), dict(instructions), suspects)
