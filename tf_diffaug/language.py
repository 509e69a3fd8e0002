"""The little language of policies and regularizers: `color,translation:0.4,r1(10, on=augmented)`.

    text    = "none" | entry {"," entry}
    entry   = name | name ":" value | name "(" [value] {"," keyword "=" value} ")"

A value is a Python literal, a bare word, or the text of an entry that stands as it is, which is the
same in quotes: `r1(cosine(0.05, 0.005, images=20e6))`. Nothing is evaluated. `name:s` is `name(s)`.
"""

from __future__ import annotations

import ast
import math
import numbers
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tf_diffaug.naming import unknown

WORD = re.compile(r"[A-Za-z_]\w*")
_ENTRY = re.compile(r"[A-Za-z_]\w*\([^()]*\)")
_CONSTANTS = ("True", "False", "None")


class Call(NamedTuple):
    """One entry: a name, its first arguments if they go without a keyword, and those with one."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def parse_calls(text: str, *, what: str, positional: int = 1) -> list[Call]:
    """Splits a text into its entries; `none` and the empty text have none.

    Args:
        text: what the user wrote.
        what: what it is, for errors: `policy`, `regularizers`.
        positional: how many arguments may go without a keyword.

    Raises:
        ValueError: if the text is not of the language's form.
    """
    if text.strip() in ("", "none"):
        return []
    try:
        return [_parse_entry(entry, positional) for entry in _split(text)]
    except _SyntaxError as error:
        raise ValueError(f"{error} Received: {what}={text!r}.") from None


class _SyntaxError(Exception):
    pass


def _split(text: str) -> list[str]:
    """Splits at the commas outside brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for i, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
        if depth < 0:
            break
    if depth or quote:
        raise _SyntaxError("A bracket or quote is not matched.")
    return [part.strip() for part in (*parts, text[start:])]


def _parse_entry(entry: str, positional: int) -> Call:
    match = re.fullmatch(r"(\w+)\s*(?::(.*)|\((.*)\))?", entry, re.DOTALL)
    if match is None:
        raise _SyntaxError(f"An entry is name, name:strength or name(...); this one is {entry!r}.")
    name, strength, arguments = match.groups()
    if strength is not None:
        return Call(name, (_value(strength),), {})
    args, kwargs = [], {}
    for i, part in enumerate(_split(arguments) if (arguments or "").strip() else ()):
        keyword = re.fullmatch(r"([A-Za-z_]\w*)\s*=(.*)", part, re.DOTALL)
        if keyword is None and i >= positional:
            raise _SyntaxError(
                f"{name}: arguments after the first go by keyword; this one is {part!r}."
            )
        if keyword is None:
            args.append(_value(part))
        elif keyword[1] in kwargs:
            raise _SyntaxError(f"{name}: {keyword[1]} is given twice.")
        else:
            kwargs[keyword[1]] = _value(keyword[2])
    return Call(name, tuple(args), kwargs)


def _value(text: str) -> Any:
    text = text.strip()
    if (WORD.fullmatch(text) and text not in _CONSTANTS) or _ENTRY.fullmatch(text):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise _SyntaxError(
            f"A value is a number, a word or another literal; this one is {text!r}."
        ) from None


def bind(call: Call, names: Sequence[str], *, what: str, text: str) -> dict[str, Any]:
    """An entry's arguments by name; those without a keyword are the first.

    Args:
        call: the entry.
        names: the arguments that its name takes.
        what: what `text` is, for errors.
        text: what the user wrote.

    Raises:
        ValueError: for an argument that is not among the names, or is given twice.
    """
    arguments = dict(zip(names, call.args, strict=False))
    for key, value in call.kwargs.items():
        if key not in names:
            raise ValueError(f"{what} {text!r}: {unknown(f'{call.name} argument', key, names)}")
        if key in arguments:
            raise ValueError(f"{call.name}: {key} is given twice. Received: {what}={text!r}.")
        arguments[key] = value
    return arguments


def is_number(value: Any) -> bool:
    """Whether an option is a finite number, which a word, a list or None of the language is not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether an option is a whole number, Python's or NumPy's."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def literal(value: Any) -> str:
    """A value as the language writes it, so that it is read back the same."""
    if isinstance(value, str) and WORD.fullmatch(value) and value not in _CONSTANTS:
        return value
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return repr(value)
