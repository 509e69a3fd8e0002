"""The recipes of the papers: data, each value with its source.

`[V]` was read in the published code or text, `[F]` off a figure; `[R]` is recalled and could not be
checked. A preset says what it should cost and reach, so that a run can be held against it, and has
a `quick-` twin: the same recipe slim and short, for two CPU cores.

DA is mit-han-lab/data-efficient-gans, the code of "Differentiable Augmentation for Data-Efficient
GAN Training" (arXiv 2006.10738). "Image Augmentations for GAN Training" is arXiv 2006.02595.
"""

from __future__ import annotations

import dataclasses
import functools
import shlex
from typing import Any

from tf_diffaug.commands.flags import read_flags, setting_flags


@dataclasses.dataclass(frozen=True)
class Preset:
    """A recipe: what differs from the defaults of `Config`.

    Args:
        name: what `--preset` takes.
        summary: what it trains, on what.
        words: the flags that it stands for, without dashes; the last of a name counts.
        source: where the values are from.
        cost: time, and on what machine; says whether it was measured.
        published_fid: the paper's number and its protocol, or why there is none.
        needs: what the user must add, as a flag that shows how; empty for nothing.
    """

    name: str
    summary: str
    words: str
    source: str
    cost: str
    published_fid: str
    needs: str = ""

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """Values by `Config` field."""
        return read_flags(setting_flags(), [f"--{word}" for word in shlex.split(self.words)])[0]

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"python train.py --preset={self.name} {self.needs}".rstrip()


# FID of 10,000 fakes against CIFAR's test images, un-flipped, on Inception features: DA's metrics
# for both networks [V], and arXiv 2006.02595 [V].
_CIFAR = "fid_features=inception fid_split=test num_fakes=10_000 "

# arXiv 2006.02595, CIFAR-10: hinge; SNDCGAN unconditional, batch 64, 200k steps; BigGAN
# class-conditional, batch 256, 100k steps [V]. One D step a G step [F, algorithms 1 and 2]. Adam
# 2e-4 with (0.5, 0.999) for SNDCGAN, (0, 0.999) for BigGAN, 128-d normal z [R]; compare_gan's
# SNDCGAN configurations have the same Adam and length of z [V]. No average of G is mentioned in
# what could be read: none here; nor flips of the reals, which compare_gan's CIFAR lacks [V].
_SECOND = f"""{_CIFAR} dataset=cifar10 loss=hinge latent_dim=128 d_steps=1
    g_lr=2e-4 d_lr=2e-4 beta2=0.999 ema_decay=0 ema_ramp=none eval_ema=false flip=false
    log_every=100 sample_every=5_000 eval_every=10_000 checkpoint_every=2_000 """
_SNDCGAN = f"{_SECOND} model=sndcgan width=64 batch_size=64 steps=200_000 beta1=0.5 "
# compare_gan's BigGAN at 32 px: width 96, three downsamplings in D, hierarchical z and an embedding
# of 128 that all blocks share [V, resnet_biggan.py]; that the paper switched these on is [R].
_COMPARE_GAN = "init=orthogonal, layout=compare_gan"
_BIGGAN96 = f"""{_SECOND} model='biggan(shared_dim=128, hierarchical=true, {_COMPARE_GAN})'
    conditional=true width=96 batch_size=256 steps=100_000 beta1=0 eval_batch_norm=standing """


def _second(name: str, summary: str, fid: str, words: str = "", note: str = "") -> Preset:
    if name.startswith("sndcgan"):
        base, recalled = _SNDCGAN, "Adam's settings and the length of z"
        cost = "200,000 steps; the baseline's take about 1.4 s on 2 CPU cores; not yet run here"
    else:
        base, recalled = _BIGGAN96, "Adam's settings, z and the shared embedding"
        cost = "not yet run here; full width is for a GPU or a TPU"
    return Preset(
        f"{name}-cifar10",
        f"the second paper's {summary}",
        base + words,
        f"arXiv 2006.02595{note}; {recalled} are recalled",
        cost,
        f"{fid} (10,000 fakes, test set; top 15 % of runs)",
    )


