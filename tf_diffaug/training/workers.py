"""Several processes that train one GAN: which of them this one is, by `TF_CONFIG`."""

from __future__ import annotations

import dataclasses
import json
import os
import re


@dataclasses.dataclass(frozen=True)
class Worker:
    """One of the processes of a multi-worker run.

    Args:
        index: its number among all; 0 is the chief, which writes and prints.
        addresses: `host:port` of each.
    """

    index: int
    addresses: tuple[str, ...]

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run."""
        return self.index == 0

    @property
    def others(self) -> str:
        """The addresses of the others, for a message."""
        return ", ".join(a for index, a in enumerate(self.addresses) if index != self.index)


def this_worker() -> Worker:
    """Reads `TF_CONFIG`.

    Raises:
        ValueError: if it is not there, or does not say who trains and which of them this one is.
    """
    text = os.environ.get("TF_CONFIG")
    if text is None:
        raise ValueError(
            "A multi-worker run needs its cluster in the environment variable TF_CONFIG. "
            "Received: strategy='multi_worker', no TF_CONFIG."
        )
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kinds = [kind for kind in ("chief", "worker") if cluster.get(kind)]
        places = [(kind, index) for kind in kinds for index in range(len(cluster[kind]))]
        index = places.index((task["type"], int(task["index"])))
        addresses = tuple(address for kind in kinds for address in cluster[kind])
        if set(cluster) - set(kinds) or not all(re.fullmatch(r".+:\d+", a) for a in addresses):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            'TF_CONFIG is as {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}, the index another for each. '
            f"Received: TF_CONFIG={text}."
        ) from None
    return Worker(index, addresses)
