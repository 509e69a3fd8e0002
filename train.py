"""Trains a GAN on few images: flags -> settings -> parts -> run. `python train.py --help`.

Exit codes: 0 done, or finished before; 2 a mistake in what was asked; 3 training failed; 75 stopped
by a signal after saving: the same command goes on.
"""

from __future__ import annotations

from app import script
from app.flags import Command, parse
from app.quiet import import_tensorflow
from app.resolve import resolve

NAME = "train.py"


def main(command: Command) -> int:
    """Does what was asked; returns the exit code."""
    return script.guarded(NAME, run, command)


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


if __name__ == "__main__":
    script.start(NAME, parse, main)
