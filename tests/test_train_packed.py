"""The recipe for ImageNet at 128 px, from images of its shape to a checkpoint, packed on disk."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from tf_diffaug.commands import main
from tf_diffaug.data import PackedImages
from tf_diffaug.runs import load_run

CLASSES, EACH = 1000, 2


@pytest.mark.slow
@pytest.mark.one_stack
def test_the_recipe_of_imagenet_on_a_thousand_classes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for k in range(CLASSES):
        folder = pathlib.Path("images", "train", f"n{k:08}")
        folder.mkdir(parents=True)
        for index in range(EACH):
            # Oblong and larger than 128, as ImageNet's are; few details, so that JPEG is fast.
            pixels = rng.integers(0, 256, (5, 7, 3), np.uint8)
            image = Image.fromarray(pixels).resize((170, 140), Image.Resampling.BILINEAR)
            image.save(folder / f"{index}.jpg")
    assert main(["pack", "images", "packed", "--resolution=128"]) == 0
    slim = ["--width=2", "--batch_size=8", "--strategy=one_device", "--fid_features=none"]
    short = ["--steps=2", "--log_every=1", "--run_dir=run", "--nodeterministic", "--noreport"]
    preset = ["--preset=biggan-imagenet128-25", "--dataset=packed:packed"]
    assert main(["train", *preset, *slim, *short]) == 0
    run = load_run("run")
    assert isinstance(run.data.images, PackedImages)
    assert run.data.images.shape == (CLASSES * EACH // 4, 128, 128, 3)
    assert (run.gan.num_classes, int(run.gan.step)) == (CLASSES, 2)
    assert run.data.fingerprint == run.facts["fingerprint"]
