"""A table of evaluations on the screen, with the protocol and what the numbers say in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tf_diffaug.evaluation.metrics import METRICS
from tf_diffaug.runs.words import protocol_words, value_in_words


def show(records: Mapping[str, dict[str, Any]]) -> None:
    """Prints a column of values for each record, by its title.

    Args:
        records: as `tf_diffaug.runs.evaluate.evaluate` makes them, of one protocol.
    """
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    for title in records:
        table.add_column(Text(title), justify="right", overflow="fold")
    table.add_column("better")
    keys = dict.fromkeys(key for record in records.values() for key in record["values"])
    for key in keys:
        better = METRICS[key].better if key in METRICS else "none"
        cells = [value_in_words(record["values"].get(key)) for record in records.values()]
        table.add_row(Text(key), *cells, "" if better == "none" else better)
    console.print(table)
    first = next(iter(records.values()))
    console.print(Text(f"Measured on {protocol_words(first['protocol'])}.{_seeds(first)}"))
    for title, record in records.items():
        for metric, words in record["readings"].items():
            prefix = f"{title}: " if len(records) > 1 else ""
            console.print(Text(f"{prefix}{metric}: {words}"))
        for label, values in record.get("classes", {}).items():
            listed = ", ".join(f"{key} {value_in_words(value)}" for key, value in values.items())
            console.print(Text(f"class {label}: {listed}"))


def _seeds(record: Mapping[str, Any]) -> str:
    seeds = record["protocol"].get("seeds", ())
    return f" Mean and deviation over {len(seeds)} draws of fakes." if len(seeds) > 1 else ""
