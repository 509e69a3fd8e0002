"""What a preset is, and what all of CIFAR's share."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Preset:
    """A recipe: what differs from the defaults of `Config`.

    Args:
        name: what `--preset` takes.
        summary: what it trains, on what.
        settings: values by `Config` field.
        source: where the values are from.
        cost: time, and on what machine; says whether it was measured.
        published_fid: the paper's number and its protocol, or why there is none.
        needs: what the user must add, as a flag that shows how; empty for nothing.
    """

    name: str
    summary: str
    settings: dict[str, Any]
    source: str
    cost: str
    published_fid: str
    needs: str = ""

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"python train.py --preset={self.name} {self.needs}".rstrip()


# FID of 10,000 fakes against CIFAR's test images, un-flipped, on Inception features: DA's metrics
# for both networks [V], and arXiv 2006.02595 [V].
CIFAR_PROTOCOL = {"fid_features": "inception", "fid_split": "test", "num_fakes": 10_000}
