"""Networks and their training at each scale: the one place for steps, images and hours.

`paper` is the published setup, by its preset. `gpu` is shorter, for one accelerator.
`cpu` is slim: minutes a cell on one core. There "percent of the data" stands for few images, so
that D overfits within few steps, as it does in the papers: in 10,000 steps of 16 images, 100 images
are seen 1,600 times (the second paper's 50,000 some 256 times, the first paper's 5,000 some 5,000
times). In a trial without augmentation the FID was lowest at step 3,000.

`[R]` marks what could not be read in either paper and is ours.
"""

from __future__ import annotations

import dataclasses

from tf_diffaug.studies.study import Setup

# One resolution for all cells: features at another are another measure.
FEATURES = "fid_features=efficientnet-lite0:64"
_SMALL_EVALUATION = f"{FEATURES} metrics=fid,kid,mind fid_split=test num_fakes=2000"
_UNMEASURED = "one GPU: not measured"


def _own_terms(terms: str = "") -> dict[str, str]:
    return {"alone": terms or "none", "and": f"{terms}," if terms else ""}


# What arms have of their scale:
# - `kimg`, `noise_kimg`: the thousand images in which what adapts itself, ADA's p or the noise of a
#   diffusion, goes from 0 to 1;
# - `alone`, `and`: the setup's own extra loss terms, and what to put before a method's;
# - `r3gan`, `fastgan`: the size of those networks; R3GAN's maps are groups of 16 channels;
# - `chain`: what puts CHAIN into the setup's network; p moves from step `start`, else 5,000;
# - `queue`: of InsGen and FakeCLR, a share of the images or, as 5 % of 100 are 5, keys;
# - `stylegan2_policy`: StyleGAN2's DiffAugment on CIFAR-10; with colours too a slim SNDCGAN's D was
#   right on 29 % of reals, and its FID above that without augmentation.
_VALUES = {
    "kimg": "500",
    "noise_kimg": "100",
    **_own_terms(),
    "r3gan": "width=768 latent_dim=64",
    "fastgan": "width=64 latent_dim=256 eval_batch_norm=batch",
    "chain": "model='biggan(normalization=chain)' regularizers=chain",
    "queue": "0.05",
    "stylegan2_policy": "color,translation,cutout",
}
# A step of slim R3GAN or FastGAN takes several times as long as SNDCGAN's; hence fewer steps.
_SLIM_VALUES = {
    "kimg": "20",
    "noise_kimg": "20",
    **_own_terms(),
    "r3gan": "width=16 latent_dim=64 steps=2500 eval_every=250",
    "fastgan": "width=8 latent_dim=64 steps=2500 eval_every=250",
    "chain": "model='sndcgan(normalization=chain)' regularizers='chain(20, start=500)'",
    "queue": "64",
    "stylegan2_policy": "translation,cutout",
}


# A step of one thread beside another's, seconds: of a slim SNDCGAN with 16 images.
_SNDCGAN_STEP = 1 / 58
_MEASURED = "1 CPU core, two cells side by side, evaluations left out"
_SLIM = f"policy=none augment=none regularizers=none flip=true {_SMALL_EVALUATION}"
_FEW_IMAGES = "num_images={} data_seed={{seed}}"


def _slim(preset: str, steps: int, step: float | None, words: str = "") -> Setup:
    few = _FEW_IMAGES.format(100)
    return Setup(
        words=f"preset=quick-{preset} {_SLIM} width=8 batch_size=16 steps={steps} "
        f"eval_every={steps // 10} sample_every={steps // 5} checkpoint_every={steps // 5} {words}",
        shares=dict.fromkeys((100, 20, 10), few),
        hours=None if step is None else steps * step / 3600,
        basis=_MEASURED if step else "1 CPU core: not measured",
        values=_SLIM_VALUES,
    )


def _with_all_images(setup: Setup) -> Setup:
    """All of CIFAR-10, and few images in the place of a part of it."""
    shares = {100: "", 20: _FEW_IMAGES.format(200), 10: _FEW_IMAGES.format(100)}
    return dataclasses.replace(setup, shares=shares)


def _few(setup: Setup) -> Setup:
    """The fewest images, whatever the paper had."""
    return dataclasses.replace(setup, shares=dict.fromkeys((100, 20, 10), setup.shares[10]))


def _gpu(preset: str, words: str, steps: int) -> Setup:
    few = {n: f"data_fraction={n / 100} data_seed={{seed}}" for n in (20, 10)}
    return Setup(
        words=f"preset={preset} policy=none {FEATURES} metrics=fid,kid,mind "
        f"num_fakes=10000 fid_split=test steps={steps} eval_every={steps // 12} "
        f"sample_every={steps // 6} checkpoint_every={steps // 12} ema_decay=0.999 eval_ema=true "
        f"ema_start=0 ema_ramp=0.25 {words}",
        shares={100: "", **few},
        hours=None,
        basis=_UNMEASURED,
        values=_VALUES,
    )


