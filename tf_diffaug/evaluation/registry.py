"""The extractors by name: one is known once a function that loads it is registered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tf_diffaug.evaluation.extractor import Extractor

Load = Callable[["str | None"], Extractor]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A registered kind of extractor.

    Args:
        name: what it is asked for by.
        load: makes it, of what stands behind the name after a colon, or of None.
        summary: what it is, for the documentation's table.
        use: what for.
        argument: what may stand behind the colon, in capitals; None is nothing.
        takes: whether a text can be that.
    """

    name: str
    load: Load
    summary: str
    use: str
    argument: str | None = None
    takes: Callable[[str], bool] = bool

    @property
    def spellings(self) -> tuple[str, ...]:
        """What a user may write: the name alone, and with what stands behind it."""
        with_argument = () if self.argument is None else (f"{self.name}:{self.argument}",)
        return (self.name, *with_argument)


EXTRACTORS: dict[str, Kind] = {}


def register_extractor(
    name: str,
    *,
    summary: str,
    use: str,
    argument: str | None = None,
    takes: Callable[[str], bool] = bool,
) -> Callable[[Load], Load]:
    """Decorator of a function from the text after the colon, or None, to an extractor.

    Args: those of `Kind`.

    Raises:
        ValueError: if the name is taken, or could not be told from a path or from an argument.
    """
    if not name or set(name) & set(":/. ") or name in ("auto", "none"):
        raise ValueError(
            "An extractor's name has no colon, slash, dot or space, and is not auto or none. "
            f"Received: name={name!r}."
        )
    if name in EXTRACTORS:
        raise ValueError(f"There is an extractor of this name already. Received: name={name!r}.")

    def register(load: Load) -> Load:
        EXTRACTORS[name] = Kind(name, load, summary, use, argument, takes)
        return load

    return register


def find_kind(features: str) -> tuple[Kind, str | None] | None:
    """The kind that a user's text names and what stands behind the colon; None for another text."""
    name, colon, argument = features.partition(":")
    kind = EXTRACTORS.get(name)
    if kind is None or not colon:
        return None if kind is None else (kind, None)
    return (kind, argument) if kind.argument is not None and kind.takes(argument) else None


def choices() -> str:
    """What a user may ask for, as errors list it."""
    spellings = [spelling for kind in _sorted() for spelling in kind.spellings]
    return ", ".join([*spellings, "the path of a Keras model or SavedModel", "none"])


def unusable(problem: str, features: str) -> ValueError:
    """The error of features that cannot be had: what is wrong, and what else may be asked for."""
    return ValueError(
        f"{problem} Choose from {choices()}, as in `features=none`. Received: "
        f"features={features!r}."
    )


def extractors_table() -> str:
    """The table of docs/evaluation.md in Markdown: a line for each registered extractor."""
    lines = ["| name | what it is | for what |", "|---|---|---|"]
    for kind in _sorted():
        names = ", ".join(f"`{spelling}`" for spelling in kind.spellings)
        lines.append(f"| {names} | {kind.summary} | {kind.use} |")
    return "\n".join(lines) + "\n"


def _sorted() -> list[Kind]:
    return [kind for _, kind in sorted(EXTRACTORS.items())]
