"""The figures and the table of "Image Augmentations for GAN Training" (arXiv 2006.02595).

Strengths are the paper's, read off its figures. Its `translation` mirrors at the border and its
cutout is black (figure 1). Names of arms: PLACE OP STRENGTH, where `both` shows D and G augmented
images and `bcr` asks D to ignore the augmentation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tf_diffaug.studies.setups import BIGGAN96, SNDCGAN, SNDCGAN_ALL
from tf_diffaug.studies.study import SCALES, Arm, Study

PAPER = "arXiv 2006.02595"
_SPATIAL = (0.1, 0.2, 0.3, 0.4, 0.5)
_TINT = (0.02, 0.04, 0.06, 0.08, 0.1)
_STRONG_TINT = (0.06, 0.08, 0.1, 0.2, 0.3)
_BRIGHTNESS = (0.02, 0.06, 0.1, 0.2, 0.3)
OPTIONS = {"translation": "fill=reflect", "cutout": "fill=black"}
SPATIAL = ("zoomout", "zoomin", "translation", "translationx", "translationy", "cutmix", "cutout")
VISUAL = ("brightness", "redness", "greenness", "mixup")
_SETTINGS = {
    "reals": "augment=reals",
    "both": "augment=both",
    "bcr": "regularizers=bcr:10 augment=none",
    "cntr": "regularizers=cntr:0.1 augment=none",
}
NONE = Arm("none", "policy=none", series="no augmentation")
# What two cores have time for: some ops, at strengths from the ends of their curves.
_STRONG_ENDS = {"translation": (0.4,), "zoomout": (0.4,), "brightness": (0.3,), "redness": (0.1,)}
_SMALL = {
    "reals": {"translation": (0.1, 0.5), "redness": (0.1, 0.5)},
    "both": {**_STRONG_ENDS, "translation": (0.1, 0.4), "instance_noise": (0.1,)},
    "bcr": _STRONG_ENDS,
    "cntr": {"translation": (0.1, 0.5), "crop_resize": (0.1, 0.5)},
}


def policy_of(op: str, strength: float) -> str:
    """The paper's op at a strength, as a policy."""
    return f"{op}({strength:g}, {OPTIONS[op]})" if op in OPTIONS else f"{op}:{strength:g}"


def arm_of(place: str, op: str, strength: float) -> Arm:
    """An op at a strength in one of the paper's places."""
    return Arm(
        f"{place} {op} {strength:g}",
        f"policy='{policy_of(op, strength)}' {_SETTINGS[place]}",
        series=op,
        x=strength,
        panel=place,
        scales=SCALES if strength in _SMALL[place].get(op, ()) else SCALES[:2],
    )


def _grid(place: str, strengths: dict[str, tuple[float, ...]]) -> Iterator[Arm]:
    for op, row in strengths.items():
        for strength in row:
            yield arm_of(place, op, strength)


_FIGURE_2 = dict.fromkeys((*SPATIAL, *VISUAL, "blueness"), _SPATIAL)
_FIGURE_3 = {
    **dict.fromkeys(SPATIAL, _SPATIAL),
    "brightness": _BRIGHTNESS,
    **dict.fromkeys(("redness", "greenness", "mixup", "instance_noise"), _TINT),
}
_FIGURE_5 = {
    **_FIGURE_3,
    **dict.fromkeys(("redness", "greenness", "mixup"), _STRONG_TINT),
}
_FIGURE_6 = dict.fromkeys(
    ("crop_resize", "translation", "zoomin", "mixup", "cutout", "brightness"),
    (0.1, 0.3, 0.5, 0.7, 0.9),
)
_STRONG = "policy='translation(0.4, fill=reflect)'"
_JITTERS = (0.25, 0.5, 1.0)


def _simclr(strength: float) -> Arm:
    """Crops of SimCLR with its colours at 0.5, the crop's strength being the axis."""
    return Arm(
        f"cntr simclr {strength:g}",
        f"policy=crop_resize:{strength:g},color_jitter:0.5 {_SETTINGS['cntr']}",
        series="crop, colours at 0.5",
        x=strength,
        panel="crop",
        scales=SCALES if strength in (0.1, 0.5) else SCALES[:2],
    )


def _jitter(strength: float) -> Arm:
    return Arm(
        f"cntr colour {strength:g}",
        f"policy=crop_resize:0.3,color_jitter:{strength:g} {_SETTINGS['cntr']}",
        series="colours, crop at 0.3",
        x=strength,
        panel="colour",
        scales=SCALES if strength in (0.25, 1.0) else SCALES[:2],
    )


STUDIES = (
    Study(
        "reals-only",
        "what if only reals are augmented, op by op and strength by strength",
        f"{PAPER}, figure 2",
        SNDCGAN_ALL,
        (NONE, *_grid("reals", _FIGURE_2)),
        form="strength",
        x_label="strength",
        log="y",
    ),
    Study(
        "both-and-bcr",
        "reals and fakes augmented, or D asked to ignore the augmentation",
        f"{PAPER}, figure 3",
        SNDCGAN,
        (NONE, *_grid("both", _FIGURE_3), *_grid("bcr", _FIGURE_3)),
        form="strength",
        x_label="strength",
    ),
    Study(
        "both-and-bcr-biggan",
        "reals and fakes augmented, or D asked to ignore the augmentation, class-conditional",
        f"{PAPER}, figure 5",
        BIGGAN96,
        (NONE, *_grid("both", _FIGURE_5), *_grid("bcr", _FIGURE_5)),
        form="strength",
        x_label="strength",
    ),
    Study(
        "overlap",
        "how much of the difference between reals and fakes an augmentation hides",
        f"{PAPER}, figure 4",
        SNDCGAN,
        (NONE,),
        form="boxes",
        overlap="repeats=2",
    ),
    Study(
        "cntr",
        "the contrastive loss by op and strength",
        f"{PAPER}, figure 6",
        BIGGAN96,
        (
            NONE,
            *_grid("cntr", _FIGURE_6),
            *(_simclr(strength) for strength in (0.1, 0.3, 0.5, 0.7, 0.9)),
            # Not in the figure: what the contrastive loss is said to prefer more of than bCR.
            *(
                dataclasses.replace(arm_of("bcr", "translation", s), scales=SCALES)
                for s in (0.1, 0.5)
            ),
        ),
        form="strength",
        x_label="strength",
    ),
    Study(
        "cntr-and-bcr",
        "nothing, the contrastive loss, bCR, and the two together",
        f"{PAPER}, table 1",
        BIGGAN96,
        (
            NONE,
            Arm("cntr", f"policy=crop_resize:0.3,color_jitter {_SETTINGS['cntr']}", series="Cntr"),
            Arm("bcr", f"{_STRONG} {_SETTINGS['bcr']}", series="BCR"),
            Arm(
                "cntr+bcr",
                f"{_STRONG} regularizers=cntr:0.1,bcr:5 augment=none",
                series="Cntr + BCR",
            ),
        ),
        metrics=("fid", "kid"),
    ),
    Study(
        "simclr",
        "the contrastive loss by the strength of SimCLR's crop and of its colours",
        f"{PAPER}, section on Cntr-GAN",
        BIGGAN96,
        (
            NONE,
            *(_simclr(strength) for strength in (0.1, 0.3, 0.5, 0.7, 0.9)),
            *map(_jitter, _JITTERS),
        ),
        form="strength",
        x_label="strength",
    ),
)
