"""Folders of images."""

import os
import shutil
import tracemalloc

import numpy as np
import pytest

from tests.pictures import noise, open_folder, plain, save, save_zip
from tf_diffaug.data import load
from tf_diffaug.data.image import image_suffixes


def test_every_format_sorted_without_labels(tmp_path):
    colours = {
        "b.JPG": (200, 0, 0),
        "a.png": (0, 200, 0),
        "d.WebP": (0, 0, 200),
        "c.jpeg": (9, 9, 9),
    }
    for name, colour in colours.items():
        save(plain(colour), tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    save(plain(0), tmp_path / "__MACOSX" / "e.png")
    save(plain(0), tmp_path / ".cache" / "e.png")
    data = open_folder(tmp_path)
    assert data.images.shape == (4, 8, 8, 3)
    expected = [colours[name] for name in sorted(colours)]
    np.testing.assert_allclose(data.images[:, 4, 4], expected, atol=6)
    assert data.labels is data.class_names is data.test is None
    assert data.flip is False  # letters and glyphs mirrored are others
    assert data.skipped == ()
    assert data.passed_over == ("notes.txt",)
    assert data.name == f"folder:{tmp_path}"


def test_subfolders_are_classes_whatever_lies_below(tmp_path):
    for k, name in enumerate(["dogs/x/y/1.png", "cats/2.png", "dogs/0.png", "ants/z/3.png"]):
        save(plain((k, k, k)), tmp_path / name)
    (tmp_path / "empty").mkdir()
    data = open_folder(tmp_path)
    assert data.class_names == ("ants", "cats", "dogs")
    assert data.labels.tolist() == [0, 1, 2, 2]
    assert data.images[:, 0, 0, 0].tolist() == [3, 1, 2, 0]


def test_one_subfolder_is_no_label(tmp_path):
    save(plain(0), tmp_path / "images" / "a.png")
    assert open_folder(tmp_path).labels is None


def test_loose_images_beside_classes_train_where_labels_are_not_wanted(tmp_path):
    save(plain(0), tmp_path / "a.png")
    save(plain(0), tmp_path / "cats" / "b.png")
    for labels in (None, False):
        data = open_folder(tmp_path, labels=labels)
        assert len(data) == 2
        assert data.labels is None
    with pytest.raises(ValueError, match=r"folder itself \(1\).*subfolders \(1, 'cats' first\)"):
        open_folder(tmp_path, labels=True)


def test_labels_are_read_or_insisted_on(tmp_path):
    save(plain(0), tmp_path / "a" / "1.png")
    with pytest.raises(ValueError, match=r"No labels there.*labels=True"):
        open_folder(tmp_path, labels=True)
    save(plain(0), tmp_path / "b" / "1.png")
    assert open_folder(tmp_path, labels=True).labels.tolist() == [0, 1]
    assert open_folder(tmp_path, labels=False).labels is None


@pytest.fixture
def with_broken(tmp_path):
    save(noise(16, 16), tmp_path / "good.png")
    save(noise(16, 7), tmp_path / "tiny.png")
    whole = save(noise(64, 64), tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    whole = save(noise(64, 64), tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.webp").write_text("no image")
    (tmp_path / "empty.png").touch()
    return tmp_path


def test_unusable_files_are_named(with_broken):
    with pytest.raises(ValueError, match=r"5 of 6 files cannot be used: cut.jpg") as error:
        open_folder(with_broken)
    assert "and 2 more" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tiny_file_is_named_with_its_size(tmp_path):
    save(noise(16, 7), tmp_path / "tiny.png")
    save(noise(16, 16), tmp_path / "good.png")
    with pytest.raises(ValueError, match=r"1 of 2 .* tiny.png \(7x16 is smaller than 8\)"):
        open_folder(tmp_path)


def test_unusable_files_are_skipped_and_counted(with_broken):
    data = open_folder(with_broken, skip_broken=True)
    assert len(data) == 1
    assert data.skipped == ("cut.jpg", "cut.png", "empty.png", "text.webp", "tiny.png")


def test_labels_stay_with_their_images_when_some_are_skipped(tmp_path):
    for k, name in enumerate(["a/0.png", "b/1.png", "c/2.png"]):
        save(plain((k, k, k)), tmp_path / name)
    (tmp_path / "b" / "1.png").write_text("no image")
    data = open_folder(tmp_path, skip_broken=True)
    assert data.labels.tolist() == [0, 2]
    assert data.images[:, 0, 0, 0].tolist() == [0, 2]


def test_nothing_usable(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"1 of 1 .* a.png \(no image, or cut short\)"):
        open_folder(tmp_path, skip_broken=True)


def test_no_image_and_no_folder(tmp_path):
    with pytest.raises(ValueError, match=r"No image there, subfolders included. Received"):
        open_folder(tmp_path)
    (tmp_path / "report.pdf").touch()
    (tmp_path / "video.mpg").touch()
    with pytest.raises(ValueError, match=r"2 files of other kinds are, report.pdf first"):
        open_folder(tmp_path)
    with pytest.raises(ValueError, match="No such folder"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"folder:PATH. Received: name='folder:'"):
        load("folder:")


def test_links_in_a_circle_end(tmp_path):
    save(plain(0), tmp_path / "a" / "x.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(open_folder(tmp_path)) == 1


def test_linked_classes_are_followed(tmp_path):
    save(plain(0), tmp_path / "elsewhere" / "x.png")
    root = tmp_path / "root"
    save(plain(0), root / "a" / "y.png")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    assert open_folder(root).class_names == ("a", "b")


def test_a_plain_path_is_answered_with_its_name(tmp_path):
    for path in (tmp_path, save_zip(tmp_path / "x.zip", {"a.png": plain(0)})):
        with pytest.raises(ValueError, match=f"named folder:{path}. Received"):
            load(str(path))


def test_a_zip_is_read_as_its_folder(tmp_path):
    images = {f"{c}/{k}.png": noise(9, 9, seed=k) for k, c in enumerate("abca")}
    for name, image in images.items():
        save(image, tmp_path / "folder" / name)
    data = open_folder(tmp_path / "folder")
    packed = save_zip(tmp_path / "images.zip", images)
    below = save_zip(tmp_path / "below.zip", {f"top/{n}": image for n, image in images.items()})
    for path in (packed, below, shutil.copytree(tmp_path / "folder", tmp_path / "moved")):
        other = open_folder(path)
        np.testing.assert_array_equal(other.images, data.images)
        assert other.class_names == ("a", "b", "c")
        # What a run resumes by: neither the name nor the place enters.
        assert other.fingerprint == data.fingerprint


def test_splits_are_held_out(tmp_path):
    for k, name in enumerate(["train/a/1", "train/b/2", "test/a/3", "test/b/4", "val/a/5"]):
        save(plain((k, k, k)), tmp_path / f"{name}.png")
    data = open_folder(tmp_path)
    assert data.images[:, 0, 0, 0].tolist() == [0, 1]
    assert data.test[:, 0, 0, 0].tolist() == [2, 3]
    assert data.class_names == ("a", "b")
    assert data.labels.tolist() == data.test_labels.tolist() == [0, 1]
    assert data.passed_over == ("val/a/5.png",)


def test_held_out_labels_stay_with_their_images_when_some_are_skipped(tmp_path):
    for k, name in enumerate(["train/a/0", "train/b/1", "train/b/2", "test/a/3", "test/b/4"]):
        save(plain((k, k, k)), tmp_path / f"{name}.png")
    for name in ("train/b/1", "test/a/3"):
        (tmp_path / f"{name}.png").write_text("no image")
    data = open_folder(tmp_path, skip_broken=True)
    assert data.images[:, 0, 0, 0].tolist() == [0, 2]
    assert data.labels.tolist() == [0, 1]
    assert data.test[:, 0, 0, 0].tolist() == [4]
    assert data.test_labels.tolist() == [1]


def test_all_too_small_says_what_fits(tmp_path):
    save(noise(28, 28), tmp_path / "a.png")
    save(noise(30, 29), tmp_path / "b.png")
    with pytest.raises(
        ValueError, match="`resolution=28` is the largest that all allow; `fit=pad`"
    ):
        open_folder(tmp_path, resolution=32)
    for fit in ("pad", "enlarge"):
        assert open_folder(tmp_path, resolution=32, fit=fit).images.shape == (2, 32, 32, 3)
    with pytest.raises(ValueError, match="Did you mean 'pad'"):
        open_folder(tmp_path, fit="pads")
    with pytest.raises(ValueError, match="Received: fit='pad'"):
        open_folder(tmp_path, resolution=None, fit="pad")
    with pytest.raises(ValueError, match="resized, not fitted"):
        load("emoji_faces", fit="pad")


def test_a_name_that_is_no_utf8_is_printable(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    save(plain(0), folder / os.fsdecode(b"a\xe9") / "a.png")
    save(plain(0), folder / "b" / "a.png")
    (folder / "b" / os.fsdecode(b"\xff\n.png")).touch()
    with pytest.raises(ValueError, match=r"b/\\xff\\n.png \(no image") as error:
        open_folder(folder)
    data = open_folder(folder, skip_broken=True)
    assert data.class_names == ("a\\xe9", "b")
    for text in (str(error.value), data.name, *data.skipped):
        text.encode("utf-8")
        assert "\n" not in text


def test_images_are_held_once(tmp_path):
    for k in range(16):
        save(noise(128, 128, seed=k), tmp_path / f"{k}.png")
    image_suffixes()  # Pillow's formats are imported once
    tracemalloc.start()
    data = open_folder(tmp_path, resolution=128)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A list and its stack would be twice the images.
    assert most < 1.7 * data.images.nbytes
