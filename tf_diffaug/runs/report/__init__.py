"""One page to look at a run, or to compare several: a file that needs nothing else.

>>> from tf_diffaug.runs.report import write_report
>>> write_report("runs/NAME")  # doctest: +SKIP
>>> write_report(["runs/ONE", "runs/OTHER"], "both.html")  # doctest: +SKIP

It needs Bokeh and Jinja2: `pip install tf-diffaug[report]`.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_diffaug.files import write_atomically
from tf_diffaug.optional import need_packages
from tf_diffaug.runs.report.looks import look_at
from tf_diffaug.runs.report.records import read_records

__all__ = ["check_report", "report_path", "write_report"]

PACKAGES = ("bokeh", "jinja2")


def check_report() -> None:
    """Checks that what a report is made with is installed.

    Raises:
        UserError: with the command that installs it.
    """
    need_packages("A report", PACKAGES, extra="report")


def report_path(run_dir: str | os.PathLike) -> pathlib.Path:
    """Where the report of one run lies by default."""
    return pathlib.Path(run_dir) / "report.html"


def write_report(
    run_dirs: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike | None = None,
    *,
    images: np.ndarray | None = None,
    nearest: bool = False,
    **settings: Any,
) -> pathlib.Path:
    """Writes the page of a run, or of several beside each other, and returns its path.

    A run's curves, samples and numbers are read from its folder. Where its training images cannot
    be had, the page says so in place of the pictures of the augmentation.

    Args:
        run_dirs: the folder of a run, or several.
        out: the file, replaced if it is there; by default `report.html` in the folder of the run.
        images: the training images of the one run, uint8 (n, height, width, channels), if they are
            at hand; by default they are loaded.
        nearest: whether the nearest training images are looked up where `generate` wrote no sheet
            of them. This restores the run.
        **settings: `dataset` and `data_dir`, where the images lie now.

    Raises:
        UserError: if a folder is no run, or an optional package is missing.
        ValueError: if a run's files are damaged, or several runs are given and no `out`.
        OSError: if the file cannot be written.
    """
    check_report()
    from tf_diffaug.runs.report.page import render

    folders = [run_dirs] if isinstance(run_dirs, (str, os.PathLike)) else list(run_dirs)
    if not folders or (len(folders) > 1 and out is None):
        raise ValueError(f"A report of several runs needs `out`. Received: {len(folders)} runs.")
    runs = read_records(folders)
    looks = look_at(runs, images=images, nearest=nearest, settings=settings)
    path = report_path(folders[0]) if out is None else pathlib.Path(out)
    write_atomically(path, render(runs, looks, path))
    return path
