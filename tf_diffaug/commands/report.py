"""`report`: one page to look at a run, or to compare several."""

from __future__ import annotations

import dataclasses
import functools

from tf_diffaug.commands import saved_run
from tf_diffaug.commands.flags import Flag
from tf_diffaug.errors import UserError

_SUFFIXES = (".html", ".htm")
SUMMARY = "write one page to look at a run, or to compare several"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(saved_run.Asked):
    """What the user asked for.

    Raises:
        UserError: if several runs are to lie nowhere, or the page is no HTML file.
    """

    nearest: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.run_dirs) > 1 and self.out is None:
            raise UserError(
                "a page of several runs lies in none of them: add --out=FILE.html. "
                f"Received: {' '.join(map(str, self.run_dirs))}."
            )
        if self.out is not None and self.out.suffix.lower() not in _SUFFIXES:
            raise UserError(f"--out is a .html file. Received: --out={self.out}.")


FLAGS = saved_run.flags(
    Flag("nearest", bool, "look the nearest training images up, unless generate did", "true"),
    out="the file; by default RUN_DIR/report.html, which is written anew",
    without=("checkpoint", "num_fakes", "fid_features", "seed"),
)


HELP = """Writes a page with the curves, samples, numbers and recipe of a run, one file that \
needs no network. Try: {0} runs/NAME, or {0} runs/ONE runs/OTHER --out=both.html
{flags}"""
read = functools.partial(saved_run.read, Asked, FLAGS, command="report", several=True)


def run(asked: Asked) -> None:
    """Writes the page and says where.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
    """
    from tf_diffaug.runs.report import check_report, report_path, write_report

    with saved_run.mistakes(asked):
        check_report()
        own = report_path(asked.run_dir)
        out = own if asked.out is None else asked.out
        # The run's own page is a view of its files, as TensorBoard's are.
        may_replace = asked.overwrite or (out == own and len(asked.run_dirs) == 1)
        saved_run.refuse_outputs(dataclasses.replace(asked, overwrite=may_replace), out)
        path = write_report(asked.run_dirs, out, nearest=asked.nearest, **asked.replaced)
    print(f"In {path}: {path.stat().st_size / 1e6:.1f} MB, for any browser.")
