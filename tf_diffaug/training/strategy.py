"""Where a run computes, and what that means for sums, means and draws."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.naming import unknown
from tf_diffaug.training.meeting import meet
from tf_diffaug.training.workers import this_worker

# TensorFlow's TPU wheels end with it.
TPU_WHEEL = "tensorflow-tpu==2.20.0"
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Returns a `tf.distribute` strategy by name.

    Args:
        name: `auto` takes a TPU if the environment names one (`TPU_NAME`, `local` on a TPU VM), all
            GPUs if there are several, else one device. `mirrored` takes all GPUs, or without any
            all logical CPUs. `multi_worker` reads `TF_CONFIG`, and waits for the other workers.

    Raises:
        ValueError: for an unknown name, a kind of device that is not there, or workers that do not
            come.
    """
    if name not in STRATEGIES:
        raise ValueError(unknown("strategy", name, STRATEGIES))
    if name == "auto":
        if os.environ.get("TPU_NAME"):
            name = "tpu"
        else:
            name = "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one_device"
    if name == "tpu":
        return _tpu_strategy()
    if name == "multi_worker":
        meet(this_worker())
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy(
            [device.name for device in devices],
            cross_device_ops=None
            if "GPU" in devices[0].name
            else tf.distribute.ReductionToOneDevice(),
        )
    return tf.distribute.get_strategy()


def _tpu_strategy() -> tf.distribute.Strategy:
    # TensorFlow's resolver reads the name itself, but then takes `local` for a TPU of that name.
    name = os.environ.get("TPU_NAME")
    received = "strategy='tpu', " + ("no TPU_NAME" if name is None else f"TPU_NAME={name}")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(f"{_without_tpu(error)} Received: {received}.") from error
    return tf.distribute.TPUStrategy(resolver)


def _without_tpu(error: Exception) -> str:
    """Why there is no TPU, and the way to one."""
    # https://github.com/tensorflow/tensorflow/issues/96203: a wheel without the TPU's operations.
    if "ConfigureDistributedTPU" in str(error) and "No OpKernel" in str(error):
        return (
            f"This TensorFlow ({tf.__version__}) has no TPU support: on a TPU VM, pip uninstall "
            f"tensorflow and pip install {TPU_WHEEL}, the last that has it."
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"No TPU was found ({reason}). On a TPU VM, set TPU_NAME=local."


def replica_context() -> tf.distribute.ReplicaContext:
    """The context of the replica at hand; there is always one inside a step."""
    context = tf.distribute.get_replica_context()
    if context is None:
        raise RuntimeError("A training step runs inside strategy.run.")
    return context


def rows_of(values: tf.Tensor) -> int | tf.Tensor:
    """The size of the batch axis, a Python int where it is known."""
    return values.shape[0] if values.shape[0] is not None else tf.shape(values)[0]


def global_size(rows: int | tf.Tensor) -> int | tf.Tensor:
    """The rows of all replicas together, of a batch that has so many here."""
    return random.place_among_replicas(rows)[1]


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """How many processes train together under a strategy."""
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return len(this_worker().addresses) if several else 1


def refuse_unlike(strategy: tf.distribute.Strategy, facts: Mapping[str, Any]) -> None:
    """Looks whether all workers have the same facts, given by name.

    Raises:
        ValueError: on all of them, if one has others.
    """
    if num_workers(strategy) == 1:
        return
    own = [zlib.crc32(repr(fact).encode()) & 0x7FFFFFFF for fact in facts.values()]

    @tf.function(autograph=False)
    def gathered() -> tf.Tensor:
        return strategy.run(lambda: replica_context().all_gather(tf.constant([own]), axis=0))

    rows = strategy.experimental_local_results(gathered())[0].numpy()
    unlike = [n for n, column in zip(facts, rows.T, strict=True) if len(set(column)) > 1]
    if unlike:
        raise ValueError(
            "The workers differ: give all the same flags, the same images, and one run directory "
            f"that all can read. Received: other {', '.join(unlike)}."
        )


def num_replicas() -> int:
    """How many replicas take this step."""
    return replica_context().num_replicas_in_sync


def replica_state(value: Any, name: str) -> tf.Variable:
    """A variable that each replica reads and assigns as its own copy; all assign the same value."""
    return tf.Variable(
        value,
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def global_mean(values: tf.Tensor) -> tf.Tensor:
    """This replica's share of the mean of `values` (batch,) over the global batch.

    Replicas may hold different numbers of rows.

    The one place where a loss is divided: summed over replicas, as Keras' optimizers sum
    gradients, the shares are the mean.
    """
    return tf.reduce_sum(values) / tf.cast(global_size(rows_of(values)), values.dtype)


def gather_over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Every replica's rows, one after the other; gradients come back to their own."""
    return values if num_replicas() == 1 else replica_context().all_gather(values, axis=0)


def sum_over_replicas(scalars: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The sum of every scalar over the replicas, in one reduction."""
    if num_replicas() == 1:
        return scalars
    total = replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, tf.stack(list(scalars.values()))
    )
    return dict(zip(scalars, tf.unstack(total, num=len(scalars)), strict=True))
