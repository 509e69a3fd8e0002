"""`doctor`: what this machine is, and what works on it."""

from __future__ import annotations

import dataclasses
import functools
import textwrap
from collections.abc import Sequence

from tf_diffaug.commands import OK
from tf_diffaug.commands.flags import Flag, listed, read_flags
from tf_diffaug.commands.resolve import as_flags
from tf_diffaug.errors import UserError, printable, user_mistakes

SUMMARY = "say what this machine is and what works on it, for a bug report"
SOMETHING_FAILS = 1
_LABEL = 20
_WIDTH = 100


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the user asked for: where to compute, which networks, whether by XLA too."""

    strategy: str = "auto"
    networks: tuple[str, ...] | None = None
    xla: bool = True


FLAGS = (
    Flag("strategy", str, "where to compute: auto, one_device, mirrored or tpu", "auto"),
    Flag("networks", listed, "those to try, with commas between", "all", unset=("all",)),
    Flag("xla", bool, "try the steps compiled by XLA too, which takes longest", "true"),
)
HELP = """Says what this machine is and what works on it: devices, versions, precision, a training \
step of each network, what fits. Writes nothing. Try: {0}
{flags}
Exit codes: 0 all works, 1 something does not, and the last lines say what to do about it."""


def read(arguments: Sequence[str]) -> Asked:
    """Reads a command line.

    Raises:
        UserError: if it has a mistake.
    """
    given, rest = read_flags(FLAGS, arguments)
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}: doctor takes flags only.")
    return Asked(**given)


def run(asked: Asked) -> int:
    """Prints the page, a line as soon as it is known; returns the exit code.

    Raises:
        UserError: for a mistake in what was asked, before anything is tried.
    """
    from tf_diffaug.runs.doctor import examine

    with user_mistakes(functools.partial(as_flags, asked)):
        findings = examine(asked.strategy, networks=asked.networks, xla=asked.xla)
    problems = []
    for finding in findings:
        print(_paragraph(finding.label, finding.text))
        if finding.problem is not None:
            problems.append(finding.problem)
    for problem in problems:
        print(f"PROBLEM  {printable(problem)}")
    if not problems:
        print("All works.")
    return SOMETHING_FAILS if problems else OK


def _paragraph(label: str, text: str) -> str:
    return textwrap.fill(
        printable(text),
        _WIDTH,
        initial_indent=f"{label:<{_LABEL}}",
        subsequent_indent=" " * _LABEL,
        break_on_hyphens=False,
        break_long_words=False,
    )
