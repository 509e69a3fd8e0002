"""The command line of overlap.py."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import textwrap
from collections.abc import Sequence

from app.errors import UserError
from app.flags import Flag, define, read

# Figure 4 of arXiv 2006.02595, with its strengths; noise has a grid of its own there.
FIGURE_4 = (
    "greenness",
    "mixup",
    "translation(fill=reflect)",
    "instance_noise:[0.02, 0.04, 0.06, 0.08, 0.1]",
)
STRENGTHS = (0.1, 0.2, 0.3, 0.4, 0.5)

_FLAGS = (
    Flag("ops", str, f"the ops, by default those known of {', '.join(FIGURE_4)}"),
    Flag("strengths", str, "of every op that does not state its own, with commas between"),
    Flag("repeats", int, "how often fakes and T are drawn anew: what a box is of"),
    Flag("checkpoint", str, "newest, best (by FID) or a step"),
    Flag(
        "num_fakes", int, "fakes a repeat; by default as many as the run's FIDs are of", ("auto",)
    ),
    Flag("fid_features", str, "what makes the features; by default as in the run", ("auto",)),
    Flag("seed", int, "of the fakes and of T; by default the run's", ("auto",)),
    Flag("data_dir", str, "where CIFAR's files are, if not where the run had them", ("auto",)),
    Flag(
        "out", str, "folder of overlap.json and overlap.png; by default RUN_DIR/overlap", ("auto",)
    ),
)


@dataclasses.dataclass(frozen=True)
class Command:
    """What the user asked for; None is the run's own.

    Raises:
        UserError: if a value is out of its range.
    """

    run_dir: pathlib.Path
    ops: str | None = None
    strengths: tuple[float, ...] = STRENGTHS
    repeats: int = 5
    checkpoint: str = "newest"
    num_fakes: int | None = None
    fid_features: str | None = None
    seed: int | None = None
    data_dir: str | None = None
    out: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("repeats", 1), ("num_fakes", 2), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"--{name} must be at least {least}. Received: --{name}={value}.")
        if self.checkpoint not in ("newest", "best") and not self.checkpoint.isdecimal():
            raise UserError(
                f"--checkpoint is newest, best or a step. Received: --checkpoint={self.checkpoint}."
            )

    @property
    def folder(self) -> pathlib.Path:
        """Where the results go."""
        return self.run_dir / "overlap" if self.out is None else pathlib.Path(self.out)


def parse(argv: Sequence[str]) -> Command:
    """Reads a command line, program name first.

    Raises:
        UserError: if it has a mistake.
        SystemExit: with code 0 after printing help that was asked for.
    """
    values = define(_FLAGS)
    rest = read(values, argv, lambda full: _help())
    if len(rest) != 1:
        received = f"{len(rest)}: {' '.join(rest)}" if rest else "none"
        raise UserError(f"one RUN_DIR is needed, as in overlap.py runs/NAME. Received: {received}.")
    given = {flag.name: values[flag.name].value for flag in _FLAGS if values[flag.name].present}
    if "strengths" in given:
        given["strengths"] = _numbers(given["strengths"])
    return Command(pathlib.Path(rest[0]), **given)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise UserError(
            f"--strengths takes numbers with commas between. Received: --strengths={text}."
        )
    return numbers


def _help() -> str:
    defaults = {
        "strengths": ",".join(f"{strength:g}" for strength in STRENGTHS),
        "repeats": "5",
        "checkpoint": "newest",
    }
    lines = [
        "Measures FID(T(reals), T(fakes)) / FID(reals, fakes) of a run, op by op. "
        "Try: python overlap.py runs/NAME",
        "An op may have arguments and strengths of its own: "
        "--ops='translation(fill=reflect),cutout:[0.2, 0.5]'",
    ]
    for flag in _FLAGS:
        text = f"--{flag.name}={defaults.get(flag.name, 'auto')}"
        lines += textwrap.wrap(
            f"  {text:<37} {flag.text}",
            98,
            subsequent_indent=" " * 40,
            break_long_words=False,
            drop_whitespace=True,
            replace_whitespace=False,
        )
    return "\n".join(lines)
