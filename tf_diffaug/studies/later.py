"""Other methods, most of them later, each with DiffAugment on the fewest images of the first paper.

An arm is DiffAugment and one more; the names are those of the registries. Weights are each method's
own, see docs/regularizers.md. Extra loss terms of the setup stay, except where a loss or a network
brings its own.
"""

from __future__ import annotations

from tf_diffaug.studies.differentiable_augmentation import POLICY, SMALL_POLICY
from tf_diffaug.studies.setups import BIGGAN, LOW_SHOT
from tf_diffaug.studies.study import SCALES, Arm, Study

# R3GAN's gamma on CIFAR-10 at the beginning of its schedule.
_RELATIVISTIC = "loss=relativistic regularizers=r1:0.05,r2:0.05"
# Adam and D's steps of another network or loss are its own, whatever the setup's are.
_OWN = "g_lr=2e-4 d_lr=2e-4 d_steps=1"


def _added(term: str) -> str:
    """The flag of an extra loss term beside the setup's own."""
    return f"regularizers='{{and}}{term}'"


# By method: what it is, where from, and the flags that it adds. `{policy}` is DiffAugment's, other
# words in braces are the setup's values.
METHODS = {
    "ada": ("ADA", "2006.06676", _added("ada(0.6, kimg={kimg})")),
    "apa": ("APA", "2111.06849", _added("apa(0.6, kimg={kimg})")),
    "lecam": ("LeCam", "2104.03310", _added("lecam:0.3")),
    "cr": ("CR", "1910.12027", _added("cr:10")),
    "bcr": ("bCR", "2002.04724", _added("bcr:10")),
    "zcr": ("zCR", "2002.04724", _added("zcr")),
    "cntr": ("Cntr", "2006.02595", _added("cntr:0.1")),
    "dragan": ("DRAGAN", "1705.07215", _added("dragan:10")),
    "diffusion": (
        "Diffusion-GAN",
        "2206.02262",
        "policy={policy},diffusion_noise " + _added("diffusion(kimg={noise_kimg})"),
    ),
    "topk": ("top-k", "2002.06224", _added("topk")),
    "augself": ("AugSelf", "2205.15677", _added("augself")),
    # Its weight with DiffAugment at 10 % of CIFAR-10.
    "diggan": ("DigGAN", "2211.14694", _added("diggan:1000")),
    "chain": ("CHAIN", "2404.00521", "{chain}"),
    "insgen": ("InsGen", "2106.04566", _added("insgen(queue={queue})")),
    "fakeclr": ("FakeCLR", "2207.08630", _added("fakeclr(queue={queue})")),
    "relativistic": ("relativistic pairing", "2501.05441", _RELATIVISTIC),
    "r3gan": (
        "R3GAN",
        "2501.05441",
        f"model=r3gan {{r3gan}} {_RELATIVISTIC} {_OWN} beta1=0 beta2=0.9",
    ),
    "fastgan": (
        "FastGAN",
        "2101.04775",
        "model=fastgan conditional=false {fastgan} loss=smooth_hinge regularizers=reconstruction:8 "
        f"{_OWN} beta1=0.5 beta2=0.999",
    ),
}


def _arms(share: int, policy: str, **scales: tuple[str, ...]) -> tuple[Arm, ...]:
    """DiffAugment's arm and one a method, at all scales unless some are named."""
    both = f"policy={policy} augment=both"
    plain = Arm("none", "policy=none augment=none regularizers='{alone}'", share, "none")
    alone = Arm("diffaugment", f"{both} regularizers='{{alone}}'", share, "DiffAugment")
    more = (
        Arm(
            f"+ {name}",
            f"{both} {words.replace('{policy}', policy)}",
            share,
            f"+ {title}",
            base="diffaugment",
            scales=scales.get(name, SCALES),
        )
        for name, (title, _, words) in METHODS.items()
    )
    return (plain, alone, *more)


STUDIES = (
    Study(
        "later-methods",
        "what other methods add to DiffAugment, on few images of CIFAR-10",
        "the methods' own papers",
        BIGGAN,
        _arms(10, SMALL_POLICY),
        metrics=("fid", "kid"),
    ),
    Study(
        "later-methods-100shot",
        "what other methods add to DiffAugment, on some hundred images of your own",
        "the methods' own papers",
        LOW_SHOT,
        # StyleGAN2's D has no place for CHAIN.
        _arms(100, POLICY, chain=("cpu",)),
        metrics=("fid", "auth_pct"),
        needs="--dataset=folder:PATH",
    ),
)
