"""The command line: absl flags made from `Config`, and mistakes in one line.

absl's own parser answers a bad flag in two lines and exit code 1; `parse` raises `UserError`.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from absl import flags as absl_flags

from app import help_text, presets
from app.config import fields, kinds, unset_words
from app.errors import UserError, nearest

_TRUE = ("true", "t", "1", "yes")
_FALSE = ("false", "f", "0", "no")
PREVIEW_PATH = "preview.png"


@dataclasses.dataclass(frozen=True)
class Command:
    """What the user asked for.

    Args:
        settings: the settings that were given, by `Config` field.
        dry_run: try one step and stop.
        explain: say what would run and stop.
        preview: path of a contact sheet of T to draw before stopping, or None.
    """

    settings: dict[str, Any]
    dry_run: bool = False
    explain: bool = False
    preview: str | None = None


class Flag(NamedTuple):
    """A flag that a script takes: its type, what it says of itself, and words that mean unset."""

    name: str
    kind: type
    text: str
    unset: Sequence[str] = ()


class _Parser(absl_flags.ArgumentParser):
    """Reads one value; raises `UserError`, which absl passes on untouched."""

    def __init__(self, name: str, kind: type, unset: Sequence[str]) -> None:
        self.name, self.kind, self.unset = name, kind, unset

    def parse(self, argument: Any) -> Any:
        text = "" if argument is None else str(argument)
        if argument is None or text.lower() in self.unset:
            return None
        try:
            return self._convert(text)
        except ValueError:
            wanted = {int: "a whole number", float: "a number", bool: "true or false"}
            what = wanted.get(self.kind, "a value")
            raise UserError(f"--{self.name} takes {what}. Received: --{self.name}={text}") from None

    def _convert(self, text: str) -> Any:
        if self.kind is bool:
            if text.lower() not in _TRUE + _FALSE:
                raise ValueError
            return text.lower() in _TRUE
        if self.kind is str and not text.strip():
            raise ValueError
        return self.kind(text)

    def flag_type(self) -> str:
        return self.kind.__name__


def define(flags: Iterable[Flag]) -> absl_flags.FlagValues:
    """Flags without defaults: `present` says which were given."""
    values = absl_flags.FlagValues()
    values.set_gnu_getopt(True)
    for name, kind, text, unset in flags:
        parser = _Parser(name, kind, unset)
        flag = absl_flags.Flag(parser, None, name, None, text, boolean=kind is bool)
        absl_flags.DEFINE_flag(flag, values)
    return values


def read(
    values: absl_flags.FlagValues, argv: Sequence[str], show: Callable[[bool], str]
) -> list[str]:
    """Reads a command line, program name first, and returns what is not a flag.

    Args:
        values: the flags, which take the values given.
        argv: the command line.
        show: the text of help, in full or short.

    Raises:
        UserError: if it has a mistake.
        SystemExit: with code 0 after printing help that was asked for.
    """
    arguments = [_normalise(argument, values) for argument in argv[1:]]
    for argument in arguments:
        if argument in ("--help", "--helpshort", "--helpfull", "-h"):
            _say(show(argument == "--helpfull"))
    return _read(values, [argv[0], *arguments])


def parse(argv: Sequence[str]) -> Command:
    """Reads a command line, program name first.

    Raises:
        UserError: if it has a mistake.
        SystemExit: with code 0 after printing help that was asked for.
    """
    settings = (
        Flag(name, kinds()[name], field.metadata["text"], unset_words(name))
        for name, field in fields().items()
    )
    actions = (Flag(name, kind, text) for name, (kind, text) in help_text.ACTIONS.items())
    values = define([*settings, *actions])
    rest = read(values, argv, lambda full: help_text.full() if full else help_text.short())
    if rest:
        match = nearest(rest[0], values)
        hint = f" Did you mean --{match}?" if match else ""
        raise UserError(f"unexpected argument {rest[0]!r}: every setting is a --flag=value.{hint}")
    if values["preset"].value == "help":
        _say(presets.describe())
    given = {name: values[name].value for name in fields() if values[name].present}
    actions = {name: values[name].value or None for name in help_text.ACTIONS}
    if actions["preview"] == "true":
        actions["preview"] = PREVIEW_PATH
    if actions["preview"] and pathlib.Path(actions["preview"]).suffix not in ("", ".png"):
        raise UserError(f"--preview is a .png file. Received: --preview={actions['preview']}.")
    return Command(
        given, bool(actions["dry_run"]), bool(actions["explain"]), preview=actions["preview"]
    )


def _normalise(argument: str, values: absl_flags.FlagValues) -> str:
    """Spellings absl does not know: `--dry-run`, and `--preview` without a path."""
    if not argument.startswith("-"):
        return argument
    name, equals, value = argument.partition("=")
    if name.startswith("--"):
        plain = name[2:].replace("-", "_")
        negated = plain.replace("no_", "no", 1) if plain.startswith("no_") else plain
        plain = negated if negated.removeprefix("no") in values else plain
        if plain in values or plain.removeprefix("no") in values:
            name = f"--{plain}"
    if name == "--preview" and not equals:
        return f"--preview={PREVIEW_PATH}"
    return name + equals + value


def _read(values: absl_flags.FlagValues, argv: list[str]) -> list[str]:
    try:
        return values(argv)[1:]
    except absl_flags.UnrecognizedFlagError as error:
        known = [*values, *(f"no{name}" for name in values if values[name].boolean)]
        match = nearest(error.flagname, known)
        hint = f" Did you mean --{match}?" if match else " --help lists them."
        raise UserError(f"unknown flag --{error.flagname}.{hint}") from None
    except absl_flags.Error as error:
        text = str(error)
        if text.startswith("Missing value for flag "):
            flag = text.removeprefix("Missing value for flag ")
            raise UserError(f"{flag} needs a value: {flag}=...") from None
        raise UserError(" ".join(text.replace("ERROR:: ", "").split())) from None
    except ValueError as error:  # absl: "--noflip=1 does not take an argument"
        raise UserError(" ".join(str(error).split())) from None


def _say(text: str) -> None:
    print(text)
    sys.exit(0)
