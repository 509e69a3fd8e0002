"""The metrics by name: a function is one once it is registered."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tf_diffaug.evaluation.metrics.sets import FeatureSets, Moments
from tf_diffaug.naming import unknown

BETTER = ("lower", "higher", "none")
NEEDS = ("probabilities", "train", "held_out")
USES = ("kernel", "neighbours")

Values = dict[str, float]
Reading = Callable[[Mapping[str, float]], "str | None"]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A registered metric.

    Args:
        name: what it is asked for by.
        compute: makes its values of the sets and a seed, by key, the first one called `name`.
        summary: its line of the documentation, formula included.
        source: where it is defined.
        better: whether `lower` or `higher` is better, or `none` of them by itself.
        needs: what it needs beside features of fakes and reals.
        uses: the work on pairs that it shares.
        only_few: whether it is measured unasked only where there are few images.
        of_moments: whether it looks at mean and covariance of fakes and reals alone, so that their
            features need not be kept.
        reading: makes one plain sentence of its values and the counts of images, or None.
    """

    name: str
    compute: Callable[..., Values]
    summary: str
    source: str
    better: str
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    only_few: bool = False
    of_moments: bool = False
    reading: Reading | None = None

    def missing(self, sets: FeatureSets) -> tuple[str, ...]:
        """What it needs and the sets do not have."""
        has = {
            "features": not any(isinstance(one, Moments) for one in (sets.fakes, sets.reals)),
            "probabilities": sets.fakes.probabilities is not None,
            "train": sets.train is not None,
            "held_out": sets.held_out is not None,
        }
        needs = self.needs if self.of_moments else ("features", *self.needs)
        return tuple(need for need in needs if not has[need])


METRICS: dict[str, Metric] = {}


def register_metric(
    name: str,
    *,
    summary: str,
    source: str,
    better: str,
    needs: Sequence[str] = (),
    uses: Sequence[str] = (),
    only_few: bool = False,
    of_moments: bool = False,
    reading: Reading | None = None,
) -> Callable[[Callable[..., Values]], Callable[..., Values]]:
    """Decorator of a function (sets, seed) to values: makes it a metric of that name.

    Args: those of `Metric`.

    Raises:
        ValueError: if it could not work: its name is taken or no lower-case identifier, it has no
            summary or source, its choices are unknown, or the function takes other arguments.
    """
    if not (isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name)):
        raise ValueError(f"A metric's name is a lower-case identifier. Received: name={name!r}.")
    for what, text in (("summary", summary), ("source", source)):
        if not text or "\n" in text or "|" in text:
            raise ValueError(
                f"A metric's {what} is one line of a table. Received: {what}={text!r} of {name!r}."
            )
    _check_choices("better", [better], BETTER, name)
    _check_choices("needs", needs, NEEDS, name)
    _check_choices("uses", uses, USES, name)

    def register(compute: Callable[..., Values]) -> Callable[..., Values]:
        parameters = list(inspect.signature(compute).parameters)
        if parameters != ["sets", "seed"]:
            raise ValueError(
                "A metric is a function of (sets, seed). "
                f"Received: {name!r} of ({', '.join(parameters)})."
            )
        other = METRICS.get(name)
        if other is not None and _place(other.compute) != _place(compute):
            raise ValueError(f"There is a metric of this name already. Received: name={name!r}.")
        METRICS[name] = Metric(
            name=name,
            compute=compute,
            summary=summary,
            source=source,
            better=better,
            needs=tuple(needs),
            uses=tuple(uses),
            only_few=only_few,
            of_moments=of_moments,
            reading=reading,
        )
        return compute

    return register


@contextlib.contextmanager
def temporarily_registered(name: str, compute: Callable[..., Values], **facts: Any) -> Iterator:
    """Registers a metric for the length of a `with` block."""
    register_metric(name, **facts)(compute)
    try:
        yield METRICS[name]
    finally:
        del METRICS[name]


def parse_metrics(text: str) -> tuple[str, ...]:
    """The names in a text with commas between, each once.

    Raises:
        ValueError: if one is not registered.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in METRICS:
            received = f"metrics={text!r}"
            raise ValueError(unknown("metric", name, sorted(METRICS), received=received))
    return names


def metrics_table() -> str:
    """The table of docs/evaluation.md in Markdown: a line for each registered metric."""
    lines = ["| name | what it is | better | needs | source |", "|---" * 5 + "|"]
    for name, metric in sorted(METRICS.items()):
        needs = ", ".join(need.replace("_", "-") for need in metric.needs)
        better = {"none": "neither"}.get(metric.better, metric.better)
        cells = [f"`{name}`", metric.summary, better, needs, metric.source]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def _check_choices(what: str, values: Sequence[str], choices: Sequence[str], name: str) -> None:
    for value in values:
        if value not in choices:
            raise ValueError(
                f"A metric's {what} is one of {', '.join(choices)}. "
                f"Received: {what}={value!r} of {name!r}."
            )


def _place(function: Callable) -> tuple[str, str]:
    return function.__module__, function.__qualname__
