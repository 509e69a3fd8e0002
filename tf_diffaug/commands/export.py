"""`export`: the generator of a finished run as files that others load, with a model card."""

from __future__ import annotations

import dataclasses
import functools
import pathlib

from tf_diffaug.commands import saved_run
from tf_diffaug.commands.flags import Flag, listed

SUMMARY = "write a run's generator as a folder that others can load, with a model card"
FORMATS = ("keras", "saved_model", "tflite", "onnx")
_DEFAULT = ("keras", "saved_model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(saved_run.Asked):
    """What the user asked for; None is the run's own."""

    formats: tuple[str, ...] = _DEFAULT
    discriminator: bool = False
    truncation: float | None = None
    license: str | None = None
    data_license: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_names("formats", "format", (*FORMATS, "all"))


FLAGS = saved_run.flags(
    Flag(
        "formats",
        listed,
        f"of {', '.join(FORMATS)}, several with commas between, or all",
        ",".join(_DEFAULT),
    ),
    Flag("discriminator", bool, "write the discriminator too, to train on"),
    Flag("license", str, "of the model, as Hugging Face names it, such as mit", "none", ("none",)),
    Flag("data_license", str, "of the images that it was trained on", "none", ("none",)),
    Flag("truncation", float, "bound of z, or psi (stylegan2); by default as in the run", "auto"),
    out="the folder; by default RUN_DIR/export/STEP",
    without=("num_fakes", "fid_features"),
)


HELP = """Writes the averaged generator of a run, a sheet of its images and a model card; each \
file is read back and compared with the run's own images. \
Try: {0} runs/NAME --formats=all --license=mit
{flags}"""
read = functools.partial(saved_run.read, Asked, FLAGS, command="export")


def run(asked: Asked) -> None:
    """Restores the run, writes the folder, and says how to share it.

    Raises:
        UserError: for a mistake in what was asked, before anything is written.
        Failure: if the checkpoint cannot be restored, or a file makes other images.
    """
    from tf_diffaug.runs.export import check_export, export_folder, export_run

    with saved_run.mistakes(asked):
        formats = FORMATS if "all" in asked.formats else tuple(dict.fromkeys(asked.formats))
        check_export(formats)
        if asked.out is not None:
            saved_run.refuse_outputs(asked, asked.out)
        loaded = saved_run.load(asked)
        out = export_folder(loaded) if asked.out is None else asked.out
        saved_run.refuse_outputs(asked, out)
        exported = export_run(
            loaded,
            out,
            formats=formats,
            discriminator=asked.discriminator,
            truncation=asked.truncation,
            license=asked.license,
            data_license=asked.data_license,
            overwrite=asked.overwrite,
            note=lambda text: print(f"Writing {text} ..."),
        )
    print(_summary(exported.folder, exported.differences))


def _summary(folder: pathlib.Path, differences: dict[str, int]) -> str:
    same = [name for name, difference in differences.items() if not difference]
    near = [f"{name} (by {value} of 255)" for name, value in differences.items() if value]
    lines = []
    if same:
        lines.append(f"Read back, {' and '.join(same)} made the run's own pixels.")
    if near:
        lines.append(f"Nearly so: {', '.join(near)}.")
    names = sorted(path.name for path in folder.iterdir())
    lines.append(f"In {folder}: {', '.join(names)}")
    lines.append(f"Read README.md, then share it: hf upload USER/NAME {folder}")
    return "\n".join(lines)
