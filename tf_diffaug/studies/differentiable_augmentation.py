"""The tables and figures of "Differentiable Augmentation for Data-Efficient GAN Training".

arXiv 2006.10738. Names of arms: METHOD SHARE%, or METHOD and what is varied.
"""

from __future__ import annotations

import itertools

from tf_diffaug.studies.setups import BIGGAN, BIGGAN_FEW, LOW_SHOT, STYLEGAN2_FEW, biggan
from tf_diffaug.studies.study import SCALES, Arm, Study

PAPER = "arXiv 2006.10738"
SHARES = (100, 20, 10)
POLICY = "color,translation,cutout"
SMALL_POLICY = "translation,cutout"  # of the paper's BigGAN
_NONE = "policy=none augment=none regularizers=none"
_DIFFAUGMENT = f"policy={SMALL_POLICY} augment=both regularizers=none"
# CR compares D of an image and of the image flipped and shifted. With DiffAugment it does so on top
# of cutout at 100 %, and below it compares D(T(x)) with D(x) (the authors' scripts).
_CR = "policy=none augment=none regularizers=\"cr(10, policy='flip,translation')\""
_CR_WITH = {
    100: "policy=cutout augment=both regularizers=\"cr(10, policy='flip,translation')\"",
    20: f"policy={SMALL_POLICY} augment=both regularizers=cr:10",
    10: f"policy={SMALL_POLICY} augment=both regularizers=cr:10",
}
_METHODS = {
    "none": dict.fromkeys(SHARES, _NONE),
    "diffaugment": dict.fromkeys(SHARES, _DIFFAUGMENT),
    "cr": dict.fromkeys(SHARES, _CR),
    "cr+diffaugment": _CR_WITH,
}
_PLACES = {"reals": "augment=reals", "d_only": "augment=d_only", "both": "augment=both"}
_POLICIES = (POLICY, SMALL_POLICY, "translation")
# Which sizes it has could not be read: ours.
_WIDTHS = dict.fromkeys(("paper", "gpu"), (48, 64, 96)) | {"cpu": (4, 8, 16)}
# A step's time over that of the setup's width: by area at full size, measured at the slim one.
_WIDTH_TIMES = {96: 2.25, 16: 1.7}
# The paper says that stronger penalties were tried; which could not be read: ours.
GAMMAS = (0.1, 1.0, 10.0)
_SMALL_GAMMAS = (0.1, 10.0)
_SINGLES = ("color", "translation", "cutout")
ALL_POLICIES = (*_SINGLES, "color,translation", "color,cutout", SMALL_POLICY, POLICY)


def _arm(method: str, share: int) -> Arm:
    return Arm(
        f"{method} {share}%",
        _METHODS[method][share],
        share,
        method,
        panel=f"{share} %",
        base=f"none {share}%",
    )


def _arms_by_share() -> tuple[Arm, ...]:
    return tuple(_arm(method, share) for share in SHARES for method in _METHODS)


def _place(place: str, policy: str) -> Arm:
    words = f"policy={policy} {_PLACES[place]} regularizers=none"
    scales = SCALES[:2] if policy == "translation" else SCALES
    return Arm(f"{place} {policy}", words, series=place, panel=policy, scales=scales)


def _width(width: int, method: str) -> Arm:
    return Arm(
        f"{method} width {width}",
        f"{_METHODS[method][10]} width={width}",
        10,
        series=method,
        x=width,
        base=f"none width {width}",
        scales=tuple(scale for scale in SCALES if width in _WIDTHS[scale]),
        times=_WIDTH_TIMES.get(width, 1.0),
    )


_SEES_OVERFITTING = ("accuracy_real_aug", "accuracy_held_out", "fid")
_UNAUGMENTED = "policy=none augment=none"
STUDIES = (
    *(
        Study(
            f"less-data{end}",
            f"CIFAR-{number} at 100, 20 and 10 %, with and without DiffAugment and CR",
            f"{PAPER}, its table of CIFAR-{number}",
            BIGGAN if number == 10 else biggan("cifar100"),
            _arms_by_share(),
            metrics=("fid", "kid"),
        )
        for number, end in ((10, ""), (100, "-cifar100"))
    ),
    Study(
        "places",
        "reals only, D only, and both, policy by policy",
        f"{PAPER}, its table of three places",
        BIGGAN_FEW,
        (
            Arm("none", _NONE, series="none"),
            *(_place(place, policy) for policy in _POLICIES for place in _PLACES),
        ),
    ),
    Study(
        "d-accuracy",
        "how often D is right on training images and on held-out ones, by the share of the data",
        f"{PAPER}, figure 1 and its discussion",
        BIGGAN,
        tuple(_arm(method, share) for share in SHARES for method in ("none", "diffaugment")),
        form="curves",
        metrics=_SEES_OVERFITTING,
    ),
    Study(
        "model-size",
        "does a larger network gain more?",
        f"{PAPER}, figure 8a",
        BIGGAN_FEW,
        tuple(
            _width(width, method)
            for width, method in itertools.product(
                (*_WIDTHS["cpu"], *_WIDTHS["paper"]), ("none", "diffaugment")
            )
        ),
        form="strength",
        x_label="base channels",
        log="x",
    ),
    Study(
        "r1-gamma",
        "does a stronger gradient penalty do what DiffAugment does?",
        f"{PAPER}, figure 8b",
        STYLEGAN2_FEW,
        (
            Arm("none", f"{_UNAUGMENTED} regularizers=none", 10, series="neither"),
            *(
                Arm(
                    f"r1 {gamma:g}",
                    f"{_UNAUGMENTED} regularizers=r1:{gamma:g}",
                    10,
                    series="R1 alone",
                    x=gamma,
                    scales=SCALES if gamma in _SMALL_GAMMAS else SCALES[:2],
                )
                for gamma in GAMMAS
            ),
            Arm(
                "diffaugment",
                "policy={stylegan2_policy} augment=both regularizers=r1:0.1",
                10,
                series="DiffAugment",
            ),
        ),
        form="strength",
        x_label="gamma",
        log="x",
    ),
    Study(
        "policies",
        "DiffAugment's policies one by one",
        f"{PAPER}, table 6",
        STYLEGAN2_FEW,
        (
            Arm("none", _UNAUGMENTED, 10, series="none"),
            *(
                Arm(policy, f"policy={policy} augment=both", 10, series=policy)
                for policy in ALL_POLICIES
            ),
        ),
        metrics=("fid", "leak"),
    ),
    Study(
        "hundred-shot",
        "some hundred images of your own, with and without DiffAugment",
        f"{PAPER}, its table of 100-shot generation",
        LOW_SHOT,
        (
            Arm("none", _UNAUGMENTED, series="none"),
            Arm("diffaugment", f"policy={POLICY} augment=both", series="DiffAugment"),
        ),
        metrics=("fid", "kid"),
        needs="--dataset=folder:PATH",
    ),
)
