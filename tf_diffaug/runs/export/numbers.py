"""What was measured of a run at a step, as a model card shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tf_diffaug.runs.run import Run
from tf_diffaug.titles import metric_title

# Of a record, what is no measured value.
_OTHER = ("step", "kind", "protocol", "readings", "seconds", "time", "seed")


class Number(NamedTuple):
    """One value and how it was measured."""

    name: str
    value: float
    deviation: float | None
    protocol: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Its name as the field writes it."""
        return metric_title(self.name)

    @property
    def shown(self) -> str:
        """The value, with its deviation over seeds if there is one."""
        return f"{self.value:.4g}" + ("" if self.deviation is None else f" ± {self.deviation:.2g}")


def measured(run: Run, step: int) -> tuple[list[Number], dict[str, str]]:
    """The numbers of the weights of a step, and what they say in words by metric.

    Raises:
        ValueError: if the run's metrics are damaged.
    """
    numbers, readings = [], {}
    for record in _records(run):
        if record.get("step") != step or not isinstance(record.get("protocol"), dict):
            continue
        numbers += [
            Number(name, value, deviation, record["protocol"])
            for name, value, deviation in _values(record)
        ]
        if isinstance(record.get("readings"), dict):
            readings |= record["readings"]
    # Measured twice in one way, the later counts.
    kept = {(n.name, json.dumps(n.protocol, sort_keys=True, default=str)): n for n in numbers}
    return list(kept.values()), readings


def _records(run: Run) -> Iterator[dict[str, Any]]:
    yield from run.directory.records("eval")
    yield from run.directory.evaluated()


def _values(record: Mapping[str, Any]) -> Iterator[tuple[str, float, float | None]]:
    """Values by name, with their deviations: plain ones, or a mean and a deviation over seeds."""
    for name, value in record.get("values", record).items():
        if name in _OTHER:
            continue
        if isinstance(value, dict) and "mean" in value:
            yield name, float(value["mean"]), value.get("std")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, float(value), None
