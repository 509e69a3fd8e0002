"""What the papers claim, a row each, as contrasts between arms: data."""

from __future__ import annotations

from tf_diffaug.studies.claims import Claim, Contrast, above, gains_more, mean_above
from tf_diffaug.studies.differentiable_augmentation import GAMMAS, SMALL_POLICY
from tf_diffaug.studies.differentiable_augmentation import PAPER as FIRST
from tf_diffaug.studies.image_augmentations import PAPER as SECOND
from tf_diffaug.studies.later import METHODS

_REALS = ("translation", "redness")
_WEAK, _STRONG = ([f"reals {op} {strength}" for op in _REALS] for strength in (0.1, 0.5))
_SPATIAL = ["translation 0.4", "zoomout 0.4"]
_VISUAL = ["brightness 0.3", "redness 0.1"]
_NOISE = "both instance_noise 0.1"
_OVERLAPS = ("greenness", "mixup", "translation(fill=reflect)")
_FEW, _ALL = (("none 10%", "diffaugment 10%"), ("none 100%", "diffaugment 100%"))
_D_ONLY = f"d_only {SMALL_POLICY}"


def _placed(place: str, ops: list[str]) -> list[str]:
    return [f"{place} {op}" for op in ops]


def _overlap(text: str, *terms: tuple[float, str]) -> Contrast:
    return Contrast(text, tuple((w, "none", f"overlap:{name}") for w, name in terms), 0, "overlap")


