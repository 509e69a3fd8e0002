"""What a user types: `python -m tf_diffaug COMMAND ...`, one small module a command.

A command's module states `SUMMARY`, one line; `HELP`, the text of `--help`, with places for the
program's name and the lines of `FLAGS`; `read(argv)`, from the arguments to what was asked; and
`run(asked)`, which does it and returns the exit code, None for OK. Modules are imported when their
command is given, and TensorFlow only by `run`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from absl import logging as absl_logging

from tf_diffaug.commands.flags import help_lines
from tf_diffaug.commands.quiet import import_tensorflow
from tf_diffaug.errors import Failure, UserError, one_line
from tf_diffaug.naming import unknown

OK = 0
USER_ERROR = 2
FAILED = 3
# EX_TEMPFAIL of sysexits.h: stopped by a signal after saving; the same command goes on.
STOPPED = 75
INTERRUPTED = 130  # the shell's 128 + SIGINT
NO_READER = 141  # 128 + SIGPIPE

COMMANDS = (
    *("train", "evaluate", "generate", "report", "export", "overlap"),
    *("pack", "doctor", "study"),
)


def main(argv: Sequence[str] | None = None, *, program: str | None = None) -> int:
    """Does what was asked; returns the exit code.

    Args:
        argv: the command's name and its arguments; by default those of this process.
        program: what messages begin with; by default the package's and the command's name.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    _print_lines_at_once()
    try:
        return _obey(argv, program)
    except BrokenPipeError:  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to flush
        return NO_READER


def _obey(argv: list[str], program: str | None) -> int:
    if not argv or argv[0] in ("help", "--help", "-h"):
        print(_overview())
        return OK if argv else USER_ERROR
    name, *arguments = argv
    if name not in COMMANDS:
        return _complain("tf-diffaug", unknown("command", name, COMMANDS, received=name))
    program = f"tf-diffaug {name}" if program is None else program
    command = importlib.import_module(f"{__name__}.{name}")
    if any(argument in ("--help", "--helpshort", "--helpfull", "-h") for argument in arguments):
        print(_help(command, program, full="--helpfull" in arguments))
        return OK
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        asked = command.read(arguments)
        if asked is None:  # what was asked for is printed
            return OK
        import_tensorflow()
        return command.run(asked) or OK
    except UserError as error:
        return _complain(program, one_line(error))
    except Failure as error:
        return _complain(program, one_line(error), FAILED)
    except KeyboardInterrupt:
        return _complain(program, "interrupted.", INTERRUPTED)


def _print_lines_at_once() -> None:
    # In a log file, too, lines come as they are said. Names of files need be no Unicode.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")


def _overview() -> str:
    lines = ["Train GANs with little data. python -m tf_diffaug COMMAND --help says more."]
    for name in COMMANDS:
        lines.append(f"  {name:<10}{importlib.import_module(f'{__name__}.{name}').SUMMARY}")
    return "\n".join(lines)


def _help(command: ModuleType, program: str, *, full: bool) -> str:
    program = f"python {program}" if program.endswith(".py") else program
    lines = "\n".join(help_lines(command.FLAGS, full=full))
    return command.HELP.format(program, flags=lines, more="" if full else " --helpfull lists all.")


def _complain(program: str, text: str, code: int = USER_ERROR) -> int:
    """One line on stderr; returns the exit code."""
    print(f"{program}: {text}", file=sys.stderr)
    return code
