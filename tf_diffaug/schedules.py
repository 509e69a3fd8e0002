"""The little language of schedules: `cosine(2e-4, 5e-5, images=20e6)`; a number is a constant.

Nothing here imports TensorFlow: a mistake in a flag is said before it is loaded.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tf_diffaug.language import bind, is_number, literal, parse_calls

KINDS = ("linear", "cosine")
# What is taken wherever a value may follow a schedule, in words.
FORMS = "a number, " + " or ".join(f"{kind}(start, end, images=N)" for kind in KINDS)


@dataclasses.dataclass(frozen=True, repr=False)
class Schedule:
    """A value that goes from `start` to `end` while so many images are seen, and then stays.

    With s the share of `images` that has been seen, at most 1, it is `start + (end - start) · f(s)`
    where f(s) is s (`linear`: the p of InsGen and FakeCLR) or (1 - cos πs) / 2 (`cosine`: all that
    R3GAN schedules, arXiv 2501.05441, its code's `cosine_decay_with_warmup` without a warm-up).

    Args:
        kind: `linear` or `cosine`.
        start: the value before the first image.
        end: the value from the last on.
        images: how many images it takes, above 0. A step counts one batch, whatever `d_steps` is.

    Raises:
        ValueError: if the kind is unknown, a number not finite, or `images` not above 0.
    """

    kind: str
    start: float
    end: float
    images: float

    def __post_init__(self) -> None:
        values = (self.start, self.end, self.images)
        if self.kind not in KINDS or not all(map(is_number, values)) or self.images <= 0:
            raise ValueError(f"A schedule is one of {FORMS}, N above 0. Received: {self}.")

    @property
    def words(self) -> str:
        """It in a sentence."""
        how = {"linear": "evenly", "cosine": "along a cosine"}[self.kind]
        return f"{_shown(self.start)} to {_shown(self.end)} {how} over {self.images:,.0f} images"

    def __str__(self) -> str:
        start, end, images = map(literal, (self.start, self.end, self.images))
        return f"{self.kind}({start}, {end}, images={images})"

    __repr__ = __str__  # so that it stands as it is among the options of a regularizer


def as_schedule(value: Any, name: str) -> float | Schedule:
    """A number, or the schedule that a text or a `Schedule` is.

    Args:
        value: what the user gave.
        name: what it is of, for errors.

    Raises:
        ValueError: if it is none of these.
    """
    if isinstance(value, Schedule) or is_number(value):
        return value
    found = _parsed(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{name} is {FORMS}. Received: {name}={value!r}.")
    return found


def _parsed(text: str) -> float | Schedule | None:
    try:
        number = float(text)
        return number if math.isfinite(number) else None
    except ValueError:
        pass
    try:
        (call,) = parse_calls(text, what="schedule", positional=2)
        arguments = bind(call, ("start", "end", "images"), what="schedule", text=text)
        return Schedule(call.name, **arguments)
    except (TypeError, ValueError):  # the one if an argument is missing
        return None


def ends(value: float | Schedule) -> tuple[float, float]:
    """The least and the greatest value that it has."""
    if isinstance(value, Schedule):
        return min(value.start, value.end), max(value.start, value.end)
    return value, value


def in_words(value: Any) -> str:
    """A constant or a schedule, or the text of one, in a sentence."""
    value = as_schedule(value, "value")
    return value.words if isinstance(value, Schedule) else _shown(value)


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:g}"
