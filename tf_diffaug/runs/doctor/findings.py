"""What was found out, a line each."""

from __future__ import annotations

from typing import NamedTuple

_LONGEST = 200


class Finding(NamedTuple):
    """One line of the page.

    Args:
        label: what it is about.
        text: what was found.
        problem: what does not work and the way out, one line; None if all is well.
    """

    label: str
    text: str
    problem: str | None = None


def reason(error: BaseException) -> str:
    """The kind of an error and the beginning of its text, on one line."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def gib(size: float) -> str:
    """Bytes in words."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.0f} MiB"
