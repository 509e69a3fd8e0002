"""What else is asked of D and of G: the third coordinate of an experiment.

A regularizer names the views of D that it needs and turns what a turn holds into one value an
example; it may own variables. A new one is a class in this package and a line in `REGULARIZERS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from tf_diffaug.language import bind, parse_calls
from tf_diffaug.naming import unknown
from tf_diffaug.training.regularizers.adaptive import ADA, APA
from tf_diffaug.training.regularizers.adversarial import AdversarialDefence
from tf_diffaug.training.regularizers.base import Regularizer, Update
from tf_diffaug.training.regularizers.consistency import BCR, CR
from tf_diffaug.training.regularizers.contrastive import Cntr
from tf_diffaug.training.regularizers.dragan import DRAGAN
from tf_diffaug.training.regularizers.generator import Orthogonal, PathLength
from tf_diffaug.training.regularizers.gradient_penalty import R1, R2, WGANGP
from tf_diffaug.training.regularizers.jensen_shannon import JensenShannon
from tf_diffaug.training.regularizers.latent import ZCR
from tf_diffaug.training.regularizers.lecam import LeCam
from tf_diffaug.training.regularizers.rotation import SSGAN
from tf_diffaug.training.regularizers.semi import S3GAN
from tf_diffaug.training.regularizers.top_k import TopK

__all__ = [
    "ADA",
    "APA",
    "BCR",
    "CR",
    "DRAGAN",
    "R1",
    "R2",
    "REGULARIZERS",
    "S3GAN",
    "SSGAN",
    "WGANGP",
    "ZCR",
    "AdversarialDefence",
    "Cntr",
    "JensenShannon",
    "LeCam",
    "Orthogonal",
    "PathLength",
    "Regularizer",
    "TopK",
    "Update",
    "parse_regularizers",
]

REGULARIZERS = {
    kind.name: kind
    for kind in (
        CR,
        BCR,
        ZCR,
        Cntr,
        R1,
        R2,
        WGANGP,
        DRAGAN,
        JensenShannon,
        AdversarialDefence,
        SSGAN,
        S3GAN,
        LeCam,
        ADA,
        APA,
        TopK,
        PathLength,
        Orthogonal,
    )
}


def parse_regularizers(regularizers: str | Sequence[Regularizer] | None) -> tuple[Regularizer, ...]:
    """Reads `"r1:10"` or `"r1(weight=10, on=augmented)"`; several stand side by side, by commas.

    Raises:
        ValueError: for an unknown name or option, one that stands there twice, or two that can't
            stand beside each other.
    """
    if regularizers is None or regularizers in ("", "none"):
        return ()
    if not isinstance(regularizers, str):
        return _checked(regularizers)
    made = []
    for call in parse_calls(regularizers, what="regularizers"):
        if call.name not in REGULARIZERS:
            raise ValueError(unknown("regularizer", call.name, REGULARIZERS))
        kind = REGULARIZERS[call.name]
        names = [*inspect.signature(kind).parameters]
        made.append(kind(**bind(call, names, what="regularizers", text=regularizers)))
    return _checked(made)


def _checked(regularizers: Sequence[Regularizer]) -> tuple[Regularizer, ...]:
    names = [regularizer.name for regularizer in regularizers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"A regularizer stands there twice. Received: {', '.join(twice)}.")
    for regularizer in regularizers:
        if beside := [name for name in regularizer.excludes if name in names]:
            raise ValueError(
                f"{regularizer.name} can't stand beside {' or '.join(beside)}. "
                f"Received: regularizers={','.join(names)!r}."
            )
    return tuple(regularizers)
