"""Packed data sets and unfinished packs that a stranger made, or a disk damaged."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.fuzz.hostile import LEAVES, changed, command, damaged, examples, snapshot, watched
from tests.packs import packed, rewrite, write_pictures
from tf_diffaug.data import load
from tf_diffaug.data import packing as packing_module
from tf_diffaug.data.packed import DamagedRecordError
from tf_diffaug.errors import raised_here

FILES = ("images.bin", "index.json", "records.bin")
HUGE = 1 << 24  # bytes, of a data set that has 3,000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Twelve images of 8 pixels, two of them held out."""
    home = tmp_path_factory.mktemp("whole")
    write_pictures(home / "pictures", count=10, test=2, broken=(4,))
    return packed(home, name=f"folder:{home / 'pictures'}", skip_broken=True)


@pytest.fixture
def copy_of(tmp_path):
    """Makes a folder of its own with a copy of another in it, for each example."""

    def copy(folder, name="packed"):
        home = pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
        return pathlib.Path(shutil.copytree(folder, home / name))

    return copy


def look_at(folder):
    """Reads all there is, or gets the one error; in little memory, and writing nothing."""
    before = snapshot(folder.parent)
    tracemalloc.start()
    try:
        with watched(folder), one_error():
            data = load(f"packed:{folder}", channels=3)
            texts = (data.name, *(data.class_names or ()), *data.skipped, *data.passed_over)
            assert all(text.isprintable() for text in texts)
            assert len(data.fingerprint) == 64
            assert data.labels is None or data.label_counts().sum() <= len(data)
            for images in (data.images, data.test):
                assert images is None or np.asarray(images).shape == images.shape
        assert tracemalloc.get_traced_memory()[1] < HUGE
    finally:
        tracemalloc.stop()
    assert snapshot(folder.parent) == before


@contextlib.contextmanager
def one_error():
    """Lets the errors pass that a user sees as one line."""
    said = None
    try:
        yield
    except (ValueError, DamagedRecordError) as error:
        said = error
    assert said is None or (raised_here(said) and str(said).isprintable()), said


@examples(120)
@hypothesis.given(draws=st.data())
def test_an_index_of_other_values(whole, copy_of, draws):
    folder = copy_of(whole)
    content = json.loads((folder / "index.json").read_text())
    rewrite(folder, draws.draw(changed(content)))
    look_at(folder)


@examples(60)
@hypothesis.given(draws=st.data())
def test_each_fact_of_another_kind(whole, copy_of, draws):
    folder = copy_of(whole)
    content = json.loads((folder / "index.json").read_text())
    name = draws.draw(st.sampled_from(sorted(content)))
    value = draws.draw(LEAVES | st.lists(LEAVES, max_size=3))
    rewrite(folder, {**content, name: value})
    look_at(folder)


@pytest.mark.parametrize("name", FILES)
@examples(40)
@hypothesis.given(draws=st.data())
def test_bytes_that_are_damaged(whole, copy_of, name, draws):
    folder = copy_of(whole)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(draws.draw(damaged(content)))
    look_at(folder)


RECORDS = st.lists(
    st.tuples(
        st.integers(-(2**31), 2**31 - 1) | st.sampled_from((-1, 0, 1)),
        st.integers(0, 2**32 - 1),
    ),
    max_size=14,
)


@examples(60)
@hypothesis.given(records=RECORDS, train=st.integers(0, 14), named=st.booleans())
def test_records_that_its_maker_made_up(whole, copy_of, records, train, named):
    """With a checksum that is right of them, and as many images as they are, or not."""
    folder = copy_of(whole)
    made = np.array(records, [("label", "<i4"), ("crc32", "<u4")]).tobytes()
    (folder / "records.bin").write_bytes(made)
    size = 8 * 8 * 3
    images = (folder / "images.bin").read_bytes()[: len(records) * size]
    (folder / "images.bin").write_bytes(images)
    content = json.loads((folder / "index.json").read_text())
    content |= {"train": train, "test": len(records) - train}
    if not named:
        content["class_names"] = None
    rewrite(folder, content)
    look_at(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["pipe", "folder", "endless", "nowhere", "itself"])
