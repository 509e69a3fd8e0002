"""Trains as `python -m tf_diffaug train` does, and says in between what it is about to do.

Each line is `soak: begin WHAT STEP` or `soak: end WHAT STEP`; of several workers the chief says it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tf_diffaug import commands
from tf_diffaug.commands import training
from tf_diffaug.training.loop import Hook, Loop, Steps

_SAID = {"Samples": "picture", "Evaluation": "evaluation", "Checkpoints": "save"}


class Before(Hook):
    """Says which steps begin first, and which have ended."""

    def begin(self, step: int) -> None:
        _say("begin", "step", step + 1)

    def after(self, steps: Steps) -> None:
        _say("end", "step", steps.last)


class After(Hook):
    """Says, when all is done that was due, which step begins."""

    def after(self, steps: Steps) -> None:
        _say("begin", "step", steps.last + 1)


def main() -> int:
    """Does what the arguments say, as the package's own `main` does."""
    run = Loop.run

    def run_told(self: Loop, last_step: int, hooks: Sequence[Hook] = ()) -> int:
        for hook in hooks:
            if name := _SAID.get(type(hook).__name__):
                hook.act = _told(name, hook.act)
        return run(self, last_step, [Before(), *hooks, After()])

    Loop.run = run_told
    training.write_report = _told("report", training.write_report)
    return commands.main()


def _told(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(act)
    def told(step: Any, **options: Any) -> Any:
        number = step if isinstance(step, int) else 0
        _say("begin", name, number)
        result = act(step, **options)
        _say("end", name, number)
        return result

    return told


def _say(what: str, name: str, step: int) -> None:
    # The progress bar leaves its line open.
    print(f"\nsoak: {what} {name} {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
