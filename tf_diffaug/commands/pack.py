"""`pack`: makes a dataset one that training reads from disk, for images that memory cannot hold."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import shlex
from collections.abc import Sequence

from tf_diffaug.commands.flags import Flag, read_flags, setting_flags
from tf_diffaug.commands.resolve import as_flags
from tf_diffaug.errors import UserError, user_mistakes

SUMMARY = "pack images, more than memory can hold, for training from disk"
_AS_IN_TRAINING = ("data_dir", "channels", "fit", "skip_broken")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user asked for.

    Raises:
        UserError: if a number is out of its range.
    """

    source: str
    out: pathlib.Path
    data_dir: str | None = None
    resolution: int | None = None
    channels: int = 3
    fit: str = "crop"
    skip_broken: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("resolution", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name} must be at least 1. Received: --{name}={value}.")


FLAGS = (
    Flag("resolution", int, "pixels a side; own: as the images are, all alike", "own", ("own",)),
    *(flag._replace(group=None) for flag in setting_flags() if flag.name in _AS_IN_TRAINING),
    Flag(
        "workers", int, "threads that decode, by default one for each processor", "auto", ("auto",)
    ),
)
HELP = """Packs images for training from disk. Try: {0} photos OUT --resolution=64, then \
train --dataset=packed:OUT --resolution=64
SOURCE is what train --dataset takes, a folder, a zip, or tfds:NAME of TensorFlow Datasets.
{flags}
A pack that was ended goes on by the same command."""


def read(arguments: Sequence[str]) -> Asked:
    """Reads a command line.

    Raises:
        UserError: if it has a mistake.
    """
    given, rest = read_flags(FLAGS, arguments)
    if len(rest) != 2:
        received = f"{len(rest)}: {' '.join(rest)}" if rest else "none"
        raise UserError(
            f"a SOURCE and an OUT are needed, as in pack photos OUT. Received: {received}."
        )
    source, out = rest
    is_path = ":" not in source and os.path.exists(os.path.expanduser(source))
    return Asked(
        source=f"folder:{source}" if is_path else source,
        out=pathlib.Path(os.path.expanduser(out)),
        **given,
    )


def run(asked: Asked) -> None:
    """Packs and says what there is.

    Raises:
        UserError: for a mistake in what was asked, or a disk that is full.
    """
    from tf_diffaug.data import load, pack

    with user_mistakes(functools.partial(_spell, asked)):
        pack(
            asked.source,
            asked.out,
            data_dir=asked.data_dir,
            resolution=asked.resolution,
            channels=asked.channels,
            fit=asked.fit,
            skip_broken=asked.skip_broken,
            workers=asked.workers,
        )
        data = load(f"packed:{asked.out}", channels=asked.channels)
    count, *size = data.images.shape
    test = f" ({len(data.test):,} held out)" if data.test is not None else ""
    classes = f", {data.num_classes:,} classes" if data.labels is not None else ""
    print(f"{count:,} images{test}, {'x'.join(map(str, size))}{classes}, in {asked.out}.")
    if data.skipped:
        print(f"Left out as not usable ({len(data.skipped):,}): {', '.join(data.skipped[:3])}")
    print(_next_command(asked, size))


def _next_command(asked: Asked, size: Sequence[int]) -> str:
    height, width, channels = size
    if height != width:
        return "train.py takes squares: pack with --resolution for it."
    more = "" if channels == 3 else f" --channels={channels}"
    place = shlex.quote(f"--dataset=packed:{asked.out}")
    return f"python train.py {place} --resolution={width}{more}"


def _spell(asked: Asked, text: str) -> str:
    """A message of the library in the words of this command."""
    text = as_flags(asked, text).replace("--out=", "OUT=")
    return text.replace("Received: name=", "Received: SOURCE=").replace("dataset=", "SOURCE=")