def _paper(words: str, shares: dict[int, str], hours: float | None, basis: str) -> Setup:
    end = "metrics=fid,kid,is seeds=3"
    return Setup(words, shares, hours, basis, values=_VALUES, end=end)


_STEPS = 10_000


def _slim_sndcgan(dataset: str = "cifar10") -> Setup:
    """Both papers' slim runs are alike, flips too, so that they share their baselines [R]."""
    return _slim("sndcgan-cifar10", _STEPS, _SNDCGAN_STEP, f"dataset={dataset}")


_ON_INCEPTION = "fid_features=inception"
_TWO_GPUS = "2 GPUs, as published: about a day a cell"

# arXiv 2006.02595: all of CIFAR-10. Its networks, by their presets.
SNDCGAN = {
    "paper": _paper(
        f"preset=sndcgan-cifar10 {_ON_INCEPTION}",
        {100: ""},
        200_000 * 1.39 / 3600,
        "2 CPU cores, by the step measured in docs/benchmarks.md; GPU: not measured",
    ),
    "gpu": _gpu("sndcgan-cifar10", "eval_batch_norm=standing", 20_000),
    "cpu": _slim_sndcgan(),
}
# Where the claim is not one about few images, all are seen at every scale.
SNDCGAN_ALL = {**SNDCGAN, "cpu": _with_all_images(_slim_sndcgan())}
BIGGAN96 = {
    "paper": _paper(f"preset=biggan96-cifar10 {_ON_INCEPTION}", {100: ""}, None, _UNMEASURED),
    "gpu": _gpu("biggan96-cifar10", "batch_size=64", 20_000),
    # Ten images a class, as uneven labels alone tell D reals from fakes. In the preset's layout,
    # whose blocks have no residual connections, a slim D told hardly anything in 5,000 steps.
    "cpu": _slim("biggan96-cifar10", 3_000, None, "model=biggan subset=balanced width=4"),
}

# arXiv 2006.10738: BigGAN on a part of CIFAR. At the scale of 2 cores a slim SNDCGAN stands for it:
# its step takes a fifth of slim BigGAN's.
_SHARES = {100: "", 20: "-20", 10: "-10"}


def biggan(dataset: str) -> dict[str, Setup]:
    """The first paper's setups of `cifar10` or `cifar100`."""
    presets = {share: f"preset=biggan-{dataset}{end}" for share, end in _SHARES.items()}
    words = f"eval_batch_norm=standing dataset={dataset}"
    return {
        "paper": _paper(_ON_INCEPTION, presets, 24.0, _TWO_GPUS),
        "gpu": _gpu("biggan-cifar10", words, 20_000),
        "cpu": _with_all_images(_slim_sndcgan(dataset)),
    }


BIGGAN = biggan("cifar10")
BIGGAN_FEW = {**BIGGAN, "cpu": _few(BIGGAN["cpu"])}
_STYLEGAN2_PRESETS = {share: f"preset=stylegan2-cifar10{end}" for share, end in _SHARES.items()}
STYLEGAN2_FEW = {
    "paper": dataclasses.replace(
        _paper(
            f"{_ON_INCEPTION} policy=none",
            _STYLEGAN2_PRESETS,
            48.0,
            "4 to 8 GPUs, as published: about 2 days a cell",
        ),
        counted=("r1",),
    ),
    "gpu": _gpu("stylegan2-cifar10", "policy=none", 20_000),
    "cpu": _few(BIGGAN["cpu"]),
}

# arXiv 2006.10738, 100-shot: FID against the training images. The slim one at 64 px [R].
_FEW_SHOT = "policy=none fid_split=train flip=true"
_LOW_SHOT_VALUES = _VALUES | _own_terms("r1(10, on=raw)")  # the preset's
LOW_SHOT = {
    "paper": dataclasses.replace(
        _paper(
            f"preset=stylegan2-100shot {_ON_INCEPTION} {_FEW_SHOT}",
            {100: ""},
            None,
            "4 to 8 GPUs, several hours a cell as published",
        ),
        values=_LOW_SHOT_VALUES,
    ),
    "gpu": dataclasses.replace(
        _gpu("stylegan2-100shot", f"{_FEW_SHOT} resolution=128 num_fakes=5000", 10_000),
        shares={100: ""},
        values=_LOW_SHOT_VALUES,
    ),
    "cpu": dataclasses.replace(
        _slim("sndcgan-cifar10", 4_000, None, f"{_FEW_SHOT} resolution=64 num_fakes=1000"),
        shares={100: ""},
    ),
}
