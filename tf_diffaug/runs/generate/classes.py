"""The classes of a run by number and by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_diffaug.naming import nearest
from tf_diffaug.runs.run import Run

_MOST_LISTED = 20


def resolve_classes(run: Run, classes: Sequence[int | str] | None) -> list[int] | None:
    """Numbers of classes given by number or name; None of None.

    Raises:
        ValueError: if one is not known, none is given, or the run is unconditional.
    """
    if classes is None:
        return None
    count = run.gan.num_classes
    if count is None:
        raise ValueError(
            f"The run is unconditional, its images have no classes. Received: {_received(classes)}."
        )
    if not len(classes):
        raise ValueError("Give one class at least. Received: classes=.")
    names = {class_name(run, label): label for label in range(count)}
    return [_resolved(name, names, classes) for name in classes]


def class_name(run: Run, label: int) -> str:
    """The name of a class, its number if it has none."""
    names = run.facts.get("class_names")  # as runs of older versions lack them
    return names[label] if names else str(label)


def spread_classes(count: int, most: int) -> list[int]:
    """All classes, or so many of them spread over all."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def _resolved(name: int | str, names: dict[str, int], classes: Sequence[int | str]) -> int:
    if name in names:
        return names[name]
    text = str(name).strip()
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    shown = list(names)[:_MOST_LISTED]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    match = nearest(text, names)
    hint = f" Did you mean {match!r}?" if match else ""
    raise ValueError(
        f"Unknown class {text!r}.{hint} Choose from 0 to {len(names) - 1}, or by name: "
        f"{', '.join(shown)}{more}. Received: {_received(classes)}."
    )


def _received(classes: Sequence[int | str]) -> str:
    return f"classes={','.join(map(str, classes))}"
