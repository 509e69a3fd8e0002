"""What is done to a run: while it trains, and to what is left of it.

A fault's `strike` leaves no process running; its `aftermath` sees to the files, and that a run that
cannot go on says so. Either raises `Wrong` if the run does not do what it should.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

from PIL import Image

from tools.soak.run import FAILED, STOPPED, USER_ERROR, Run

MOMENTS = ("step", "save", "evaluation", "picture", "report")
DISK_SIZE = "128m"
MANY = 400  # steps that no run takes before it is struck


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way to disturb a run.

    Args:
        name: for the table.
        strike: what is done while it trains.
        aftermath: what is done when it has ended.
        moment: during what; any but the report by default.
        is_told: whether the run must say on its next start that it falls back to an older save.
    """

    name: str
    strike: Callable[[Run, Fault, random.Random], None]
    aftermath: Callable[[Run, random.Random], None] = lambda run, rng: None
    moment: str | None = None
    is_told: bool = False

    def await_moment(self, run: Run, rng: random.Random) -> None:
        """Waits for a random moment of it, after none or some saves."""
        saves = 0 if self.moment in ("start", "report") else rng.choice([0, 0, 1, 2])
        for _ in range(2 if self.is_told else saves):
            run.until("end save")
        run.while_at(self.moment or rng.choice(MOMENTS[:-1]), rng.random())


def kill(run: Run, fault: Fault, rng: random.Random) -> None:
    """Kills all of its processes, or one of them, whose end must end the others."""
    fault.await_moment(run, rng)
    # Who starts waits for the others, and who has no report to write ends before.
    if run.workers == 1 or fault.moment in ("start", "report") or rng.random() < 0.5:
        run.kill()
        return
    one = rng.randrange(run.workers)
    run.send(signal.SIGKILL, to=one)
    codes = run.wait()
    if codes != [-signal.SIGKILL if index == one else FAILED for index in range(run.workers)]:
        raise run.wrong(f"exit codes {codes}")


def stop(run: Run, fault: Fault, rng: random.Random) -> None:
    """Asks one of its processes to end, which all must do in good order."""
    fault.await_moment(run, rng)
    run.send(signal.SIGTERM, to=rng.randrange(run.workers))
    run.must_end(STOPPED, says="the same command goes on")


def fill_disk(run: Run, fault: Fault, rng: random.Random) -> None:
    """Leaves no room, or only a little, on the disk that it writes to."""
    fault.await_moment(run, rng)
    with _full(run.path.parent, rng.randrange(3) * 10_000):
        run.must_end(FAILED, says="No space left on device")


def start_on_full_disk(run: Run, rng: random.Random) -> None:
    """Starts it where nothing can be written, which it must say."""
    with _full(run.path.parent, 0):
        run.start(MANY + run.saved)
        run.must_end(USER_ERROR, says="No space left on device")


def lock_folder(run: Run, fault: Fault, rng: random.Random) -> None:
    """Makes its folder one that cannot be written to."""
    fault.await_moment(run, rng)
    with _read_only(run.path):
        run.must_end(FAILED, says="Read-only file system")


def start_in_locked_folder(run: Run, rng: random.Random) -> None:
    """Starts it in a folder that cannot be written to, which it must say."""
    with _read_only(run.path):
        run.start(MANY + run.saved)
        run.must_end(USER_ERROR, says="Read-only file system")


def start_twice(run: Run, fault: Fault, rng: random.Random) -> None:
    """Starts another process on its folder, which must be refused, and kills the first."""
    fault.await_moment(run, rng)
    second = Run(run.path, run.dataset, 1)
    second.start(MANY + run.saved)
    second.must_end(USER_ERROR, says="in use by another process")
    run.kill()


def flip_a_bit(run: Run, rng: random.Random) -> None:
    """Turns one bit of its newest checkpoint over."""
    file = _newest_file(run, rng)
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def cut_short(run: Run, rng: random.Random) -> None:
    """Cuts the end of its newest checkpoint off."""
    file = _newest_file(run, rng)
    os.truncate(file, rng.randrange(file.stat().st_size))


def turn_the_clock_back(run: Run, rng: random.Random) -> None:
    """Lets its files be of a time to come, as they are after a clock was set back."""
    for file in run.path.rglob("*"):
        os.utime(file, (time.time() + 86_400 * rng.random(),) * 2)


