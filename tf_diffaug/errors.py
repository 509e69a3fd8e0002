"""A user's mistakes and failed runs, each one line long.

Nothing here imports TensorFlow: most mistakes are found, and said, before it is loaded.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import traceback
from collections.abc import Callable, Iterator

_PACKAGE = pathlib.Path(os.path.abspath(__file__)).parent


class UserError(ValueError):
    """A mistake in what was asked for: its text is the one line that the user sees."""


class Failure(RuntimeError):
    """Training cannot go on, which is not the user's mistake; its text is one line."""


@contextlib.contextmanager
def user_mistakes(spell: Callable[[str], str] = str) -> Iterator[None]:
    """Turns what the library says of a user's settings into a `UserError`.

    Only errors that this package raises itself become one line: a ValueError from inside
    TensorFlow, Keras or NumPy is a bug, whose traceback is worth having. Files are the user's.

    Args:
        spell: from the library's words to the user's.
    """
    try:
        yield
    except (UserError, BrokenPipeError):  # the latter: nobody reads what is printed
        raise
    except ValueError as error:
        if not raised_here(error):
            raise
        raise UserError(spell(one_line(error))) from error
    except OSError as error:
        raise UserError(one_line(error)) from error


def raised_here(error: BaseException) -> bool:
    """Whether the line that raised an error is one of this package's."""
    filename = traceback.extract_tb(error.__traceback__)[-1].filename
    # The package's own folder, not any of its name: a clone may be called tf_diffaug too, with an
    # environment, and TensorFlow in it, inside.
    return pathlib.Path(os.path.abspath(filename)).is_relative_to(_PACKAGE)


def one_line(error: BaseException) -> str:
    """The text of an error on one line, a file's name included, as any terminal takes it."""
    if isinstance(error, OSError) and error.strerror:
        name = f": {error.filename}" if error.filename is not None else ""
        return printable(f"{error.strerror}{name}")
    return printable(" ".join(str(error).split()))


def printable(name: object) -> str:
    """A name as any terminal takes it: one line, valid Unicode.

    Bytes of a file name that are no UTF-8, and control characters, are written as escapes.
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in str(name))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # Python's stand-in for a byte
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
