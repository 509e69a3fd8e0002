"""The index of a packed data set: what is wrong with it is said in one line."""

import json
import re
import shutil

import hypothesis
import hypothesis.strategies as st
import pytest

from tests.packs import flip_bit, packed, rewrite
from tf_diffaug.data import load


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "packed")


def refused(folder, words, **options):
    with pytest.raises(ValueError, match=words) as error:
        load(f"packed:{folder}", **options)
    assert "\n" not in str(error.value)
    assert re.search(r"Received: \w+=", str(error.value))
    return str(error.value)


def change(folder, **changes):
    """Changes values of the index as one would who knows its checksum."""
    rewrite(folder, {**json.loads((folder / "index.json").read_text()), **changes})


def test_rewriting_without_a_change_is_fine(folder):
    change(folder)
    assert len(load(f"packed:{folder}")) == 10


def test_where_there_is_none(tmp_path):
    refused(tmp_path / "nowhere", r"^No packed data set there\. Received: name='packed:.*nowhere'")
    refused(tmp_path, "Images of other kinds are packed by: pack .* OUT")
    refused("", r"A folder has a path: packed:PATH")


@pytest.mark.parametrize("name", ["images.bin", "records.bin", "index.json"])
@pytest.mark.parametrize("part", [0, 0.5])
def test_a_file_that_is_cut_short(folder, name, part):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * part)])
    refused(folder, f"{name}.*pack it anew|{name} (cannot be read|has|is another).*")


@pytest.mark.parametrize("name", ["images.bin", "records.bin", "index.json"])
def test_a_file_that_is_gone(folder, name):
    (folder / name).unlink()
    refused(folder, "No packed data set there|damaged")


@pytest.mark.parametrize("name", ["images.bin", "records.bin"])
def test_a_file_that_is_longer(folder, name):
    with (folder / name).open("ab") as file:
        file.write(b"more")
    refused(folder, f"{name} has .* bytes, not .*: pack it anew")


def test_records_that_were_altered(folder):
    flip_bit(folder / "records.bin", 8)
    refused(folder, "records.bin is another")


def test_an_index_that_was_altered(folder):
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace('"train": 10', '"train": 11'))
    refused(folder, r"It is damaged \(index.json was altered\): pack it anew")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version(folder, version):
    change(folder, version=version)
    refused(folder, f"It is packed in format {version}, and this version reads 1: pack it anew")


def test_an_index_of_something_else(folder):
    for text in ("[]", "{}", "nonsense", "[" * 100_000, '{"format": "other"}'):
        (folder / "index.json").write_text(text)
        refused(folder, "index.json cannot be read")


NAMES = ["shape", "train", "test", "digests", "skipped", "class_names", "flip", "fit"]
VALUES = [None, -1, 0, 1.5, True, "x", [], [1], [8, 8], [8, 8, 0], [8, 8, "3"], {"a": 1}, 10**30]

FINE = [("test", 0), ("skipped", []), ("class_names", None), ("flip", True), ("fit", "x")]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_values_that_are_none(folder, name, value):
    if (name, value) in FINE:
        pytest.skip("that is one")
    change(folder, **{name: value})
    refused(folder, "damaged|Labels|label")


@hypothesis.given(st.data())
def test_any_byte_of_the_index_may_be_another(whole, data):
    path = whole / "index.json"
    before = path.read_bytes()
    position = data.draw(st.integers(0, len(before) - 1))
    byte = data.draw(st.integers(0, 255))
    try:
        path.write_bytes(before[:position] + bytes([byte]) + before[position + 1 :])
        if json.loads(before) == _content(path):  # white space, or the byte that was there
            assert len(load(f"packed:{whole}")) == 10
        else:
            refused(whole, "index.json|packed in format")
    finally:
        path.write_bytes(before)


def _content(path):
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def test_what_differs_from_the_packed_images_is_refused(folder):
    refused(
        folder,
        r"was packed at 8x8; give `resolution=8`, or pack it anew\. .*resolution=32",
        resolution=32,
    )
    refused(folder, r"packed with `channels=3`.*Received: channels=1", channels=1)
    refused(folder, r"packed with `fit=crop`.*Received: fit='pad'", fit="pad")
    refused(folder, r"Received: data_dir='x'", data_dir="x")
    assert len(load(f"packed:{folder}", resolution=8, channels=3)) == 10


def test_labels_as_asked(folder, tmp_path):
    assert load(f"packed:{folder}", labels=True).num_classes == 2
    without = load(f"packed:{folder}", labels=False)
    assert without.labels is None
    assert without.fingerprint != load(f"packed:{folder}").fingerprint
    faces = packed(tmp_path / "faces", name="emoji_faces", resolution=None)
    refused(faces, "It was packed without labels", labels=True)


def test_a_path_of_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load("packed:~/packed").fingerprint == load(f"packed:{folder}").fingerprint


def test_a_packed_folder_without_its_prefix_is_told_of(folder):
    with pytest.raises(ValueError, match="Images of your own are named packed:"):
        load(str(folder))
