"""Sheets, animations, and what stands where in the pictures of a run."""

import itertools

import numpy as np
import pytest
from PIL import Image

from tests.runs import CLASSES, save_run
from tf_diffaug.runs import generate, load_run
from tf_diffaug.runs.generate import Animation, ImageSource, Panel, Sheet
from tf_diffaug.runs.generate.animations import spherical

STYLEGAN2 = {"model": "stylegan2(mapping_layers=2, w_dim=16)", "conditional": True}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return ImageSource(load_run(save_run(tmp_path_factory.mktemp("plain"))))


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    return ImageSource(load_run(save_run(tmp_path_factory.mktemp("styled"), **STYLEGAN2)))


def cells(rows, columns, channels=3, side=32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 200, (rows, columns, side, side, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_sheet_shows_every_image_and_its_captions_on_white(channels):
    images = cells(2, 3, channels)
    bare = Sheet([Panel(images)]).draw()
    assert bare.mode == "RGB"
    assert bare.size == (4 + 3 * 100, 4 + 2 * 100)
    shown = np.asarray(bare)[4 + 100 : 4 + 196 : 3, 4 + 200 : 4 + 296 : 3].astype(int)
    expected = images[1, 2, ..., :3].astype(int)
    if channels == 4:
        alpha = images[1, 2, ..., 3:].astype(int)
        expected = (expected * alpha + 255 * (255 - alpha)) / 255
    assert np.abs(shown - expected).max() <= 1
    captioned = Sheet([Panel(images, "a title", ["x", "y", "z"])] * 2, ["one\nline", "two"]).draw()
    assert captioned.width > 2 * bare.width
    left = np.asarray(captioned)[:, : captioned.width - 2 * bare.width - 16]
    assert left.min() < 100  # ink
    assert np.asarray(captioned)[:10].min() < 100
    assert (np.asarray(captioned)[:, [0, -1]] == 255).all()  # nothing is cut off


def test_small_images_are_enlarged_and_large_ones_are_not():
    assert Sheet([Panel(cells(1, 1, side=8))]).draw().width == 8 + 96
    assert Sheet([Panel(cells(1, 1, side=128))]).draw().width == 8 + 128


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_is_read_back_frame_by_frame(tmp_path, suffix):
    images = np.zeros([3, 5, 32, 32, 1], np.uint8) + np.array([0, 120, 240], np.uint8).reshape(
        3, 1, 1, 1, 1
    )
    path = tmp_path / f"x.{suffix}"
    Animation(images, ["a", "b", "c"], frames_per_second=10).save(path)
    with Image.open(path) as found:
        assert (found.n_frames, found.info["loop"]) == (3, 0)
        for index in range(3):
            found.seek(index)
            found.load()
            assert found.info["duration"] == 100
            frame = np.asarray(found.convert("RGB")).astype(int)
            assert np.abs(frame[50, 50] - 120 * index).max() <= 3
            assert frame[250, 150].min() > 250  # five of six places are taken
    with pytest.raises(FileExistsError):
        Animation(images).save(path)


def test_an_arc_keeps_the_length_and_a_line_is_where_there_is_none(rng):
    ends = rng.normal(size=(2, 4, 100))
    ends /= np.linalg.norm(ends, axis=-1, keepdims=True)
    for share in (0.0, 0.3, 0.5, 1.0):
        points = spherical(ends[0], ends[1], np.full([1, 1], share))
        np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1)
        whole, part = ((a * b).sum(-1) for a, b in ((ends[0], ends[1]), (ends[0], points)))
        np.testing.assert_allclose(np.arccos(part.clip(-1, 1)), share * np.arccos(whole), atol=1e-6)
    np.testing.assert_allclose(spherical(ends[0], ends[0], 0.3), ends[0])
    np.testing.assert_allclose(spherical(ends[0], -ends[0], 0.5), 0, atol=1e-12)


def test_a_grid_holds_the_first_images(plain):
    (panel,) = generate.grid(plain, 7).panels
    assert panel.images.shape[:2] == (3, 3)
    flat = panel.images.reshape(9, *panel.images.shape[2:])
    np.testing.assert_array_equal(flat[:7], plain.images(7))
    assert (flat[7:] == 255).all()


def test_classes_stand_in_rows_of_the_same_latents(styled):
    sheet = generate.classes(styled, columns=3)
    assert list(sheet.captions) == list(CLASSES)
    latents = styled.latents(range(3))
    for label, row in enumerate(sheet.panels[0].images):
        expected = styled.render(latents, np.full([3], label, np.int32))
        assert np.abs(row.astype(int) - expected).max() <= 1
    some = ImageSource(styled.run, classes=["emu", "cat"])
    assert generate.classes(some, columns=1).captions == ["emu", "cat"]


def test_truncation_is_swept_over_the_same_seeds(plain, styled):
    told = []
    source = plain.replaced(progress=lambda *counts: told.append(counts))
    sheet = generate.truncation(source, values=[0.5, 2], columns=3)
    assert list(sheet.captions) == ["bound 0.5", "bound 2"]
    assert told == [(3, 6), (6, 6)]
    low = ImageSource(plain.run, truncation=0.5).images(3)
    np.testing.assert_array_equal(sheet.panels[0].images[0], low)
    sheet = generate.truncation(styled, columns=2)
    assert sheet.captions[0] == "psi 0"
    np.testing.assert_array_equal(sheet.panels[0].images[-1], styled.images(2))


def test_mixing_takes_coarse_styles_of_rows_and_fine_ones_of_columns(styled):
    sheet = generate.mixing(styled, rows=2, columns=3)
    rows, table = (panel.images for panel in sheet.panels)
    images = styled.images(5)
    sources = np.concatenate([rows[1:, 0], table[0]]).astype(int)
    assert np.abs(sources - images).max() <= 1
    network = styled.sampler.network()
    styles = network.styles((styled.latents(range(5)), styled.labels(range(5)))).numpy()
    mixed = np.concatenate([styles[1, :4], styles[4, 4:]])[None]
    expected = generate.source.finite_uint8(network.synthesis(mixed))[0]
    assert np.abs(table[2, 2].astype(int) - expected).max() <= 1
    assert np.abs(table[2, 2].astype(int) - images[1]).max() > 1


def test_interpolation_passes_images_of_the_source_and_comes_back(plain, styled):
    for source in (plain, styled):
        frames = generate.interpolation(source, count=4, stops=2, frames=3).frames
        assert frames.shape == (6, 4, 32, 32, 3)
        assert np.abs(frames[0].astype(int) - source.images(4)).max() <= 1
        steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(frames)]
        jump = np.abs(frames[-1].astype(int) - frames[0]).mean()
        assert jump < 2 * max(steps)
    np.testing.assert_allclose(
        frames[3].astype(int)[:1],
        styled.render(styled.latents([4]), styled.labels([0])),
        atol=1,
    )


