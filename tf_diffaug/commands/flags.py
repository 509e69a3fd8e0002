"""Flags of a command: absl's, with mistakes in one line, and the help made of them."""

from __future__ import annotations

import dataclasses
import math
import os
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from absl import flags as absl_flags

from tf_diffaug.errors import UserError
from tf_diffaug.naming import nearest
from tf_diffaug.runs.config import fields
from tf_diffaug.runs.settings import KINDS, kind_of, number_or_text, shown, unset_words

_WORDS = dict.fromkeys(("true", "t", "1", "yes"), True)
_WORDS |= dict.fromkeys(("false", "f", "0", "no"), False)
_COLUMN = 29
_WIDTH = 100


class Flag(NamedTuple):
    """A flag of a command.

    Args:
        name: of the flag.
        kind: what makes its value of the text: a type, or a function that raises `UserError`.
        text: its one description.
        default: the default as help shows it; empty for none.
        unset: words that a user may type for None.
        implied: the value of the bare flag; None: it needs one, or is true or false.
        group: the title that it and those after it stand under in help.
        rare: whether the short help leaves it out.
    """

    name: str
    kind: Callable[[str], Any]
    text: str
    default: str = ""
    unset: Sequence[str] = ()
    implied: str | None = None
    group: str | None = None
    rare: bool = False


def setting_flags() -> list[Flag]:
    """A flag for each field of `Config`."""
    return list(map(_flag, fields().values()))


def _flag(field: dataclasses.Field) -> Flag:
    rules = field.metadata
    choices = f": {', '.join(map(str, rules['choices']))}" if rules["choices"] else ""
    return Flag(
        field.name,
        number_or_text if rules["scheduled"] else kind_of(field),
        rules["text"] + choices,
        shown(field, field.default),
        unset_words(field),
        group=rules["group"],
        rare=rules["rare"],
    )


def listed(text: str) -> tuple[str, ...]:
    """The parts of a text with commas between."""
    return tuple(part.strip() for part in text.split(","))


def read_flags(
    flags: Iterable[Flag], arguments: Sequence[str], *, hints: dict[str, str] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Reads a command line.

    Args:
        flags: those of the command.
        arguments: what was typed.
        hints: what to say of names that other programs know, by the name in lower case.

    Returns:
        The values of the flags that were given, and what is no flag.

    Raises:
        UserError: if it has a mistake.
    """
    values = absl_flags.FlagValues()
    values.set_gnu_getopt(True)
    for flag in flags:
        parser, is_bool = absl_flags.ArgumentParser(), flag.kind is bool
        made = absl_flags.Flag(parser, None, flag.name, None, flag.text, boolean=is_bool)
        absl_flags.DEFINE_flag(made, values)
    implied = {flag.name: flag.implied for flag in flags if flag.implied is not None}
    typed = [_plain(argument, values, implied) for argument in arguments]
    rest = _parse(values, typed, hints or {})
    given = [flag for flag in flags if values[flag.name].present]
    return {flag.name: _value(flag, values[flag.name].value) for flag in given}, rest


def _value(flag: Flag, text: str) -> Any:
    if text.lower() in flag.unset:
        return None
    try:
        if flag.kind is bool:
            return _WORDS[text.lower()]
        if not text.strip():
            raise ValueError
        # No value but a path begins so, and shells leave it as it is behind `=`.
        value = flag.kind(os.path.expanduser(text) if text.startswith("~") else text)
    except UserError:
        raise
    except (KeyError, ValueError):
        what = KINDS[flag.kind] if flag.kind in (int, float, bool) else "a value"
        raise UserError(f"--{flag.name} takes {what}. Received: --{flag.name}={text}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"--{flag.name} must be a finite number. Received: --{flag.name}={text}.")
    return value


def _plain(argument: str, values: absl_flags.FlagValues, implied: dict[str, str]) -> str:
    """Spellings absl does not know: `--dry-run`, `--no_flip`, a bare flag that implies a value."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    plain = name.replace("-", "_")
    negated = plain.replace("no_", "no", 1) if plain.startswith("no_") else plain
    plain = negated if negated.removeprefix("no") in values else plain
    if plain in values or plain.removeprefix("no") in values:
        name = plain
    if name in implied and not equals:
        return f"--{name}={implied[name]}"
    return f"--{name}{equals}{value}"


def _parse(values: absl_flags.FlagValues, arguments: list[str], hints: dict[str, str]) -> list[str]:
    try:
        return values(["", *arguments])[1:]
    except absl_flags.UnrecognizedFlagError as error:
        if error.flagname.lower() in hints:
            raise UserError(hints[error.flagname.lower()]) from None
        known = [*values, *(f"no{name}" for name in values if values[name].boolean)]
        match = nearest(error.flagname, known)
        hint = f" Did you mean --{match}?" if match else " --helpfull lists them."
        raise UserError(f"unknown flag --{error.flagname}.{hint}") from None
    except absl_flags.Error as error:
        text = str(error)
        if text.startswith("Missing value for flag "):
            flag = text.removeprefix("Missing value for flag ")
            raise UserError(f"{flag} needs a value: {flag}=...") from None
        raise UserError(" ".join(text.replace("ERROR:: ", "").split())) from None
    except ValueError as error:  # absl: "--noflip=1 does not take an argument"
        raise UserError(" ".join(str(error).split())) from None


def help_lines(flags: Iterable[Flag], *, full: bool = True) -> list[str]:
    """A line a flag, with its default and its description, under the titles of their groups."""
    lines = []
    for flag in flags:
        if flag.group is not None:
            lines.append(f"{flag.group}:")
        if flag.rare and not full:
            continue
        optional = "[=PATH]" if flag.implied is not None else ""
        shown = f"--{flag.name}={flag.default}" if flag.default else f"--{flag.name}{optional}"
        lines += textwrap.wrap(
            f"  {shown:<{_COLUMN}} {flag.text}",
            _WIDTH,
            subsequent_indent=" " * (_COLUMN + 3),
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
            replace_whitespace=False,
        )
    return lines
