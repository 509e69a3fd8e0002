"""The embedded images."""

import importlib.util
import pathlib

import numpy as np
import pytest

from tf_diffaug.data import load

ROOT = pathlib.Path(__file__).resolve().parents[1]
ASSETS = ROOT / "tf_diffaug" / "data" / "assets"


def test_emoji_faces():
    data = load("emoji_faces")
    assert data.images.shape == (130, 64, 64, 3)
    assert data.images.dtype == np.uint8
    assert data.labels is None
    assert data.flip is False
    assert data.test is None
    # Faces are round: white corners, a filled middle.
    assert (data.images[:, 0, 0] == 255).all(axis=-1).mean() > 0.95
    assert (data.images[:, 32, 32] == 255).all(axis=-1).mean() < 0.1


def test_emoji_have_their_categories():
    data = load("emoji")
    assert data.images.shape == (1911, 32, 32, 3)
    assert data.labels.dtype == np.int32
    assert data.class_names[0] == "Smileys & Emotion"
    assert len(data.class_names) == data.num_classes == 10
    assert np.bincount(data.labels).tolist() == [169, 386, 5, 159, 131, 218, 85, 264, 224, 270]


def test_no_cell_is_blank_or_twice_there():
    for name in ("emoji_faces", "emoji"):
        images = load(name).images
        assert (images.reshape(len(images), -1).min(axis=1) < 255).all()
        assert len(np.unique(images[:130].reshape(130, -1), axis=0)) == 130


def test_small_emoji_hold_the_faces_reduced():
    faces = load("emoji_faces", resolution=32).images.astype(int)
    smileys = load("emoji").images[:169].astype(int)
    nearest = [np.abs(smileys - face).mean(axis=(1, 2, 3)).min() for face in faces]
    assert max(nearest) < 0.5


def test_stored_in_few_bytes():
    sizes = [path.stat().st_size for path in ASSETS.iterdir()]
    assert max(sizes) < 2 * 1024**2
    assert sum(sizes) < 4 * 1024**2


def test_grey():
    grey = load("emoji_faces", channels=1).images
    rgb = load("emoji_faces").images
    assert grey.shape == (130, 64, 64, 1)
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], luma, atol=1)


@pytest.mark.parametrize("resolution", [16, 32, 48, 96])
def test_resolution(resolution):
    images = load("emoji_faces", resolution=resolution).images
    assert images.shape == (130, resolution, resolution, 3)
    native = load("emoji_faces").images
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), native.mean(axis=(1, 2, 3)), atol=2)


def test_the_tool_lays_out_what_the_loader_reads(tmp_path):
    spec = importlib.util.spec_from_file_location("make_emoji", ROOT / "tools" / "make_emoji.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    from tf_diffaug.data import emoji

    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), np.uint8)
    tool.contact_sheet(images, 3).save(tmp_path / "sheet.png")
    emoji_assets, emoji._ASSETS = emoji._ASSETS, tmp_path
    try:
        cells = emoji._read_sheet("sheet.png", 8)
    finally:
        emoji._ASSETS = emoji_assets
    np.testing.assert_array_equal(cells[:7], images)
    assert (cells[7:] == 255).all()
