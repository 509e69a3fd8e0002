"""Folders of pictures, and packed data sets of them."""

import contextlib
import hashlib
import io
import json
import pathlib
import zipfile

import numpy as np
import pytest
from PIL import Image

from tf_diffaug.data import pack


def picture(seed, side=12):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 2, 3), np.uint8)
    return Image.fromarray(pixels)


def write_pictures(folder, *, count=10, classes=("cat", "dog"), test=0, broken=()):
    """Pictures of noise, every other one of the second class; some files are no images."""
    for k in range(count + test):
        split = "" if not test else ("train" if k < count else "test")
        path = folder / split / classes[k % len(classes)] / f"{k:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if k in broken:
            path.write_bytes(b"no image")
        else:
            picture(k).save(path)
    return folder


def write_nvidia_zip(path, count=6):
    """What StyleGAN's `dataset_tool` writes."""
    labels = []
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(count):
            name, file = f"00000/img{k:08}.png", io.BytesIO()
            picture(k, side=8).crop((0, 0, 8, 8)).save(file, "png")
            archive.writestr(name, file.getvalue())
            labels.append([name, k % 3])
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return path


def packed(folder, **options):
    """A packed data set, of pictures unless a dataset is named."""
    options = {"resolution": 8, **options}
    name = options.pop("name", None) or f"folder:{write_pictures(folder / 'pictures')}"
    return pack(name, pathlib.Path(folder) / "packed", **options)


def rewrite(folder, content):
    """Gives a packed data set another index, with the checksum that is right of it."""
    if isinstance(content, dict):
        content = {name: value for name, value in content.items() if name != "checksum"}
        known = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        content["checksum"] = known
    (folder / "index.json").write_text(json.dumps(content))


@contextlib.contextmanager
def ended_at(what, when):
    """Within it, a function's so manieth call is as if the user pressed Ctrl+C; it comes to that.

    Args:
        what: the path of the function.
        when: which call, from 1; those before it do nothing.
    """
    calls = []

    def call(*arguments):
        calls.append(arguments)
        if len(calls) == when:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as context:
        context.setattr(what, call)
        with pytest.raises(KeyboardInterrupt):
            yield


def flip_bit(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}
