"""A pack that is not finished: its hidden folder, and the journal of how far it is."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

from tf_diffaug.data.image import UnusableError
from tf_diffaug.data.origins import Origin
from tf_diffaug.data.packed_index import IMAGES, INDEX, RECORD, RECORDS, read_index
from tf_diffaug.errors import printable
from tf_diffaug.files import write_atomically

JOB, JOURNAL = "job.json", "journal.jsonl"


@dataclasses.dataclass
class Progress:
    """How far a pack is, a line of its journal.

    Args:
        taken: images of the origin that were looked at.
        train: training images written.
        test: held-out images written.
        shape: of an image, once it is known.
        errors: files left out, in the journal those since the line before: position, reason and
            the side that they would allow.
    """

    taken: int = 0
    train: int = 0
    test: int = 0
    shape: tuple[int, int, int] | None = None
    errors: list[tuple[int, str, int | None]] = dataclasses.field(default_factory=list)

    @property
    def reasons(self) -> dict[int, UnusableError]:
        """Why files were left out, by position."""
        return {k: UnusableError(printable(reason), side) for k, reason, side in self.errors}

    def fits(self, origin: Origin) -> bool:
        """Whether that can be true of these images, whatever a file said."""
        counts, shape = (self.taken, self.train, self.test), self.shape or ()
        places = [place for place, _, _ in self.errors]
        return (
            all(type(number) is int and number >= 0 for number in (*counts, *places, *shape))
            and all(
                type(reason) is str and type(side) in (int, type(None))
                for _, reason, side in self.errors
            )
            and all(place < self.taken for place in places)
            and self.train + self.test + len(places) == self.taken <= len(origin)
            and (self.train <= origin.train and self.test <= origin.test)
            and (min(shape) > 0 and len(shape) == 3 if self.train + self.test else not shape)
        )


@contextlib.contextmanager
def claimed(folder: pathlib.Path, wait: bool) -> Iterator[None]:
    """Makes the folder, for one process at a time.

    Raises:
        ValueError: if another process packs there, unless it is to `wait` for it, or there is what
            no pack has left.
    """
    _refuse_links([folder], pathlib.Path.is_dir)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):  # some file systems have no locks
                raise ValueError(
                    f"Another process packs there. Received: out={printable(folder)!r}."
                ) from error
        names = (JOB, JOURNAL, IMAGES, RECORDS, INDEX)
        _refuse_links([folder / name for name in names], pathlib.Path.is_file)
        yield
    finally:
        os.close(handle)


def _refuse_links(
    paths: Sequence[pathlib.Path], as_it_should: Callable[[pathlib.Path], bool]
) -> None:
    """What is cut and written here must be no file of elsewhere, and no pipe."""
    for path in paths:
        if path.is_symlink() or (path.exists() and not as_it_should(path)):
            raise ValueError(
                "That is nothing which an interrupted pack leaves: remove it. "
                f"Received: {printable(path)}."
            )


@contextlib.contextmanager
def named(folder: pathlib.Path) -> Iterator[None]:
    """Names the place in errors that name none, as of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise


def begin(origin: Origin, folder: pathlib.Path, out: pathlib.Path) -> None:
    """Notes what is packed here, or refuses what is not the same."""
    job = json.dumps({"version": 1, "source": origin.key})
    if (folder / INDEX).exists():
        same = read_index(folder)[0].source == origin.key
    elif is_begun(folder):
        same = (folder / JOB).exists() and (folder / JOB).read_bytes() == job.encode()
    else:
        write_atomically(folder / JOB, job)
        return
    if not same:
        raise ValueError(
            f"An unfinished pack of other images or options lies in {printable(folder)}: remove "
            f"it, or choose another place. Received: out={printable(out)!r}."
        )


def is_begun(folder: pathlib.Path) -> bool:
    """Whether there is anything that another call could go on from."""
    journal = folder / JOURNAL
    return journal.exists() and journal.stat().st_size > 0


def resumed(origin: Origin, folder: pathlib.Path) -> Progress:
    """How far the pack is; what was written beyond the journal's last whole line is cut off.

    Raises:
        ValueError: if the journal is damaged, or there is less than it says.
    """
    progress, end = Progress(), 0
    path = folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else ()
    for line_number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break
        errors, end = progress.errors, end + len(line)
        try:
            progress = Progress(**json.loads(line))
            progress.errors = errors + progress.errors
            if not progress.fits(origin):
                raise ValueError("it is none of these images")
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"Line {line_number} of {printable(path)} is damaged: remove {printable(folder)}."
            ) from error
    count = progress.train + progress.test
    size = 0 if progress.shape is None else math.prod(progress.shape)
    for name, length in (
        (JOURNAL, end),
        (IMAGES, count * size),
        (RECORDS, count * RECORD.itemsize),
    ):
        file = folder / name
        file.touch()
        if file.stat().st_size < length:
            raise ValueError(f"{printable(file)} is cut short: remove {printable(folder)}.")
        os.truncate(file, length)
    return progress
