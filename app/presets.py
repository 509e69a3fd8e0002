"""Named recipes: data, each value with its source.

`[V]` was read in the published code or text, `[F]` off a figure; `[R]` is recalled and could not be
checked. A preset says what it should cost and reach, so that a run can be held against it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from app.errors import UserError, unknown


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
    """

    name: str
    summary: str
    settings: dict[str, Any]
    source: str
    cost: str
    published_fid: str

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"python train.py --preset={self.name}"


# arXiv 2006.02595, CIFAR-10: SNDCGAN, batch 64, 200k steps, hinge, unconditional [V], FID of 10,000
# fakes against the test set [V]. Adam 2e-4, (0.5, 0.999), one D step a G step, 128-d normal z [R];
# compare_gan's SNDCGAN configurations have the same Adam and length of z [V].
# No average of G is mentioned in what could be read: none here.
_SNDCGAN_CIFAR10 = {
    "dataset": "cifar10",
    "resolution": 32,
    "model": "sndcgan",
    "width": 64,
    "latent_dim": 128,
    "loss": "hinge",
    "batch_size": 64,
    "steps": 200_000,
    "d_steps": 1,
    "g_lr": 2e-4,
    "d_lr": 2e-4,
    "beta1": 0.5,
    "beta2": 0.999,
    "ema_decay": 0.0,
    "eval_ema": False,
    "fid_features": "inception",
    "fid_split": "test",
    "num_fakes": 10_000,
    "log_every": 100,
    "sample_every": 5_000,
    "eval_every": 10_000,
    "checkpoint_every": 2_000,
}

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="quick",
            summary="DiffAugment on the embedded emoji faces: slim SNDCGAN, 32 px, all offline",
            settings={"policy": "color,translation,cutout"},
            source="our own, tuned to show faces within minutes",
            cost="4 to 6 minutes on 2 CPU cores (measured)",
            published_fid="none: its FID is on our own small features",
        ),
        Preset(
            name="quick-cifar10",
            summary="DiffAugment on CIFAR-10 with a slim SNDCGAN, for a CPU",
            settings={
                "policy": "color,translation,cutout",
                "dataset": "cifar10",
                "batch_size": 64,
                "steps": 5_000,
                "sample_every": 500,
                "eval_every": 0,
            },
            source="our own: sndcgan-cifar10 at a quarter of its width, a fortieth of its length",
            cost="some 20 minutes on 2 CPU cores before its FID (an estimate)",
            published_fid="none: far too short",
        ),
        Preset(
            name="sndcgan-cifar10",
            summary="the second paper's SNDCGAN on CIFAR-10, its baseline; add --policy and so on",
            settings=_SNDCGAN_CIFAR10,
            source="arXiv 2006.02595; Adam's settings and the length of z are recalled",
            cost="200,000 steps of about 1.4 s on 2 CPU cores: 3 days; not yet run here",
            published_fid="24.73 (10,000 fakes, test set; top 15 % of runs)",
        ),
    )
}


def get(name: str) -> Preset:
    """Returns a preset by name.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in PRESETS:
        raise UserError(unknown("preset", name, PRESETS) + " --preset=help describes them.")
    return PRESETS[name]


def describe() -> str:
    """The text of `--preset=help`."""
    blocks = []
    for preset in PRESETS.values():
        lines = [
            f"{preset.name}: {preset.summary}",
            f"    source         {preset.source}",
            f"    expected cost  {preset.cost}",
            f"    published FID  {preset.published_fid}",
            f"    command        {preset.command}",
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
