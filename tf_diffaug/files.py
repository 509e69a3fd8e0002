"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


def default_cache_dir() -> pathlib.Path:
    """`$XDG_CACHE_HOME/tf_diffaug`, or `~/.cache/tf_diffaug`."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "tf_diffaug"


@contextlib.contextmanager
def made_atomically(path: str | os.PathLike, *, overwrite: bool = False) -> Iterator[pathlib.Path]:
    """A path beside `path` to make a file or a folder at; at the end it takes the place of `path`.

    Missing folders are made. What was made is removed if it could not be finished; a process that
    is killed leaves it, hidden, and nothing at `path`.

    Args:
        path: where the file or the folder will be.
        overwrite: whether what is there may be replaced.

    Raises:
        FileExistsError: if there is something, at the beginning or by the end.
        OSError: if the folder cannot be written or the disk is full.
    """
    path = pathlib.Path(path)
    _refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield holder / path.name
        _refuse_existing(path, overwrite)
        before = holder / f"before {path.name}"
        if path.is_dir():  # which no move replaces, unless it is empty
            os.replace(path, before)
        try:
            os.replace(holder / path.name, path)
        except OSError:
            if before.exists():
                os.replace(before, path)
            raise
    except OSError as error:
        if error.filename is None and error.errno is not None:  # as of a write to a full disk
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _refuse_existing(path: pathlib.Path, overwrite: bool) -> None:
    there = any(path.iterdir()) if path.is_dir() else path.exists()
    if there and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def write_atomically(path: str | os.PathLike, content: bytes | str) -> None:
    """Writes a file by way of a temporary one beside it and a rename.

    Missing folders are made. A reader, or a run that is killed, sees the old content or the new.

    Raises:
        OSError: if the folder cannot be written or the disk is full; the old file is left as it is.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
