"""The setups of "Differentiable Augmentation for Data-Efficient GAN Training" (arXiv 2006.10738).

DA is the authors' code, mit-han-lab/data-efficient-gans.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tf_diffaug.commands.preset_values.base import CIFAR_PROTOCOL, Preset

# DA, DiffAugment-biggan-cifar: all scripts alike [V]. G's batch norm takes the statistics of
# batches of 50 in evaluation too (G_eval_mode off) [V]; the best checkpoint by the FID it reports
# is the one it reports [V].
_BIGGAN_CIFAR = {
    **CIFAR_PROTOCOL,
    "model": "biggan",
    "conditional": True,
    "policy": "translation,cutout",
    "width": 64,
    "latent_dim": 128,
    "loss": "hinge",
    "batch_size": 50,
    "d_steps": 4,
    "g_lr": 2e-4,
    "d_lr": 2e-4,
    "beta1": 0.0,
    "beta2": 0.999,
    "ema_decay": 0.9999,
    "ema_start": 1_000,
    "ema_ramp": None,
    "eval_batch_norm": "batch",
    "log_every": 100,
    "sample_every": 2_000,
    "eval_every": 4_000,
    "checkpoint_every": 1_000,
}
# DA, DiffAugment-stylegan2, run_cifar.py and training_loop.py [V]: batch 32, 25 million images, R1
# of 0.1 at every step on the augmented reals, average of half-life a million images from the
# millionth on, style mixing left on.
_STYLEGAN2 = {
    "model": "stylegan2",
    "latent_dim": 512,
    "loss": "non_saturating",
    "d_steps": 1,
    "g_lr": 2e-3,
    "d_lr": 2e-3,
    "beta1": 0.0,
    "beta2": 0.99,
    "ema_ramp": None,
    "log_every": 100,
    "checkpoint_every": 1_000,
}
_STYLEGAN2_CIFAR = {
    **_STYLEGAN2,
    **CIFAR_PROTOCOL,
    "regularizers": "r1(0.1, on=augmented)",
    "width": 128,
    "batch_size": 32,
    "steps": 781_250,
    "ema_half_life": 1e6,
    "ema_start": 31_250,
    "sample_every": 5_000,
    "eval_every": 10_000,
}
# DA, run_low_shot.py [V]: batch 16, 300 thousand images, R1 of 10 on the raw reals, average of
# half-life 10,000 images from the 10,000th on; channels 16,384 / (resolution / 2) [V]. FID of 5,000
# fakes against the training images [V].
_LOW_SHOT = {
    **_STYLEGAN2,
    "regularizers": "r1(10, on=raw)",
    "policy": "color,translation,cutout",
    "resolution": 256,
    "width": 128,
    "batch_size": 16,
    "steps": 18_750,
    "flip": True,
    "ema_half_life": 1e4,
    "ema_start": 625,
    "fid_features": "inception",
    "fid_split": "train",
    "num_fakes": 5_000,
    "sample_every": 500,
    "eval_every": 2_000,
}
# DA, DiffAugment-biggan-imagenet, gin files [V]: batch 2048, 2 D steps, Adam (0, 0.999), G 1e-4,
# orthogonal initialisation without its regularization, accumulated batch-norm statistics; images
# in [0, 1], so that the zero its translation fills with is black. compare_gan: attention at 64 px,
# width 96, embedding of 128, average 0.9999 from step 40,000 [V].
_IMAGENET = {
    "model": (
        "biggan(shared_dim=128, hierarchical=true, attention=64, init=orthogonal, "
        "layout=compare_gan)"
    ),
    "conditional": True,
    "policy": "translation(fill=black)",
    "resolution": 128,
    "width": 96,
    "latent_dim": 120,
    "loss": "hinge",
    "batch_size": 2_048,
    "d_steps": 2,
    "g_lr": 1e-4,
    "beta1": 0.0,
    "beta2": 0.999,
    "ema_decay": 0.9999,
    "ema_start": 40_000,
    "ema_ramp": None,
    "fid_features": "inception",
    "fid_split": "train",
    "num_fakes": 50_000,
    "eval_batch_norm": "standing",
    "strategy": "tpu",
    "log_every": 100,
    "sample_every": 1_000,
    "eval_every": 5_000,
    "checkpoint_every": 1_000,
}


def _fraction(percent: int) -> dict[str, Any]:
    # DA draws its subsets by NumPy's legacy generator of seed 0, regardless of class [V].
    if percent == 100:
        return {}
    return {"data_fraction": percent / 100, "subset": "paper", "data_seed": 0}


def _suffix(percent: int) -> str:
    return "" if percent == 100 else f"-{percent}"


# FID with the preset's policy, and in brackets that of the same setup with --policy=none [V].
_FIDS = {
    ("biggan", "cifar10"): {100: (8.70, 9.59), 20: (14.04, 21.58), 10: (22.40, 39.78)},
    ("biggan-cr", "cifar10"): {100: (8.49, 9.06), 20: (12.84, 20.62), 10: (18.70, 37.45)},
    ("biggan-cr", "cifar100"): {100: (11.25, 11.26), 20: (20.28, 36.91), 10: (26.90, 47.16)},
    ("biggan", "cifar100"): {100: (12.00, 12.87), 20: (22.14, 33.11), 10: (33.70, 66.71)},
    ("stylegan2", "cifar10"): {100: (9.89, 11.07), 20: (12.15, 23.08), 10: (14.50, 36.02)},
    ("stylegan2", "cifar100"): {100: (15.22, 16.54), 20: (16.65, 32.30), 10: (20.75, 45.87)},
    ("biggan", "imagenet128"): {100: (6.80, 7.62), 50: (8.88, 9.64), 25: (13.28, 25.37)},
}
# Epochs of DA's scripts [V] as G steps: images · epochs / (batch 50 · 4 D steps).
_BIGGAN_STEPS = {
    ("cifar10", 100): 250_000,
    ("cifar100", 100): 500_000,
    **{(name, 20): 250_000 for name in ("cifar10", "cifar100")},
    **{(name, 10): 125_000 for name in ("cifar10", "cifar100")},
}


# DA's own T for CR where DiffAugment leaves it one, and for CR without DiffAugment [V, utils.py].
_CR_ALONE = "cr(10, policy='flip,translation')"


def _published(
    model: str, dataset: str, percent: int, protocol: str, baseline: str = "--policy=none"
) -> str:
    augmented, plain = _FIDS[model, dataset][percent]
    return f"{augmented:.2f} ({plain:.2f} with {baseline}; {protocol})"


def _biggan_cifar(dataset: str, percent: int) -> Preset:
    return Preset(
        name=f"biggan-{dataset}{_suffix(percent)}",
        summary=f"DiffAugment, BigGAN on {percent} % of {dataset}, class-conditional",
        settings={
            **_BIGGAN_CIFAR,
            **_fraction(percent),
            "dataset": dataset,
            "steps": _BIGGAN_STEPS[dataset, percent],
        },
        source="arXiv 2006.10738, the authors' scripts; others got 22 to 24 and 40 to 48 at 10 %",
        cost="about a day on 2 GPUs (published); not yet run here",
        published_fid=_published("biggan", dataset, percent, "10,000 fakes, test set, best one"),
    )


def _cr_biggan_cifar(dataset: str, percent: int) -> Preset:
    # DA's scripts [V]: at 100 % DiffAugment is cutout alone, CR's flips and shifts on top of it;
    # below, CR holds D of DiffAugment's reals against D of the plain ones.
    settings = {"policy": "cutout", "regularizers": _CR_ALONE}
    baseline = "--policy=none"
    if percent < 100:
        settings = {"regularizers": "cr:10", "augment": "both"}
        baseline += f' --augment=none --regularizers="{_CR_ALONE}"'
    plain = _biggan_cifar(dataset, percent)
    return dataclasses.replace(
        plain,
        name=plain.name.replace("biggan", "biggan-cr"),
        summary=f"DiffAugment and consistency regularization: {plain.summary.split(', ', 1)[1]}",
        settings={**plain.settings, **settings},
        source="arXiv 2006.10738, the authors' scripts",
        published_fid=_published(
            "biggan-cr", dataset, percent, "10,000 fakes, test set, best one", baseline
        ),
    )


def _stylegan2_cifar(dataset: str, percent: int) -> Preset:
    policy = "color,cutout" if percent == 100 else "color,translation,cutout"
    return Preset(
        name=f"stylegan2-{dataset}{_suffix(percent)}",
        summary=f"DiffAugment, StyleGAN2 on {percent} % of {dataset}, unconditional",
        settings={
            **_STYLEGAN2_CIFAR,
            **_fraction(percent),
            "dataset": dataset,
            "policy": policy,
        },
        source="arXiv 2006.10738, the authors' code; its subset is the first of a TFDS order",
        cost="25 million images: about 2 days on 4 to 8 GPUs (published); not yet run here",
        published_fid=_published("stylegan2", dataset, percent, "10,000 fakes, test set"),
    )


def _imagenet(percent: int) -> Preset:
    steps, d_lr = {100: (250_000, 4e-4), 50: (150_000, 2e-4), 25: (60_000, 2e-4)}[percent]
    fraction = {} if percent == 100 else {"data_fraction": percent / 100}
    return Preset(
        name=f"biggan-imagenet128{_suffix(percent)}",
        summary=f"DiffAugment, BigGAN on {percent} % of ImageNet at 128 px, for a TPU",
        settings={**_IMAGENET, **fraction, "steps": steps, "d_lr": d_lr},
        source=(
            "arXiv 2006.10738, the authors' configurations; their baselines have d_lr 5e-4; a "
            "folder has no validation images, so FID here is against the training images"
        ),
        cost="TPU v3-128 (published); images are held in memory: 63 GB for all; not yet run here",
        published_fid=_published("biggan", "imagenet128", percent, "50,000 fakes, validation set"),
        needs="--dataset=folder:IMAGENET",
    )


FIRST_PAPER = [
    *(_biggan_cifar(name, p) for name in ("cifar10", "cifar100") for p in (100, 20, 10)),
    *(_cr_biggan_cifar(name, p) for name in ("cifar10", "cifar100") for p in (100, 20, 10)),
    *(_stylegan2_cifar(name, p) for name in ("cifar10", "cifar100") for p in (100, 20, 10)),
    Preset(
        name="stylegan2-100shot",
        summary="DiffAugment, StyleGAN2 at 256 px on some 100 to 400 images of your own",
        settings=_LOW_SHOT,
        source="arXiv 2006.10738, the authors' code",
        cost="300,000 images: several hours on 4 to 8 GPUs (published); not yet run here",
        published_fid=(
            "46.87 Obama, 27.08 grumpy cat, 12.06 panda; 42.44 AnimalFace cat, 58.85 dog (after "
            "500,000 images) (5,000 fakes, training set)"
        ),
        needs="--dataset=folder:PATH",
    ),
    *(_imagenet(percent) for percent in (100, 50, 25)),
]
