"""Measures how T brings the supports of reals and fakes to overlap. `python overlap.py --help`.

Exit codes: 0 done; 2 a mistake in what was asked; 3 the run cannot be restored.
"""

from __future__ import annotations

from app import script
from app.overlap_flags import Command, parse
from app.quiet import import_tensorflow

NAME = "overlap.py"


def main(command: Command) -> int:
    """Does what was asked; returns the exit code."""
    return script.guarded(NAME, run, command)


def run(command: Command) -> int:
    """Restores the run, measures, writes."""
    import_tensorflow()
    from app.overlap import overlap

    return overlap(command)


if __name__ == "__main__":
    script.start(NAME, parse, main)