# The strengths that did best, by figures 3, 5 and 6 [F]; those of bCR are named in the text [V].
# The paper's translation mirrors at the border [F, figure 1].
_WEAK = "policy='translation(0.1, fill=reflect)'"
_STRONG = "policy='translation(0.4, fill=reflect)'"
_BASELINE = "on CIFAR-10, its baseline; add --policy and so on"
SECOND_PAPER = [
    _second("sndcgan", f"SNDCGAN {_BASELINE}", "24.73"),
    _second(
        "sndcgan-reals",
        "SNDCGAN with augmented reals only, which G learns to imitate",
        "31.03",
        f"{_WEAK} augment=reals",
    ),
    _second(
        "sndcgan-both",
        "SNDCGAN with reals and fakes augmented",
        "19.0, read off a figure",
        f"{_WEAK} augment=both",
    ),
    _second(
        "sndcgan-bcr",
        "best SNDCGAN: bCR with zoomout",
        "14.8, read off a figure",
        "policy=zoomout:0.4 regularizers=bcr:10",
    ),
    _second("biggan96", f"BigGAN {_BASELINE}", "14.73"),
    _second(
        "biggan96-both",
        "BigGAN with reals and fakes augmented",
        "11.1, read off a figure",
        f"{_WEAK} augment=both",
    ),
    _second(
        "biggan96-bcr",
        "BigGAN with bCR",
        "9.21 in the table, 8.6 for this strength read off a figure",
        f"{_STRONG} regularizers=bcr:10",
    ),
    _second(
        "biggan96-cntr",
        "Cntr-GAN, a contrastive loss on D's features",
        "12.27 in the table, 11.9 for this strength read off a figure",
        "policy=crop_resize:0.3,color_jitter regularizers=cntr:0.1",
        "; the weight, temperature and head are recalled",
    ),
    _second(
        "biggan96-cntr-bcr",
        "best BigGAN: Cntr-GAN with bCR",
        "8.30",
        f"{_STRONG} regularizers=cntr:0.1,bcr:5",
        "; the augmentation was not readable and is bCR's best here, temperature and head are "
        "recalled",
    ),
]

# DA, DiffAugment-biggan-cifar: all scripts alike [V]. G's batch norm takes the statistics of
# batches of 50 in evaluation too (G_eval_mode off) [V]; the best checkpoint by the FID it reports
# is the one it reports [V].
_BIGGAN = f"""{_CIFAR} model=biggan conditional=true policy=translation,cutout width=64
    latent_dim=128 loss=hinge batch_size=50 d_steps=4 g_lr=2e-4 d_lr=2e-4 beta1=0 beta2=0.999
    ema_decay=0.9999 ema_start=1_000 ema_ramp=none eval_batch_norm=batch
    log_every=100 sample_every=2_000 eval_every=4_000 checkpoint_every=1_000 """
# DA, DiffAugment-stylegan2, run_cifar.py and training_loop.py [V]: batch 32, 25 million images, R1
# of 0.1 at every step on the augmented reals, average of half-life a million images from the
# millionth on, style mixing left on.
_STYLEGAN2 = """model=stylegan2 width=128 latent_dim=512 loss=non_saturating d_steps=1
    g_lr=2e-3 d_lr=2e-3 beta1=0 beta2=0.99 ema_ramp=none log_every=100 checkpoint_every=1_000 """
_STYLEGAN2_CIFAR = f"""{_STYLEGAN2} {_CIFAR} regularizers='r1(0.1, on=augmented)' batch_size=32
    steps=781_250 ema_half_life=1e6 ema_start=31_250 sample_every=5_000 eval_every=10_000 """
# DA, run_low_shot.py [V]: batch 16, 300 thousand images, R1 of 10 on the raw reals, average of
# half-life 10,000 images from the 10,000th on; channels 16,384 / (resolution / 2) [V]. FID of 5,000
# fakes against the training images [V].
_LOW_SHOT = f"""{_STYLEGAN2} regularizers='r1(10, on=raw)' policy=color,translation,cutout
    resolution=256 batch_size=16 steps=18_750 flip=true ema_half_life=1e4 ema_start=625
    fid_features=inception fid_split=train num_fakes=5_000 sample_every=500 eval_every=2_000 """
# DA, DiffAugment-biggan-imagenet, gin files [V]: batch 2048, 2 D steps, Adam (0, 0.999), G 1e-4,
# orthogonal initialisation without its regularization, accumulated batch-norm statistics; images
# in [0, 1], so that the zero its translation fills with is black. compare_gan: attention at 64 px,
# width 96, embedding of 128, average 0.9999 from step 40,000 [V].
_IMAGENET = f"""model='biggan(shared_dim=128, hierarchical=true, attention=64, {_COMPARE_GAN})'
    conditional=true policy='translation(fill=black)' resolution=128 width=96
    latent_dim=120 loss=hinge batch_size=2_048 d_steps=2 g_lr=1e-4 beta1=0 beta2=0.999
    ema_decay=0.9999 ema_start=40_000 ema_ramp=none eval_batch_norm=standing strategy=tpu
    fid_features=inception fid_split=train num_fakes=50_000
    log_every=100 sample_every=1_000 eval_every=5_000 checkpoint_every=1_000 """

