"""What every script does around its work: flags, one line for a mistake, exit codes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from absl import app as absl_app
from absl import flags as absl_flags
from absl import logging as absl_logging

from app.errors import FAILED, USER_ERROR, Failure, UserError

INTERRUPTED = 130  # the shell's 128 + SIGINT

Command = TypeVar("Command")


def start(
    name: str, parse: Callable[[Sequence[str]], Command], main: Callable[[Command], int]
) -> None:
    """Reads the command line, runs `main` and exits with its code."""
    sys.stdout.reconfigure(line_buffering=True)  # in a log file, too, lines come as they are said
    absl_app.run(main, flags_parser=functools.partial(_read_flags, name, parse))


def guarded(name: str, run: Callable[[Command], int], command: Command) -> int:
    """Does what was asked; returns the exit code."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        return run(command)
    except UserError as error:
        _complain(name, error)
        return USER_ERROR
    except Failure as error:
        _complain(name, error)
        return FAILED
    except KeyboardInterrupt:
        _complain(name, "interrupted.")
        return INTERRUPTED


def _read_flags(name: str, parse: Callable[[Sequence[str]], Command], argv: list[str]) -> Command:
    """The flags parser: one line and exit code 2 for a mistake."""
    absl_flags.FLAGS(argv[:1])  # absl's own flags keep their defaults
    try:
        return parse(argv)
    except UserError as error:
        _complain(name, error)
        sys.exit(USER_ERROR)


def _complain(name: str, error: Exception | str) -> None:
    """One line on stderr."""
    print(f"{name}: {error}", file=sys.stderr)
