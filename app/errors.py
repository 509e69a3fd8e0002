"""A user's mistakes, each one line long, and the exit codes of the scripts.

Nothing here imports TensorFlow: most mistakes are found, and said, before it is loaded.
"""

from __future__ import annotations

import contextlib
import pathlib
import traceback
from collections.abc import Iterable, Iterator

from tf_diffaug.naming import nearest

OK = 0
USER_ERROR = 2
FAILED = 3
# EX_TEMPFAIL of sysexits.h: stopped by a signal after saving; the same command goes on.
STOPPED = 75

_PROJECT = pathlib.Path(__file__).resolve().parent.parent
_OURS = ("app", "models", "tf_diffaug")


class UserError(Exception):
    """A mistake in what was asked for: its text is the one line the user sees."""


class Failure(Exception):
    """Training cannot go on, which is not the user's mistake; its text is one line."""


def unknown(what: str, value: str, choices: Iterable[str]) -> str:
    """One line about a value that is none of the choices."""
    choices = list(choices)
    match = nearest(value, choices)
    hint = f" Did you mean {match!r}?" if match else ""
    return f"unknown {what} {value!r}.{hint} Choose from {', '.join(choices)}."


@contextlib.contextmanager
def user_settings() -> Iterator[None]:
    """Turns what the library says of a user's settings into a `UserError`.

    Only errors that this project raises itself become one line: a ValueError from inside
    TensorFlow, Keras or NumPy is a bug, whose traceback is worth having. Files are the user's.
    """
    try:
        yield
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not _is_ours(frames[-1].filename):
            raise
        raise UserError(one_line(error)) from error
    except OSError as error:
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """The text of an error on one line, a file's name included."""
    if isinstance(error, OSError) and error.strerror:
        name = f": {error.filename}" if error.filename is not None else ""
        return f"{error.strerror}{name}"
    return " ".join(str(error).split())


def _is_ours(filename: str) -> bool:
    path = pathlib.Path(filename).resolve()
    if "tf_diffaug" in path.parts:  # wherever it is installed
        return True
    return path.is_relative_to(_PROJECT) and path.relative_to(_PROJECT).parts[0] in _OURS
