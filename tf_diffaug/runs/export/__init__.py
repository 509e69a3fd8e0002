"""A finished run as a folder that others can load: the generator in several formats, and a card."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tf_diffaug.errors import Failure
from tf_diffaug.files import made_atomically, write_atomically
from tf_diffaug.optional import need_packages
from tf_diffaug.runs.export.card import CARD_PACKAGES, make_card
from tf_diffaug.runs.export.formats import (
    DEFAULT_FORMATS,
    FORMATS,
    check_formats,
)
from tf_diffaug.runs.generate import ImageSource, Sheet, classes, grid
from tf_diffaug.runs.run import Run

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "Exported",
    "check_export",
    "export_folder",
    "export_run",
]

_DISCRIMINATOR = "discriminator.keras"
_PICTURE = "samples.png"
_CARD = "README.md"


class Exported(NamedTuple):
    """What `export_run` wrote.

    Args:
        folder: where it is.
        differences: by format how far the largest difference of a pixel, read back, is from the
            run's own images, of 255.
    """

    folder: pathlib.Path
    differences: dict[str, int]


def export_folder(run: Run) -> pathlib.Path:
    """Where an export lies by default: `export/STEP` in the run's folder."""
    return run.directory.path / "export" / str(int(run.gan.step.numpy()))


def check_export(formats: Sequence[str] = DEFAULT_FORMATS) -> None:
    """Checks what can be checked before a run is loaded.

    Raises:
        ValueError: for a format that is not known.
        UserError: if an optional package is missing.
    """
    check_formats(formats)
    need_packages("The model card", CARD_PACKAGES, extra="share")


def export_run(
    run: Run,
    out: str | os.PathLike | None = None,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    discriminator: bool = False,
    seed: int | None = None,
    truncation: float | None = None,
    license: str | None = None,
    data_license: str | None = None,
    overwrite: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Writes the generator that a run samples by, a sheet of its images, and a model card.

    Each file is read back, and its images compared with those that `generate` makes. The folder
    appears when all of it is there.

    >>> run = load_run("runs/NAME")  # doctest: +SKIP
    >>> export_run(run, "face-gan", license="mit").folder  # doctest: +SKIP

    Args:
        run: the run, see `load_run`.
        out: the folder; by default `export/STEP` in the run's.
        formats: of `FORMATS`.
        discriminator: whether the discriminator is written too, for training on.
        seed: of the images on the sheet; by default the run's.
        truncation: in place of the run's own, see `Sampler`.
        license: of the model, as Hugging Face names it, such as `mit`.
        data_license: of the images that it was trained on.
        overwrite: whether a folder that is there, with an export alone in it, may be replaced.
        note: told what is being done.

    Raises:
        ValueError: for a format that is not known, or images that are not finite.
        UserError: if an optional package is missing, or a format has no op for this generator.
        Failure: if a file, read back, makes other images.
        FileExistsError: if the folder is there and not to be replaced.
    """
    check_export(formats)
    source = ImageSource(run, seed=seed, truncation=truncation)
    folder = export_folder(run) if out is None else pathlib.Path(out)
    files = (kind.file for kind in FORMATS.values())
    parts = (_CARD, _PICTURE, _DISCRIMINATOR, *files)
    with made_atomically(folder, overwrite=overwrite, parts=parts) as making:
        making.mkdir()
        note("samples")
        _draw_sheet(source).save(making / _PICTURE)
        differences = {}
        for name in dict.fromkeys(formats):
            note(name)
            differences[name] = _write_and_compare(source, name, making)
        if discriminator:
            note("discriminator")
            run.gan.discriminator.save(making / _DISCRIMINATOR)
        card = make_card(
            source,
            differences,
            picture=_PICTURE,
            discriminator=_DISCRIMINATOR if discriminator else None,
            license=license,
            data_license=data_license,
        )
        write_atomically(making / _CARD, card)
    return Exported(folder, differences)


def _draw_sheet(source: ImageSource) -> Sheet:
    if source.num_classes is not None:
        return classes(source)
    return grid(source, 64 if source.run.config.resolution <= 64 else 16)


def _write_and_compare(source: ImageSource, name: str, folder: pathlib.Path) -> int:
    """Writes one format, reads it back, and returns the largest difference of a pixel."""
    kind = FORMATS[name]
    path = folder / kind.file
    kind.write(source, path)
    numbers = range(source.chunk)
    read = kind.read(source, path)
    images = read(source.latents(numbers), source.labels(numbers))
    expected = source.images(len(numbers))
    difference = int(np.abs(images.astype(int) - expected.astype(int)).max())
    if difference > kind.tolerance:
        raise Failure(
            f"{kind.file}, read back, makes other images than the run: a pixel differs by "
            f"{difference} of 255. Nothing was kept; leave {name} out of --formats."
        )
    return difference
