"""Trains a GAN on few images: flags -> settings -> parts -> run. `python train.py --help`.

Exit codes: 0 done, or finished before; 2 a mistake in what was asked; 3 training failed; 75 stopped
by a signal after saving: the same command goes on.
"""

from __future__ import annotations

import sys

from absl import app as absl_app
from absl import flags as absl_flags
from absl import logging as absl_logging

from app.errors import FAILED, USER_ERROR, Failure, UserError
from app.flags import Command, parse
from app.quiet import import_tensorflow
from app.resolve import resolve

INTERRUPTED = 130  # the shell's 128 + SIGINT


def read_flags(argv: list[str]) -> Command:
    """The flags parser: one line and exit code 2 for a mistake."""
    absl_flags.FLAGS(argv[:1])  # absl's own flags keep their defaults
    try:
        return parse(argv)
    except UserError as error:
        complain(error)
        sys.exit(USER_ERROR)


def main(command: Command) -> int:
    """Does what was asked; returns the exit code."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        return run(command)
    except UserError as error:
        complain(error)
        return USER_ERROR
    except Failure as error:
        complain(error)
        return FAILED
    except KeyboardInterrupt:
        complain("interrupted.")
        return INTERRUPTED


def run(command: Command) -> int:
    """Settings in their order, then one of: explain, preview, dry run, train."""
    resolved = resolve(command.settings)

    # Only now, so that a mistake in the flags does not wait for TensorFlow.
    import_tensorflow()
    from app import actions

    decided = actions.decide(resolved)
    print(decided.resolved.table())
    if command.explain:
        return actions.explain(decided)
    if command.preview is not None:
        return actions.preview(decided, command.preview)
    if command.dry_run:
        return actions.dry_run(decided)
    return actions.train(decided)


def complain(error: Exception | str) -> None:
    """One line on stderr."""
    print(f"train.py: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # in a log file, too, lines come as they are said
    absl_app.run(main, flags_parser=read_flags)