def change_an_image(run: Run, rng: random.Random) -> None:
    """Changes one value of one image, and puts it back once the run has refused it."""
    file = rng.choice(sorted(run.dataset.glob("*.png")))
    before = file.read_bytes()
    image = Image.open(file)
    image.putpixel((1, 1), tuple(255 - value for value in image.getpixel((1, 1))))
    image.save(file)
    _must_refuse_images(run)
    file.write_bytes(before)


def add_an_image(run: Run, rng: random.Random) -> None:
    """Adds an image, and takes it away once the run has refused it."""
    added = run.dataset / "added.png"
    shutil.copy(rng.choice(sorted(run.dataset.glob("*.png"))), added)
    _must_refuse_images(run)
    added.unlink()


def remove_an_image(run: Run, rng: random.Random) -> None:
    """Removes an image, and puts it back once the run has refused to go on without it."""
    file = rng.choice(sorted(run.dataset.glob("*.png")))
    content = file.read_bytes()
    file.unlink()
    _must_refuse_images(run)
    file.write_bytes(content)


@contextlib.contextmanager
def on_new_disk(folder: pathlib.Path, *, can_mount: bool) -> Iterator[pathlib.Path]:
    """Makes a folder that is a small disk of its own, where that may be done."""
    folder.mkdir()
    if not can_mount:
        yield folder
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "soak", folder]
    subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def all_faults(workers: int, kills: int, *, has_disk: bool) -> list[Fault]:
    """The faults of a run, in no order: so many kills, and some of each other kind."""
    kinds = [Fault(f"SIGKILL during a {moment}", kill, moment=moment) for moment in MOMENTS]
    faults = [kinds[number % len(kinds)] for number in range(kills)]
    faults += [
        Fault("SIGKILL during a start", kill, moment="start"),
        Fault("SIGTERM", stop),
        Fault("SIGKILL, then a checkpoint with a flipped bit", kill, flip_a_bit, is_told=True),
        Fault("SIGKILL, then a checkpoint cut short", kill, cut_short, is_told=True),
    ]
    if has_disk:
        faults += [
            Fault("full disk", fill_disk, start_on_full_disk),
            Fault("read-only folder", lock_folder, start_in_locked_folder),
        ]
    if workers == 1:
        changes = {"changed": change_an_image, "added": add_an_image, "removed": remove_an_image}
        faults += [
            Fault("SIGTERM", stop),
            Fault("second process on the run directory", start_twice),
            Fault(
                "SIGKILL, then files of a time to come (clock set back)", kill, turn_the_clock_back
            ),
            *(Fault(f"SIGKILL, then an image {how}", kill, do) for how, do in changes.items()),
        ]
    return faults


def shuffled(faults: list[Fault], rng: random.Random) -> list[Fault]:
    """In random order, but one of each kind before the second of any, lest the time runs out."""
    order: dict[str, int] = collections.defaultdict(int)
    rounds = []
    for fault in rng.sample(faults, len(faults)):
        rounds.append((order[fault.name], fault))
        order[fault.name] += 1
    return [fault for _, fault in sorted(rounds, key=lambda pair: pair[0])]


def _must_refuse_images(run: Run) -> None:
    before = (run.path / "config.json").read_bytes()
    run.start(MANY + run.saved)
    run.must_end(USER_ERROR, says=f"{run.path} was trained on other images")
    if (run.path / "config.json").read_bytes() != before:
        raise run.wrong("config.json was written")


def _newest_file(run: Run, rng: random.Random) -> pathlib.Path:
    before, newest = sorted(int(p.stem[5:]) for p in run.path.glob("checkpoints/step-*.index"))[-2:]
    run.saved = before
    return rng.choice(sorted((run.path / "checkpoints").glob(f"step-{newest}.*")))


@contextlib.contextmanager
def _full(disk: pathlib.Path, left: int) -> Iterator[None]:
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 20)):
                pass
        os.truncate(filler, max(0, filler.stat().st_size - left))
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def _read_only(folder: pathlib.Path) -> Iterator[None]:
    # The disk itself cannot be made so while files on it are open.
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
