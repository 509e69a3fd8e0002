"""Images as PNG files read back as they were made."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.runs import save_run
from tf_diffaug import data
from tf_diffaug.runs import load_run
from tf_diffaug.runs.generate import ImageSource, save_images

CONDITIONAL = {
    "model": "stylegan2(mapping_layers=2, w_dim=16)",
    "conditional": True,
    "resolution": 16,
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["images", "images.zip"])
def test_files_read_back_with_the_same_pixels(tmp_path, channels, name):
    run = load_run(save_run(tmp_path, channels=channels))
    source = ImageSource(run, seed=7)
    save_images(source, tmp_path / name, 5)
    read = data.load(f"folder:{tmp_path / name}", channels=channels)
    np.testing.assert_array_equal(read.images, source.images(5))
    assert read.labels is None
    if name == "images":
        paths = sorted((tmp_path / name).iterdir())
        assert [path.name for path in paths] == [f"seed7_{i:06d}.png" for i in range(5)]
        with Image.open(paths[0]) as image:
            assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]


def test_labels_read_back_and_stand_in_the_names(tmp_path):
    source = ImageSource(load_run(save_run(tmp_path, **CONDITIONAL)), classes=["dog", "cat"])
    save_images(source, tmp_path / "x.zip", 3, start=2)
    read = data.load(f"folder:{tmp_path}/x.zip")
    np.testing.assert_array_equal(read.labels, [1, 0, 1])
    np.testing.assert_array_equal(read.images, source.images(3, start=2))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert Image.open(io.BytesIO(archive.read(names[0]))).size == (16, 16)
    assert names[:3] == [f"seed0_00000{i}_class0{c}.png" for i, c in ((2, 1), (3, 0), (4, 1))]


def test_the_same_images_are_the_same_bytes_and_nothing_is_overwritten(tmp_path):
    source = ImageSource(load_run(save_run(tmp_path)))
    for name in ("a.zip", "b.zip"):
        save_images(source, tmp_path / name, 3)
    before = (tmp_path / "a.zip").read_bytes()
    assert (tmp_path / "b.zip").read_bytes() == before
    with pytest.raises(FileExistsError):
        save_images(source, tmp_path / "a.zip", 2)
    assert (tmp_path / "a.zip").read_bytes() == before
    save_images(source, tmp_path / "a.zip", 2, overwrite=True)
    assert (tmp_path / "a.zip").read_bytes() != before
