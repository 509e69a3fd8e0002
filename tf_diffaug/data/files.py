"""The files below a folder or inside a zip, read alike. Nothing is unpacked to disk."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tf_diffaug.errors import printable
from tf_diffaug.files import open_regular

# A packed file may claim any size; an image of more bytes than this is none.
_MOST_BYTES = 1 << 29


@dataclasses.dataclass(frozen=True)
class Files:
    """Files by their names relative to the folder or zip, `/` between the parts.

    Args:
        names: sorted, hidden files left out.
        open: opens one of them for reading; raises OSError where that fails.
        stamp: two numbers that change when one of them does: its size, and when it was written or
            its checksum in the zip; raises OSError where that fails.
    """

    names: tuple[str, ...]
    open: Callable[[str], BinaryIO]
    stamp: Callable[[str], tuple[int, int]]


@contextlib.contextmanager
def open_files(path: str | os.PathLike) -> Iterator[Files]:
    """Lists a folder or a zip.

    Names that begin with a dot or two underscores (as `__MACOSX`) are passed over, and whatever
    lies below such a folder.

    Raises:
        ValueError: if there is no such folder or zip, or the zip is damaged or encrypted.
        OSError: if a folder below cannot be read: a class would be missing.
    """
    root = pathlib.Path(path)
    if root.is_dir():

        def stamp(name: str) -> tuple[int, int]:
            status = (root / name).stat()
            return status.st_size, status.st_mtime_ns

        yield Files(tuple(sorted(_walk(root))), lambda name: open_regular(root / name), stamp)
        return
    received = f"Received: name='folder:{printable(root)}'."
    if not root.is_file():
        raise ValueError(f"No such folder or zip. {received}")
    try:
        archive = zipfile.ZipFile(root)
    except Exception as error:  # whatever zipfile makes of bytes that are none
        raise ValueError(f"It is no folder, and no zip that can be read. {received}") from error
    with archive:
        packed = {info.filename.replace("\\", "/"): info for info in archive.infolist()}
        packed = {name: info for name, info in packed.items() if name and name[-1] != "/"}
        if any(info.flag_bits & 1 for info in packed.values()):
            raise ValueError(f"The zip is encrypted: unpack it first. {received}")
        packed = {name: info for name, info in packed.items() if not _hidden(name)}
        yield Files(
            tuple(sorted(packed)),
            lambda name: _unpack(archive, packed[name]),
            lambda name: (packed[name].file_size, packed[name].CRC),
        )


def _walk(root: pathlib.Path) -> Iterator[str]:
    visited = set()
    for folder, below, names in os.walk(root, followlinks=True, onerror=_fail):
        real = os.path.realpath(folder)
        if real in visited:  # links in a circle
            below.clear()
            continue
        visited.add(real)
        below[:] = sorted(name for name in below if not _hidden(name))
        where = pathlib.Path(folder).relative_to(root)
        yield from ((where / name).as_posix() for name in names if not _hidden(name))


def _fail(error: OSError) -> None:
    raise error


def _hidden(name: str) -> bool:
    *folders, last = name.split("/")
    return last.startswith((".", "__")) or any(f.startswith((".", "__")) for f in folders)


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    # `zipfile` never unpacks more than the size it is told, so the claim can be checked.
    if info.file_size > _MOST_BYTES:
        raise OSError(0, f"{info.file_size:,} bytes are too many")
    try:
        return io.BytesIO(archive.read(info))
    except Exception as error:  # whatever its decompressors make of damaged bytes
        raise OSError(0, "damaged in the zip") from error
