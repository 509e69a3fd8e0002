"""The regularizers by name: a class is one once it is registered."""

from __future__ import annotations

from tf_diffaug.training.regularizers.base import Regularizer

REGULARIZERS: dict[str, type[Regularizer]] = {}


def register_regularizer(kind: type[Regularizer]) -> type[Regularizer]:
    """Class decorator: the language of regularizers, exports and lists know the class from then on.

    Raises:
        ValueError: for a name that is no identifier or another class', or without a `summary`.
    """
    name = getattr(kind, "name", None)
    if not (isinstance(name, str) and name.isidentifier()):
        raise ValueError(f"A regularizer's `name` is an identifier. Received: name={name!r}.")
    if not kind.summary:
        raise ValueError(f"A regularizer says in `summary` what it does. Received: {name!r}.")
    other = REGULARIZERS.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (
        kind.__module__,
        kind.__qualname__,
    ):
        raise ValueError(f"There is a regularizer of this name already. Received: name={name!r}.")
    REGULARIZERS[name] = kind
    return kind
