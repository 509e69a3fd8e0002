"""One way to say that a name is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice most like `name`, if any is."""
    lowered = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.5)
    return lowered[found[0]] if found else None


def unknown(
    what: str, value: object, choices: Iterable[str], *, received: str | None = None
) -> str:
    """The text of an error about a name that is not among the choices.

    Args:
        what: what the name is of.
        value: the name.
        choices: those that are known.
        received: how the user gave it, if not as `what=value`.

    >>> unknown("loss", "hing", ["hinge", "none"])
    "Unknown loss 'hing'. Did you mean 'hinge'? Choose from hinge, none. Received: loss='hing'."
    """
    choices = list(choices)
    match = nearest(str(value), choices)
    hint = f" Did you mean {match!r}?" if match else ""
    received = f"{what}={value!r}" if received is None else received
    return (
        f"Unknown {what} {value!r}.{hint} Choose from {', '.join(choices)}. Received: {received}."
    )
