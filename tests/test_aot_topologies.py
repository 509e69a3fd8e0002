import math

import pytest

from tf_diffaug.aot.topologies import TOPOLOGIES, topology_named


@pytest.mark.parametrize("topology", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_replicas_are_cores_up_to_v3_and_chips_from_v4_on(topology):
    generation, chips = topology.chips.split(":")
    assert topology.name.split("-")[:2] == ["tpu", generation]
    per_chip = 2 if generation in ("v2", "v3") else 1
    assert topology.replicas == per_chip * math.prod(map(int, chips.split("x")))


def test_an_unknown_one_is_named():
    assert topology_named("tpu-v3-8").chips == "v3:2x2"
    with pytest.raises(ValueError, match=r"'tpu-v3-8'\?.*Received: topology='tpu-v3-9'"):
        topology_named("tpu-v3-9")
