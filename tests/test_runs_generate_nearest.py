"""The nearest training images: copies are found, mirrored ones too."""

import numpy as np
import pytest

from tests.runs import save_run
from tf_diffaug.runs import generate, load_run
from tf_diffaug.runs.generate import ImageSource, nearest_by_pixels


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_copy_is_found_and_its_mirror_image_if_asked(rng, mirrored):
    reals = rng.integers(0, 256, (40, 8, 8, 3), np.uint8)
    found = nearest_by_pixels(reals[[7, 30]][:, :, ::-1], reals, 2, mirrored=mirrored)
    if mirrored:
        np.testing.assert_array_equal(found.indices[:, 0], [7, 30])
        np.testing.assert_array_equal(found.variants[:, 0], 1)
    np.testing.assert_array_equal(found.distances[:, 0] == 0, mirrored)


def test_what_is_transparent_counts_for_nothing(rng):
    reals = rng.integers(0, 256, (5, 8, 8, 4), np.uint8)
    reals[..., 3] = np.where(np.arange(8) < 4, 0, 255)
    image = reals[[3]].copy()
    image[:, :, :4, :3] = 17
    found = nearest_by_pixels(image, reals, 1)
    assert (found.indices[0, 0], found.distances[0, 0]) == (3, 0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_sheet_has_samples_and_what_lies_nearest(tmp_path, channels):
    run = load_run(save_run(tmp_path, channels=channels, flip=True))
    told = []
    source = ImageSource(run, progress=lambda *counts: told.append(counts))
    sheet = generate.nearest(source, count=3, neighbors=2)
    samples, pixels = (panel.images for panel in sheet.panels)
    np.testing.assert_array_equal(samples[:, 0], source.images(3))
    if channels == 3:
        every = np.concatenate([run.data.images, run.data.images[:, :, ::-1]]).astype(np.int64)
        for row in range(3):
            distances = ((every - samples[row, 0]) ** 2).sum((1, 2, 3))
            np.testing.assert_array_equal(pixels[row, 0], every[distances.argmin()])
            mean = np.sqrt(distances.min() / every[0].size)
            assert sheet.captions[row] == f"pixels {mean:.1f}"
    assert told[-4:][-1] == (3, 3)  # of `source.images` above
    assert told[-2] == (15, 15)
    sheet.draw()


def test_features_are_those_of_the_run(tmp_path):
    run = load_run(save_run(tmp_path), fid_features="emoji-cnn")
    sheet = generate.nearest(ImageSource(run), count=2, neighbors=20)
    assert sheet.panels[2].title == "nearest by emoji-cnn"
    assert sheet.panels[2].images.shape[:2] == (2, 12)  # all that there are
    assert "features" in sheet.captions[0]
