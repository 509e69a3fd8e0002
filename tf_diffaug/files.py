"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO


def default_cache_dir() -> pathlib.Path:
    """`$XDG_CACHE_HOME/tf_diffaug`, or `~/.cache/tf_diffaug`."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "tf_diffaug"


@contextlib.contextmanager
def made_atomically(
    path: str | os.PathLike, *, overwrite: bool = False, parts: Sequence[str] = ()
) -> Iterator[pathlib.Path]:
    """A path beside `path` to make a file or a folder at; at the end it takes the place of `path`.

    Missing folders are made. What was made, those folders too, is removed if it could not be
    finished; a process that is killed leaves it, hidden, and nothing at `path`.

    Args:
        path: where the file or the folder will be.
        overwrite: whether what is there may be replaced.
        parts: what a folder that may be replaced holds, `*` standing for anything: one that holds
            something else too is not one that was made here, and stays.

    Raises:
        FileExistsError: if there is something that may not be replaced, at the beginning or by the
            end.
        OSError: if the folder cannot be written or the disk is full.
    """
    path = pathlib.Path(path)
    _refuse_existing(path, overwrite, parts)
    with made_folders(path.parent), _holder(path) as holder:
        yield holder / path.name
        _refuse_existing(path, overwrite, parts)
        before = holder / f"before {path.name}"
        if path.is_dir():  # which no move replaces, unless it is empty
            os.replace(path, before)
        try:
            os.replace(holder / path.name, path)
        except OSError:
            if before.exists():
                os.replace(before, path)
            raise


@contextlib.contextmanager
def made_folders(path: str | os.PathLike) -> Iterator[None]:
    """Makes a folder and those above it that are missing, for what is written in the `with` block.

    If the block fails, those that were made here and hold nothing are removed again.

    Raises:
        OSError: if one cannot be made, or is a file.
    """
    path = pathlib.Path(path)
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):  # not empty, or never made
                folder.rmdir()
        raise


@contextlib.contextmanager
def _holder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A hidden folder beside a path, removed at the end with what is in it."""
    holder = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield holder
    except OSError as error:
        if error.filename is None and error.errno is not None:  # as of a write to a full disk
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _refuse_existing(path: pathlib.Path, overwrite: bool, parts: Sequence[str]) -> None:
    found = sorted(each.name for each in path.iterdir()) if path.is_dir() else []
    if not overwrite and (found or (path.exists() and not path.is_dir())):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    for name in found:
        if not any(fnmatch.fnmatchcase(name, part) for part in parts):
            reason = f"Not replaced, as it holds something else too ({name}); choose another place"
            raise FileExistsError(errno.EEXIST, reason, str(path))


def read_regular(path: str | os.PathLike) -> bytes:
    """The bytes of a file; not of a pipe or device, which may never end.

    Raises:
        OSError: if it cannot be read, or is no file.
    """
    with open_regular(path) as file:
        return file.read()


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a file for reading its bytes, as `read_regular` reads it."""
    path = pathlib.Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is a pipe or a device", str(path))
    return path.open("rb")


def write_atomically(path: str | os.PathLike, content: bytes | str) -> None:
    """Writes a file by way of a temporary one beside it and a rename.

    Missing folders are made. A reader, or a run that is killed, sees the old content or the new.

    Raises:
        OSError: if the folder cannot be written or the disk is full; the old file is left as it is.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    data = content.encode() if isinstance(content, str) else content
    with made_folders(path.parent):
        _replace(path, data)


def _replace(path: pathlib.Path, data: bytes) -> None:
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