CLAIMS = (
    Claim(
        "1",
        "Augmenting reals only makes the FID worse",
        f"{SECOND}, figure 2",
        "reals-only",
        (mean_above("fid", _WEAK, ["none"], "mean FID of ops at 0.1 above none's"),),
    ),
    Claim(
        "2",
        "and the more so the stronger it is",
        f"{SECOND}, figure 2",
        "reals-only",
        (mean_above("fid", _STRONG, _WEAK, "mean FID of ops at 0.5 above that at 0.1"),),
    ),
    Claim(
        "3",
        "Augmenting reals and fakes improves the FID when data are few",
        f"{FIRST}, table of CIFAR-10",
        "less-data",
        (above("fid", *_FEW),),
    ),
    Claim(
        "4",
        "and the gain grows as the data shrink",
        f"{FIRST}, table of CIFAR-10",
        "less-data",
        (gains_more("fid", _FEW, _ALL, "gain at 10 % above that at 100 %"),),
    ),
    Claim(
        "5",
        "Augmenting in D's loss only fails: D is right on over 90 % of augmented images and on "
        "under 10 % of plain fakes",
        f"{FIRST}, section 3",
        "places",
        (
            above("fid", _D_ONLY, "none"),
            *(
                Contrast(
                    f"share of augmented {name}s that D gets right, less 0.9",
                    ((1.0, _D_ONLY, f"accuracy_{name}_aug"),),
                    -0.9,
                )
                for name in ("real", "fake")
            ),
            Contrast(
                "0.1, less the share of plain fakes that D gets right",
                ((-1.0, _D_ONLY, "accuracy_fake"),),
                0.1,
            ),
        ),
    ),
    Claim(
        "6",
        "Spatial ops beat visual ones",
        f"{SECOND}, figure 3",
        "both-and-bcr",
        tuple(
            mean_above(
                "fid",
                _placed(place, _VISUAL),
                _placed(place, _SPATIAL),
                f"{place}: mean FID of brightness and redness above that of shifts and zooms",
            )
            for place in ("both", "bcr")
        ),
    ),
    Claim(
        "7",
        "BCR improves on augmenting both",
        f"{SECOND}, figure 3",
        "both-and-bcr",
        (
            mean_above(
                "fid",
                _placed("both", _SPATIAL),
                _placed("bcr", _SPATIAL),
                "mean FID of shifts and zooms: both above bcr",
            ),
        ),
    ),
    Claim(
        "8",
        "The contrastive loss helps, and with BCR it is best",
        f"{SECOND}, table 1",
        "cntr-and-bcr",
        tuple(
            above("fid", higher, lower)
            for higher, lower in (("none", "cntr"), ("bcr", "cntr+bcr"), ("cntr", "cntr+bcr"))
        ),
    ),
    Claim(
        "9",
        "The contrastive loss prefers stronger augmentation than BCR",
        f"{SECOND}, figures 5 and 6",
        "cntr",
        (
            gains_more(
                "fid",
                ("cntr translation 0.1", "cntr translation 0.5"),
                ("bcr translation 0.1", "bcr translation 0.5"),
                "from shifts of 0.1 to those of 0.5 Cntr gains more (or loses less) than BCR",
            ),
        ),
    ),
    Claim(
        "10",
        "Instance noise stabilises but does not improve",
        f"{SECOND}, figure 3",
        "both-and-bcr",
        (
            above("spread:fid", "none", _NOISE, "deviation of the last FIDs: none's above"),
            above("fid", _NOISE, "none"),
        ),
    ),
    Claim(
        "11",
        "Supports overlap more with strength, which does not predict the FID: noise has the most "
        "overlap and the worst FID",
        f"{SECOND}, figure 4",
        "overlap",
        (
            _overlap(
                "mean ratio at 0.1 above that at 0.5",
                *((w / 3, f"{op}:{s}") for op in _OVERLAPS for w, s in ((1, "0.1"), (-1, "0.5"))),
            ),
            _overlap(
                "ratio of shifts of 0.1 above that of noise of 0.1",
                (1.0, "translation(fill=reflect):0.1"),
                (-1.0, "instance_noise:0.1"),
            ),
            Contrast(
                "FID with noise of 0.1 above that with shifts of 0.1",
                ((1.0, _NOISE, "fid"), (-1.0, "both translation 0.1", "fid")),
                study="both-and-bcr",
            ),
        ),
    ),
    Claim(
        "12",
        "Stronger R1 does not replace DiffAugment",
        f"{FIRST}, figure 8b",
        "r1-gamma",
        tuple(above("fid", f"r1 {gamma:g}", "diffaugment") for gamma in GAMMAS),
    ),
    Claim(
        "13",
        "Larger models gain more",
        f"{FIRST}, figure 8a",
        "model-size",
        tuple(
            gains_more(
                "fid",
                (f"none width {wide}", f"diffaugment width {wide}"),
                (f"none width {narrow}", f"diffaugment width {narrow}"),
                f"gain at width {wide} above that at {narrow}",
            )
            for wide, narrow in ((16, 4), (96, 48))
        ),
    ),
    Claim(
        "14",
        "Without augmentation D's accuracy on held-out reals collapses while it rises on training "
        "ones",
        f"{FIRST}, figure 1",
        "d-accuracy",
        (
            Contrast(
                "on held-out reals: early above late",
                (
                    (1.0, "none 10%", "start:accuracy_held_out"),
                    (-1.0, "none 10%", "accuracy_held_out"),
                ),
            ),
            Contrast(
                "on training reals: late above early",
                (
                    (1.0, "none 10%", "accuracy_real_aug"),
                    (-1.0, "none 10%", "start:accuracy_real_aug"),
                ),
            ),
            above("accuracy_held_out", "diffaugment 10%", "none 10%"),
        ),
    ),
    Claim(
        "15",
        "Cutout leaks into the samples late in training",
        "github mit-han-lab/data-efficient-gans, issue 84",
        "policies",
        (
            Contrast(
                "leak above what chance explains",
                ((1.0, "cutout", "leak"), (-1.0, "cutout", "leak_threshold")),
            ),
            Contrast("late above early", ((1.0, "cutout", "leak"), (-1.0, "cutout", "start:leak"))),
        ),
    ),
    Claim(
        "16",
        "At full data DiffAugment gains little or hurts",
        f"{FIRST}, tables of CIFAR-10 and FFHQ",
        "less-data",
        (
            Contrast(
                "a tenth of none's FID above the gain at 100 %",
                ((-0.9, _ALL[0], "fid"), (1.0, _ALL[1], "fid")),
            ),
        ),
    ),
    *(
        Claim(
            f"17 {name}",
            f"{title} and DiffAugment have a lower FID than DiffAugment alone, where data are few",
            f"our question; the method: arXiv {source}",
            "later-methods",
            (above("fid", "diffaugment", f"+ {name}"),),
        )
        for name, (title, source, _) in METHODS.items()
    ),
)


def claims_of(study: str) -> list[Claim]:
    """Those that a study's cells have a part in."""
    return [claim for claim in CLAIMS if claim.arms(study)]
