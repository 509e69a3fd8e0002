"""The extra terms of D's and G's losses: the third coordinate of an experiment.

A regularizer names the views of D that it needs and makes of what an update holds one value an
example; it may own variables. A new one is a file in this package with a registered class
(`register_regularizer`): the language, the exports and the lists follow.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from typing import Any

from tf_diffaug.language import bind, parse_calls
from tf_diffaug.naming import unknown
from tf_diffaug.training.regularizers.base import Regularizer
from tf_diffaug.training.regularizers.registry import (
    REGULARIZERS,
    register_regularizer,
    regularizers_table,
)
from tf_diffaug.training.regularizers.update import Update

__all__ = [
    "REGULARIZERS",
    "Regularizer",
    "Update",
    "parse_regularizers",
    "register_regularizer",
    "regularizers_table",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def __getattr__(name: str) -> Any:
    """The registered classes, by their names in Python."""
    for kind in REGULARIZERS.values():
        if kind.__name__ == name:
            return kind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(kind.__name__ for kind in REGULARIZERS.values())})


def parse_regularizers(regularizers: str | Sequence[Regularizer] | None) -> tuple[Regularizer, ...]:
    """Reads `"r1:10"` or `"r1(weight=10, on=augmented)"`; several stand side by side, by commas.

    Raises:
        ValueError: for an unknown name or option, one that is given twice, two that exclude each
            other, or what is neither a text nor a sequence of regularizers.
    """
    if regularizers is None or regularizers in ("", "none"):
        return ()
    if not isinstance(regularizers, str):
        several = isinstance(regularizers, (list, tuple))
        if not several or not all(isinstance(each, Regularizer) for each in regularizers):
            raise ValueError(
                "Regularizers are a text such as 'r1:10,cr', or a list of Regularizer objects. "
                f"Received: regularizers={regularizers!r}."
            )
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
        raise ValueError(f"A regularizer is given twice. Received: {', '.join(twice)}.")
    for regularizer in regularizers:
        if beside := [name for name in regularizer.excludes if name in names]:
            raise ValueError(
                f"{regularizer.name} cannot be combined with {' or '.join(beside)}. "
                f"Received: regularizers={','.join(names)!r}."
            )
    return tuple(regularizers)