def test_class_interpolation_passes_the_classes(styled):
    moving = generate.class_interpolation(styled, count=2, frames=4)
    assert moving.frames.shape[:2] == (12, 2)
    assert moving.captions[0] == moving.captions[3] == "cat > dog"
    assert moving.captions[-1] == "emu > cat"
    latents = styled.latents(range(2))
    for label in range(3):
        whole = styled.render(latents, np.full([2], label, np.int32)).astype(int)
        assert np.abs(moving.frames[4 * label] - whole).max() <= 1
        assert np.abs(moving.frames[4 * label + 2] - whole).max() > 1


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("classes", "unconditional"),
        ("class_interpolation", "unconditional"),
        ("mixing", "no styles to mix"),
    ],
)
def test_what_a_run_has_not_is_said(plain, what, reason):
    assert reason in generate.inability(plain, what)
    with pytest.raises(ValueError, match=reason):
        getattr(generate, what)(plain)
    assert generate.inability(plain, "truncation") is None


def test_other_networks_are_said_to_lack_what_they_lack(styled, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"fewer than two classes. Received: \[1\]"):
        generate.class_interpolation(ImageSource(styled.run, classes=[1]))
    monkeypatch.setattr(type(styled.run.gan.generator), "takes_class_weights", False)
    assert "takes whole labels" in generate.inability(styled, "class_interpolation")
    run = load_run(save_run(tmp_path, model="sndcgan(latents=uniform)"))
    with pytest.raises(ValueError, match="generator's are uniform"):
        generate.truncation(ImageSource(run))


@pytest.mark.parametrize("count", ["count", "stops", "frames"])
def test_counts_of_nothing_are_refused(plain, count):
    with pytest.raises(ValueError, match=f"{count}=0"):
        generate.interpolation(plain, **{count: 0})
