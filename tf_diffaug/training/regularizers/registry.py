"""The regularizers by name: a class is one once it is registered."""

from __future__ import annotations

import inspect

from tf_diffaug.language import literal
from tf_diffaug.training.regularizers.base import Regularizer

REGULARIZERS: dict[str, type[Regularizer]] = {}
NETWORKS = ("D", "G", "D, G")


def register_regularizer(kind: type[Regularizer]) -> type[Regularizer]:
    """Class decorator: the language of regularizers, exports and lists know the class from then on.

    Raises:
        ValueError: for a name that is no identifier or another class', without a `summary`, or of
            other networks than D and G.
    """
    name = getattr(kind, "name", None)
    if not (isinstance(name, str) and name.isidentifier()):
        raise ValueError(f"A regularizer's `name` is an identifier. Received: name={name!r}.")
    if not kind.summary:
        raise ValueError(f"A regularizer says in `summary` what it does. Received: {name!r}.")
    if kind.of not in NETWORKS:
        raise ValueError(
            f"A regularizer changes the updates `of` one of {', '.join(map(repr, NETWORKS))}. "
            f"Received: {name!r} of {kind.of!r}."
        )
    other = REGULARIZERS.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (
        kind.__module__,
        kind.__qualname__,
    ):
        raise ValueError(f"There is a regularizer of this name already. Received: name={name!r}.")
    REGULARIZERS[name] = kind
    return kind


def regularizers_table() -> str:
    """The table of docs/regularizers.md in Markdown: a line for each registered regularizer."""
    lines = [
        "| name | of | term | first value (default) | other options | from |",
        "|---" * 6 + "|",
    ]
    for name, kind in sorted(REGULARIZERS.items()):
        first, *others = [*map(_option, inspect.signature(kind).parameters.values()), ""]
        others = ", ".join(filter(None, others))
        cells = (f"`{name}`", kind.of, kind.term or kind.summary, first, others, kind.source)
        lines.append("".join(f"| {cell} " if cell else "| " for cell in cells) + "|")
    return "\n".join(lines) + "\n"


def _option(option: inspect.Parameter) -> str:
    if option.default is inspect.Parameter.empty:
        return f"`{option.name}`"
    return f"`{option.name}` (`{literal(option.default)}`)"
