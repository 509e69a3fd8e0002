"""The labels of fakes: how often they have which, and what that tells D."""

from __future__ import annotations

from collections.abc import Sequence

from tf_diffaug.runs.config import Config
from tf_diffaug.training.losses import get_loss

# Those of 5,000 random images of ten even classes tell 51 %, those of 500 53 %, of 100 56 %.
_TELLING = 0.525


def frequencies(config: Config, label_counts: Sequence[int] | None) -> list[float] | None:
    """How often fakes have each label: a class without a real image has no fakes either."""
    if not config.conditional:
        return None
    if config.fake_labels == "data":
        return [float(count) for count in label_counts]
    # Of hidden labels it is not known which classes have images.
    hidden = config.label_fraction is not None
    return [float(hidden or count > 0) for count in label_counts]


def told_by_labels(real: Sequence[float], fake: Sequence[float]) -> float:
    """How often a D is right that looks at nothing but the label.

    It takes an image for a real one if its label is commoner among reals: it is right on
    1/2 + TV/2 of as many reals as fakes, with the total variation TV of the two frequencies.

    Args:
        real: how often reals have each label, relative to each other.
        fake: likewise fakes.

    >>> told_by_labels([3, 1], [1, 1])
    0.625
    """
    pairs = zip(real, fake, strict=True)
    return 0.5 + sum(abs(r / sum(real) - f / sum(fake)) for r, f in pairs) / 4


def notices(config: Config, label_counts: Sequence[int] | None) -> list[str]:
    """What a user should know of the labels that the fakes of a run have, a line each."""
    fakes = frequencies(config, label_counts)
    if fakes is None:
        return []
    lines = []
    if absent := fakes.count(0):
        lines.append(f"{absent} of {len(fakes)} classes have no image: they get no fakes.")
    # Fakes of a paired loss have the labels of the reals beside them.
    unseen = config.label_fraction is not None or get_loss(config.loss).paired
    if not unseen and (told := told_by_labels(label_counts, fakes)) >= _TELLING:
        least, most = min(filter(None, label_counts)), max(label_counts)
        part = config.num_images is not None or config.data_fraction is not None
        lines.append(
            f"Classes have {least:,} to {most:,} images, and fakes all labels alike: D can be "
            f"right on {told:.0%} by the label alone. --fake_labels=data mends that"
            f"{', or --subset=balanced' if part else ''}."
        )
    return lines
