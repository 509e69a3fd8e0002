"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import tempfile


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
