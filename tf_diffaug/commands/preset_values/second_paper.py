"""The setups of "Image Augmentations for GAN Training" (arXiv 2006.02595)."""

from __future__ import annotations

from typing import Any

from tf_diffaug.commands.preset_values.base import CIFAR_PROTOCOL, Preset

# arXiv 2006.02595, CIFAR-10: hinge; SNDCGAN unconditional, batch 64, 200k steps; BigGAN
# class-conditional, batch 256, 100k steps [V]. One D step a G step [F, algorithms 1 and 2]. Adam
# 2e-4 with (0.5, 0.999) for SNDCGAN, (0, 0.999) for BigGAN, 128-d normal z [R]; compare_gan's
# SNDCGAN configurations have the same Adam and length of z [V]. No average of G is mentioned in
# what could be read: none here; nor flips of the reals, which compare_gan's CIFAR lacks [V].
_COMMON = {
    **CIFAR_PROTOCOL,
    "dataset": "cifar10",
    "loss": "hinge",
    "latent_dim": 128,
    "d_steps": 1,
    "g_lr": 2e-4,
    "d_lr": 2e-4,
    "beta2": 0.999,
    "ema_decay": 0.0,
    "ema_ramp": None,
    "eval_ema": False,
    "flip": False,
    "log_every": 100,
    "sample_every": 5_000,
    "eval_every": 10_000,
    "checkpoint_every": 2_000,
}
_SNDCGAN = {
    **_COMMON,
    "model": "sndcgan",
    "width": 64,
    "batch_size": 64,
    "steps": 200_000,
    "beta1": 0.5,
}
# compare_gan's BigGAN at 32 px: width 96, three downsamplings in D, hierarchical z and an embedding
# of 128 that all blocks share [V, resnet_biggan.py]; that the paper switched these on is [R].
_BIGGAN = {
    **_COMMON,
    "model": "biggan(shared_dim=128, hierarchical=true, init=orthogonal, layout=compare_gan)",
    "conditional": True,
    "width": 96,
    "batch_size": 256,
    "steps": 100_000,
    "beta1": 0.0,
    "eval_batch_norm": "standing",
}
_RECALLED = {
    "sndcgan": "Adam's settings and the length of z are recalled",
    "biggan96": "Adam's settings, z and the shared embedding are recalled",
}
_COSTS = {
    "sndcgan": "200,000 steps; the baseline's take about 1.4 s on 2 CPU cores; not yet run here",
    "biggan96": "not yet run here; full width is for a GPU or a TPU",
}


def _preset(
    model: str, place: str, summary: str, fid: str, *, note: str = "", **settings: Any
) -> Preset:
    """A setup.

    Args:
        model: `sndcgan` or `biggan96`.
        place: where the augmentation stands or what it is for; empty for the baseline.
        summary: what is trained.
        fid: the published one.
        note: what else there is to say of the source.
        **settings: what differs from the baseline.
    """
    return Preset(
        name="-".join(filter(None, (model, place, "cifar10"))),
        summary=f"the second paper's {summary}",
        settings={**(_SNDCGAN if model == "sndcgan" else _BIGGAN), **settings},
        source=f"arXiv 2006.02595{note}; {_RECALLED[model]}",
        cost=_COSTS[model],
        published_fid=f"{fid} (10,000 fakes, test set; top 15 % of runs)",
    )


# The strengths that did best, by figures 3, 5 and 6 [F]; those of bCR are named in the text [V].
# The paper's translation mirrors at the border [F, figure 1].
SECOND_PAPER = [
    _preset("sndcgan", "", "SNDCGAN on CIFAR-10, its baseline; add --policy and so on", "24.73"),
    _preset(
        "sndcgan",
        "reals",
        "SNDCGAN with augmented reals only, which G learns to imitate",
        "31.03",
        policy="translation(0.1, fill=reflect)",
        augment="reals",
    ),
    _preset(
        "sndcgan",
        "both",
        "SNDCGAN with reals and fakes augmented",
        "19.0, read off a figure",
        policy="translation(0.1, fill=reflect)",
        augment="both",
    ),
    _preset(
        "sndcgan",
        "bcr",
        "best SNDCGAN: bCR with zoomout",
        "14.8, read off a figure",
        policy="zoomout:0.4",
        regularizers="bcr:10",
    ),
    _preset("biggan96", "", "BigGAN on CIFAR-10, its baseline; add --policy and so on", "14.73"),
    _preset(
        "biggan96",
        "both",
        "BigGAN with reals and fakes augmented",
        "11.1, read off a figure",
        policy="translation(0.1, fill=reflect)",
        augment="both",
    ),
    _preset(
        "biggan96",
        "bcr",
        "BigGAN with bCR",
        "9.21 in the table, 8.6 for this strength read off a figure",
        policy="translation(0.4, fill=reflect)",
        regularizers="bcr:10",
    ),
    _preset(
        "biggan96",
        "cntr",
        "Cntr-GAN, a contrastive loss on D's features",
        "12.27 in the table, 11.9 for this strength read off a figure",
        note="; the weight, temperature and head are recalled",
        policy="crop_resize:0.3,color_jitter",
        regularizers="cntr:0.1",
    ),
    _preset(
        "biggan96",
        "cntr-bcr",
        "best BigGAN: Cntr-GAN with bCR",
        "8.30",
        note="; T was not readable and is bCR's best here, temperature and head are recalled",
        policy="translation(0.4, fill=reflect)",
        regularizers="cntr:0.1,bcr:5",
    ),
]
