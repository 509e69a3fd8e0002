"""The graph that a TPU would be given, traced where there is none.

`strategy.run(gan.train_step)` under a real `tf.distribute.TPUStrategy`, with its replicated
variables and its sums across replicas. Its cores are logical CPUs: what it traces is never run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug._keras import KERAS_3
from tf_diffaug.training import GAN

# Attributes at the placeholder of a variable's handle: which variable it is.
NAME, DTYPE, SHAPE = "_variable_name", "_variable_dtype", "_variable_shape"
_PLACE = "/job:localhost/replica:0/task:0/device:{}:{}"


class _Core:
    def __init__(self, index: int) -> None:
        self.name = _PLACE.format("TPU", index)


class _Resolver:
    """Answers what a TPU strategy asks of its cluster: one host with so many cores."""

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas

    def get_tpu_system_metadata(self) -> Any:
        return tf.tpu.experimental.TPUSystemMetadata(
            num_cores=self._replicas,
            num_hosts=1,
            num_of_cores_per_host=self._replicas,
            topology=None,
            devices=[_Core(index) for index in range(self._replicas)],
        )


def make_cores(replicas: int) -> None:
    """Makes so many logical CPUs, before TensorFlow has begun to compute.

    Raises:
        RuntimeError: if it has begun.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    cores = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(cpu, cores)


def tpu_strategy(replicas: int) -> tf.distribute.Strategy:
    """A TPU strategy whose cores are logical CPUs, of which there are at least so many."""
    strategy = tf.distribute.TPUStrategy(_Resolver(replicas))
    # Both private. By a packed variable's handle it could not be told which variable it is.
    strategy._enable_packed_variable_in_eager_mode = False
    # Where variables are kept; a resolver must call them TPUs.
    cores = [[_PLACE.format("CPU", index)] for index in range(replicas)]
    strategy.extended._tpu_devices = np.array(cores, dtype=object)
    return strategy


def trace_step(gan: GAN, rows: int) -> tf.compat.v1.GraphDef:
    """The graph of one training step on all replicas.

    Args:
        gan: compiled, in the scope of a `tpu_strategy`.
        rows: the images that one replica takes in a step, those of all D steps together.

    Returns:
        A graph that is whole: values that it captured are constants, and the placeholder of a
        variable's handle says which variable it is, as in `variables_of`.

    Raises:
        RuntimeError: if the step uses a variable that is not of the GAN's state.
    """
    strategy = gan.distribute_strategy

    @tf.function(autograph=False)
    def step(*parts: list[tf.Tensor]) -> Any:
        shares = [
            strategy.experimental_distribute_values_from_function(
                lambda context, part=part: part[context.replica_id_in_sync_group]
            )
            for part in parts
        ]
        return strategy.run(
            gan.train_step, args=(shares[0] if len(shares) == 1 else tuple(shares),)
        )

    specs = [tf.TensorSpec([rows, *gan.image_shape], tf.uint8, name="images")]
    if gan.num_classes is not None:
        specs.append(tf.TensorSpec([rows], tf.int32, name="labels"))
    graph = step.get_concrete_function(*([spec] * gan.num_replicas for spec in specs)).graph
    found = graph.as_graph_def()
    nodes = {node.name: node for node in found.node}
    names = {
        id(copy.handle): (name, copy)
        for name, variable in variables_of(gan).items()
        for copy in strategy.experimental_local_results(variable)
    }
    for outer, inner in graph.captures:
        node = nodes[inner.op.name]
        if inner.dtype != tf.resource:
            node.op = "Const"
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(outer))
            node.attr.pop("shape", None)
        elif id(outer) in names:
            name, variable = names[id(outer)]
            node.attr[NAME].s = name.encode()
            node.attr[DTYPE].type = variable.dtype.as_datatype_enum
            node.attr[SHAPE].shape.CopyFrom(variable.shape.as_proto())
        else:
            raise RuntimeError(f"The step uses {inner.op.name}, which is not of the GAN's state.")
    return found


def variables_of(gan: GAN) -> dict[str, tf.Variable]:
    """What a step may read and write, by a name; what is not of the state is only read."""
    found = {
        f"{group}/{index}": variable
        for group, variables in gan.state().items()
        for index, variable in enumerate(variables)
    }
    for name in ("g_optimizer", "d_optimizer"):
        # Keras 2 does not count it among an optimizer's variables.
        rate = getattr(gan, name).learning_rate
        rate = getattr(rate, "value", rate) if KERAS_3 else rate
        if hasattr(rate, "handle"):  # of a schedule Keras 3 has the value alone
            found.setdefault(f"{name}/learning_rate", rate)
    return found
