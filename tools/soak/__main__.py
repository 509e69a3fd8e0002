"""Interrupts two small runs in many ways, and holds their weights against undisturbed runs'.

    python -m tools.soak --minutes=20

A run of one process and, beside it, one of two workers are struck again and again, and go on by
the same command. A table says how often each fault was injected, after how many the run went on,
and how many bits of the weights that were saved next differ from those of a run without faults at
the same step; the exit code is 1 if one does, or if a run did anything else that it should not.

A full disk and a read-only folder need a disk of their own, which a user may make on Linux by
`unshare -rm`. Elsewhere they are left out, and the table says so.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import rich.box
import rich.console
import rich.table
from PIL import Image

from tf_diffaug.data import load
from tools.soak.course import Course
from tools.soak.faults import all_faults, on_new_disk, shuffled
from tools.soak.run import FINISHED, Run

COLUMNS = ("injected", "resumed", "failed", "bits that differ")
WORKERS = (1, 2)
# The part of the time after which no fault is begun.
UNTIL = 0.85
_UNSHARED = "SOAK_UNSHARED"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="that all may take")
    parser.add_argument("--kills", type=int, default=50, help="by SIGKILL, half with two workers")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and their order")
    arguments = parser.parse_args()
    _unshare()
    begin = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    take = functools.partial(
        take_course,
        folder,
        kills=arguments.kills // 2,
        seed=arguments.seed,
        until=begin + 60 * UNTIL * arguments.minutes,
        can_mount=_UNSHARED in os.environ,
    )
    # Most of the time goes to starts, of which one keeps a core busy.
    with concurrent.futures.ThreadPoolExecutor(len(WORKERS)) as pool:
        courses = list(pool.map(take, WORKERS))
    _print(courses, (time.monotonic() - begin) / 60, has_disk=_UNSHARED in os.environ)
    if any(course.wrong for course in courses):
        print(f"What is left of them is in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


def take_course(
    folder: pathlib.Path, workers: int, *, kills: int, seed: int, until: float, can_mount: bool
) -> Course:
    """Takes a run through faults and to its end, and holds it against one without faults."""
    folder = folder / str(workers)
    folder.mkdir()
    dataset = write_images(folder / "images")
    rng = random.Random(f"{seed} {workers}")
    faults = shuffled(all_faults(workers, kills, has_disk=can_mount), rng)
    with on_new_disk(folder / "disk", can_mount=can_mount) as disk:
        course = Course(Run(disk / "run", dataset, workers))
        course.suffer(faults, rng, until=until)
        course.finish()
        whole = Run(folder / "whole", dataset, workers)
        whole.start(course.run.saved, "--keep_checkpoints=100000")
        whole.must_end(FINISHED, says="Done: ")
        course.compare(whole.path)
        if course.wrong:
            shutil.copytree(disk, folder / "left")
    return course


def write_images(folder: pathlib.Path, count: int = 40) -> pathlib.Path:
    """Writes some faces as a folder of images."""
    folder.mkdir()
    for number, image in enumerate(load("emoji_faces", resolution=32).images[:count]):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return folder


def table_of(courses: Sequence[Course]) -> rich.table.Table:
    """What became of each fault, and of all."""
    lines = [
        (fault, str(course.run.workers), *(row[column] for column in COLUMNS))
        for course in courses
        for fault, row in course.rows.items()
    ]
    sums = [sum(line[2 + column] for line in lines) for column in range(len(COLUMNS))]
    table = rich.table.Table(box=rich.box.SIMPLE, show_footer=True)
    table.add_column("fault", "all")
    table.add_column("workers", "1, 2")
    for name, total in zip(COLUMNS, sums, strict=True):
        table.add_column(name, str(total), justify="right")
    for line in sorted(lines, key=lambda line: (line[1], line[0])):
        table.add_row(*map(str, line))
    return table


def _print(courses: Sequence[Course], minutes: float, *, has_disk: bool) -> None:
    rich.console.Console(width=100).print(table_of(courses))
    injected = sum(row["injected"] for course in courses for row in course.rows.values())
    planned = sum(course.planned for course in courses)
    steps = " and ".join(str(course.run.saved) for course in courses)
    print(f"{injected} of {planned} faults, {steps} steps, {minutes:.1f} minutes.")
    for course in courses:
        print(
            f"{course.run.workers} worker(s): {course.final_bits} bits of the final weights differ."
        )
        for line in course.wrong:
            print(line)
    if not has_disk:
        print("Left out: a full disk and a read-only folder, for want of `unshare -rm`.")


def _unshare() -> None:
    """Starts this process again where it may mount disks, which nobody else sees."""
    command = ["unshare", "--map-root-user", "--mount"]
    if _UNSHARED in os.environ or shutil.which("unshare") is None:
        return
    trial = ["mount", "-t", "tmpfs", "soak", tempfile.gettempdir()]
    if subprocess.run([*command, *trial], capture_output=True).returncode == 0:
        again = [*command, sys.executable, "-m", "tools.soak", *sys.argv[1:]]
        os.execvpe("unshare", again, {**os.environ, _UNSHARED: "1"})


if __name__ == "__main__":
    sys.exit(main())
