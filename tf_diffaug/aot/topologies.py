"""The TPUs that a step can be compiled for, by the names under which they are rented."""

from __future__ import annotations

from typing import NamedTuple

from tf_diffaug.naming import unknown


class Topology(NamedTuple):
    """Chips and how they are joined.

    Args:
        name: as a user says it, `tpu-v3-8`: the generation, then cores (v2 to v4, v5p) or chips
            (v5e, v6e).
        chips: as libtpu is told, `v3:2x2`.
        replicas: how many take a step together: cores of v2, v3; chips from v4 on.
    """

    name: str
    chips: str
    replicas: int


# Cloud TPU counts the cores of v2 and v3, of v4 and v5p too, where a chip's two are one device,
# and the chips of v5e and v6e.
_ALL = (
    Topology("tpu-v2-8", "v2:2x2", 8),
    Topology("tpu-v2-32", "v2:4x4", 32),
    Topology("tpu-v3-8", "v3:2x2", 8),
    Topology("tpu-v3-32", "v3:4x4", 32),
    Topology("tpu-v3-128", "v3:8x8", 128),
    Topology("tpu-v4-8", "v4:2x2x1", 4),
    Topology("tpu-v4-16", "v4:2x2x2", 8),
    Topology("tpu-v5e-4", "v5e:2x2", 4),
    Topology("tpu-v5e-8", "v5e:2x4", 8),
    Topology("tpu-v5p-8", "v5p:2x2x1", 4),
    Topology("tpu-v5p-16", "v5p:2x2x2", 8),
    Topology("tpu-v6e-4", "v6e:2x2", 4),
    Topology("tpu-v6e-8", "v6e:2x4", 8),
)
TOPOLOGIES = {topology.name: topology for topology in _ALL}


def topology_named(name: str, *, received: str | None = None) -> Topology:
    """One of `TOPOLOGIES`.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in TOPOLOGIES:
        raise ValueError(unknown("topology", name, TOPOLOGIES, received=received))
    return TOPOLOGIES[name]