# DA draws its subsets by NumPy's legacy generator of seed 0, regardless of class [V].
_SUBSET = "subset=paper data_seed=0"
# Epochs of DA's scripts [V] as G steps: images · epochs / (batch 50 · 4 D steps).
_BIGGAN_STEPS = {
    "cifar10": {100: 250_000, 20: 250_000, 10: 125_000},
    "cifar100": {100: 500_000, 20: 250_000, 10: 125_000},
}
# G steps and D's rate by percentage, from the gin files [V].
_IMAGENET_STEPS = {100: (250_000, 4e-4), 50: (150_000, 2e-4), 25: (60_000, 2e-4)}
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


def _first(
    setup: tuple[str, str, int],
    networks: str,
    words: str,
    source: str,
    cost: str,
    protocol: str,
    baseline: str = "",
    needs: str = "",
) -> Preset:
    """A model on a data set, or on so many percent of it."""
    model, dataset, percent = setup
    augmented, plain = _FIDS[model, dataset][percent]
    return Preset(
        f"{model}-{dataset}-{percent}".removesuffix("-100"),
        f"DiffAugment{networks.format(share=f'{percent} % of {dataset}')}",
        words if percent == 100 else f"{words} data_fraction={percent / 100}",
        f"arXiv 2006.10738, the authors' {source}",
        f"{cost}; not yet run here",
        f"{augmented:.2f} ({plain:.2f} with --policy=none{baseline}; {protocol})",
        needs,
    )


def _biggan(dataset: str, percent: int, cr: bool = False) -> Preset:
    words, baseline = f"{_BIGGAN} dataset={dataset} steps={_BIGGAN_STEPS[dataset][percent]} ", ""
    words += _SUBSET if percent < 100 else ""
    # CR's augmentation where DiffAugment leaves it one, and without DiffAugment [V, DA, utils.py].
    # DA's scripts [V]: at 100 % DiffAugment is cutout alone, CR's flips and shifts on top of it;
    # below, CR holds D of DiffAugment's reals against D of the plain ones.
    alone = """--regularizers="cr(10, policy='flip,translation')\""""
    if cr and percent == 100:
        words += f" policy=cutout {alone[2:]}"
    elif cr:
        words += " regularizers=cr:10 augment=both"
        baseline = f" --augment=none {alone}"
    extra = " and consistency regularization:" if cr else ","
    return _first(
        ("biggan-cr" if cr else "biggan", dataset, percent),
        f"{extra} BigGAN on {{share}}, class-conditional",
        words,
        "scripts" if cr else "scripts; others got 22 to 24 and 40 to 48 at 10 %",
        "about a day on 2 GPUs (published)",
        "10,000 fakes, test set, best one",
        baseline,
    )


def _stylegan2(dataset: str, percent: int) -> Preset:
    part = "policy=color,cutout" if percent == 100 else f"policy=color,translation,cutout {_SUBSET}"
    return _first(
        ("stylegan2", dataset, percent),
        ", StyleGAN2 on {share}, unconditional",
        f"{_STYLEGAN2_CIFAR} dataset={dataset} {part}",
        "code; its subset is the first of a TFDS order",
        "25 million images: about 2 days on 4 to 8 GPUs (published)",
        "10,000 fakes, test set",
    )


def _imagenet(percent: int) -> Preset:
    steps, d_lr = _IMAGENET_STEPS[percent]
    return _first(
        ("biggan", "imagenet128", percent),
        f", BigGAN on {percent} % of ImageNet at 128 px, for a TPU",
        f"{_IMAGENET} steps={steps} d_lr={d_lr}",
        "configurations; their baselines have d_lr 5e-4; a folder has no validation images, so FID "
        "here is against the training images",
        "TPU v3-128 (published); 63 GB of images, in memory or packed",
        "50,000 fakes, validation set",
        needs="--dataset=folder:IMAGENET",
    )


_SHARES = [(dataset, percent) for dataset in ("cifar10", "cifar100") for percent in (100, 20, 10)]
FIRST_PAPER = [
    *(_biggan(*share) for share in _SHARES),
    *(_biggan(*share, cr=True) for share in _SHARES),
    *(_stylegan2(*share) for share in _SHARES),
    Preset(
        "stylegan2-100shot",
        "DiffAugment, StyleGAN2 at 256 px on some 100 to 400 images of your own",
        _LOW_SHOT,
        "arXiv 2006.10738, the authors' code",
        "300,000 images: several hours on 4 to 8 GPUs (published); not yet run here",
        "46.87 Obama, 27.08 grumpy cat, 12.06 panda; 42.44 AnimalFace cat, 58.85 dog (after "
        "500,000 images) (5,000 fakes, training set)",
        "--dataset=folder:PATH",
    ),
    *map(_imagenet, (100, 50, 25)),
]