def test_what_is_no_file(whole, copy_of, name, what):
    folder = copy_of(whole)
    (folder / name).unlink()
    make_no_file(folder / name, what)
    with pytest.raises(ValueError, match=r"No packed data set there|damaged"):
        load(f"packed:{folder}")


def make_no_file(path, what):
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to({"endless": "/dev/zero", "nowhere": "none", "itself": path.name}[what])


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_terabyte(whole, copy_of, name):
    folder = copy_of(whole)
    os.truncate(folder / name, 1 << 40)  # takes no room on the disk
    with pytest.raises(ValueError, match=f"{name}.*: pack it anew"):
        load(f"packed:{folder}")


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """Pictures, and a pack of them that was ended after eight."""
    home = tmp_path_factory.mktemp("unfinished")
    write_pictures(home / "pictures", count=10, test=2, broken=(4,))
    add, taken = packing_module._add, []

    def stop(*arguments):
        taken.append(1)
        if len(taken) == 3:
            raise KeyboardInterrupt
        add(*arguments)

    with pytest.MonkeyPatch.context() as context:
        context.setattr(packing_module, "_add", stop)
        context.setattr(packing_module, "_chunk_size", lambda progress: 4)
        with pytest.raises(KeyboardInterrupt):
            packed(home, name=f"folder:{home / 'pictures'}", skip_broken=True)
    assert (home / ".packed.packing" / "journal.jsonl").read_text().count("\n") == 2
    return home


@pytest.fixture
def go_on(unfinished, copy_of, capsys, monkeypatch):
    """Goes on with a pack after something was done to it; nothing beside it changes."""

    def go_on(change):
        home = copy_of(unfinished, "home")
        (home.parent / "mine").write_bytes(b"mine" * 1000)
        change(home / ".packed.packing")
        monkeypatch.chdir(home)
        code = command(capsys, home, *PACK)
        assert (home.parent / "mine").read_bytes() == b"mine" * 1000
        assert code or len(load("packed:packed")) + len(load("packed:packed").test) <= 12
        return code

    return go_on


PACK = ("pack", "pictures", "packed", "--resolution=8", "--skip_broken", "--workers=1")
UNFINISHED = ("job.json", "journal.jsonl", "images.bin", "records.bin")


def test_an_unfinished_pack_goes_on(go_on):
    assert go_on(lambda folder: None) == 0


@pytest.mark.parametrize("name", UNFINISHED)
@examples(12)
@hypothesis.given(draws=st.data())
def test_an_unfinished_pack_that_is_damaged(go_on, name, draws):
    def change(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(draws.draw(damaged(content)))

    go_on(change)


@examples(40)
@hypothesis.given(draws=st.data())
def test_a_journal_of_other_values(go_on, draws):
    def change(folder):
        path = folder / "journal.jsonl"
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        entries = draws.draw(changed(entries))
        entries = entries if isinstance(entries, list) else [entries]
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    go_on(change)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("name", [*UNFINISHED, "index.json"])
@pytest.mark.parametrize("what", ["pipe", "folder", "endless", "nowhere", "mine"])
def test_an_unfinished_pack_of_links_and_pipes(go_on, name, what, begun):
    def change(folder):
        if not begun:
            shutil.rmtree(folder)
            folder.mkdir()
        (folder / name).unlink(missing_ok=True)
        if what == "mine":
            (folder / name).symlink_to("../../mine")
        else:
            make_no_file(folder / name, what)

    assert go_on(change) == 2


def test_an_unfinished_pack_that_is_a_link(go_on):
    def change(folder):
        os.rename(folder, folder.parent.parent / "elsewhere")
        folder.symlink_to("../elsewhere")

    assert go_on(change) == 2
