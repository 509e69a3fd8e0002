"""What a machine is and what works on it: `examine`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf

from tf_diffaug.naming import unknown
from tf_diffaug.runs.doctor import machine, recipes, trial
from tf_diffaug.runs.doctor.findings import Finding
from tf_diffaug.runs.doctor.precision import precisions
from tf_diffaug.runs.networks import NETWORKS
from tf_diffaug.training.strategy import STRATEGIES, make_strategy

__all__ = ["Finding", "examine"]


def examine(
    strategy: str = "auto", *, networks: Sequence[str] | None = None, xla: bool = True
) -> Iterator[Finding]:
    """Finds out what there is and what works, line by line; writes nothing.

    Args:
        strategy: where to compute, as for a run; of one machine.
        networks: the models to try, by default all.
        xla: whether to compile their steps by XLA too.

    Raises:
        ValueError: for an unknown name, or a strategy that cannot be had, before anything is found.
    """
    networks = list(NETWORKS) if networks is None else list(networks)
    for name in networks:
        if name not in NETWORKS:
            raise ValueError(unknown("network", name, NETWORKS, received=f"networks={name}"))
    if strategy == "multi_worker":
        choices = ", ".join(name for name in STRATEGIES if name != strategy)
        raise ValueError(
            "One machine is looked at, on every worker by itself. Choose from "
            f"{choices}. Received: strategy={strategy!r}."
        )
    # A TPU must be connected to before anything is computed.
    return _examine(make_strategy(strategy), strategy, networks, xla)


def _examine(
    strategy: tf.distribute.Strategy, asked: str, families: Sequence[str], xla: bool
) -> Iterator[Finding]:
    yield from machine.software()
    yield from machine.devices()
    kind, replicas = trial.device_kind(strategy), strategy.num_replicas_in_sync
    taken = type(strategy).__name__ if replicas > 1 else "one device"
    yield Finding("strategy", f"{asked}: {taken}, {replicas} replica(s), {kind}")
    yield from precisions(kind)
    for family in families:
        yield from trial.try_family(family, strategy, kind=kind, xla=xla)
    yield from recipes.fits(kind, replicas)
