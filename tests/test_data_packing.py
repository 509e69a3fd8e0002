"""Packing: what is loaded is packed, in the memory of few images, through any interruption."""

import concurrent.futures
import errno
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

from tests.packs import ended_at, files_of, flip_bit, picture, write_pictures
from tf_diffaug.data import load, pack
from tf_diffaug.data import packing as packing_module
from tf_diffaug.data.folder import find_images
from tf_diffaug.data.origins import of_folder
from tf_diffaug.data.packing import write_packed


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(packing_module, "_chunk_size", lambda progress: 4)


@pytest.fixture
def pictures(tmp_path):
    return write_pictures(tmp_path / "pictures", count=18, test=7, broken=(5, 20))


def pack_all(pictures, out, **options):
    return pack(
        f"folder:{pictures}", out, **{"resolution": 8, "skip_broken": True, "workers": 2, **options}
    )


def test_what_is_packed_is_what_is_loaded(pictures, tmp_path):
    (pictures / "notes.txt").write_text("no image")
    held = load(f"folder:{pictures}", resolution=8, skip_broken=True)
    read = load(f"packed:{pack_all(pictures, tmp_path / 'packed')}", resolution=8)
    for name in ("images", "labels", "test", "test_labels"):
        np.testing.assert_array_equal(np.asarray(getattr(read, name)), getattr(held, name))
    for name in ("class_names", "flip", "skipped", "passed_over", "fingerprint"):
        assert getattr(read, name) == getattr(held, name)
    assert len(read.skipped) == 2


def test_the_bytes_do_not_depend_on_the_number_of_workers(pictures, tmp_path):
    found = [files_of(pack_all(pictures, tmp_path / str(n), workers=n)) for n in (1, 3)]
    assert found[0] == found[1]
    assert set(found[0]) == {"images.bin", "index.json", "records.bin"}
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("when", [1, 2, 5, 6, 7, 11, 12, 13])
def test_a_pack_that_was_ended_goes_on_to_the_same_bytes(pictures, tmp_path, when):
    expected = files_of(pack_all(pictures, tmp_path / "alone"))
    with ended_at("os.fsync", when):
        pack_all(pictures, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
    hidden = tmp_path / ".packed.packing"
    for name in ("images.bin", "records.bin", "journal.jsonl"):  # as if it was killed in a write
        if (hidden / name).exists():
            with (hidden / name).open("ab") as file:
                file.write(b"torn")
    assert files_of(pack_all(pictures, tmp_path / "packed")) == expected
    assert not hidden.exists()


def test_what_was_packed_is_not_decoded_again(pictures, tmp_path, monkeypatch):
    whole = packing_module._add
    taken = []

    def add(origin, progress, made, *files):
        if len(taken) == 3:
            raise KeyboardInterrupt
        taken.append(len(made))
        whole(origin, progress, made, *files)

    monkeypatch.setattr(packing_module, "_add", add)
    with pytest.raises(KeyboardInterrupt):
        pack_all(pictures, tmp_path / "packed")
    taken.clear()
    monkeypatch.setattr(packing_module, "_add", lambda *a: (taken.append(len(a[2])), whole(*a)))
    pack_all(pictures, tmp_path / "packed")
    assert sum(taken) == 25 - 3 * 4


def test_it_may_be_ended_just_before_it_is_moved_to_its_place(pictures, tmp_path, monkeypatch):
    expected = files_of(pack_all(pictures, tmp_path / "alone"))

    def move(source, target):
        if pathlib.Path(target).name == "packed":
            raise KeyboardInterrupt
        rename(source, target)

    rename = os.replace
    with monkeypatch.context() as context:
        context.setattr(packing_module.os, "replace", move)
        with pytest.raises(KeyboardInterrupt):
            pack_all(pictures, tmp_path / "packed")
    assert files_of(pack_all(pictures, tmp_path / "packed")) == expected


KILLED = """
import sys, time
from tf_diffaug.data import pack, packing
packing._chunk_size = lambda progress: 4
add = packing._add
def slowly(*arguments):
    add(*arguments)
    print("more", flush=True)
    time.sleep(0.2)
packing._add = slowly
pack("folder:" + sys.argv[1], sys.argv[2], resolution=8, skip_broken=True)
"""


def test_a_pack_that_is_killed_goes_on_to_the_same_bytes(pictures, tmp_path):
    expected = files_of(pack_all(pictures, tmp_path / "alone"))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(pictures), str(tmp_path / "packed")],
        stdout=subprocess.PIPE,
        cwd=pathlib.Path(__file__).parents[1],
    )
    with process:
        for _ in range(3):
            assert process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "packed").exists()
    assert files_of(pack_all(pictures, tmp_path / "packed")) == expected


def test_what_is_finished_is_left_as_it_is(pictures, tmp_path):
    out = pack_all(pictures, tmp_path / "packed")
    before = (out / "images.bin").stat()
    assert pack_all(pictures, out) == out
    assert (out / "images.bin").stat() == before


def test_what_else_is_there_is_left_alone(pictures, tmp_path):
    out = pack_all(pictures, tmp_path / "packed")
    before = files_of(out)
    with pytest.raises(ValueError, match=r"a packed data set of other images or options already"):
        pack_all(pictures, out, resolution=6)
    assert files_of(out) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in ("mine", "file"):
        with pytest.raises(ValueError, match=f"something already.* Received: out='.*/{place}'"):
            pack_all(pictures, tmp_path / place)
    (tmp_path / "empty").mkdir()
    assert files_of(pack_all(pictures, tmp_path / "empty")) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("empty", "file", "mine", "packed", "pictures")
    ]


def test_an_unfinished_pack_of_something_else_is_not_gone_on_with(pictures, tmp_path):
    with ended_at("tf_diffaug.data.packing._write_index", 1):
        pack_all(pictures, tmp_path / "packed")
    with pytest.raises(ValueError, match=r"unfinished pack of other .* \.?.*\.packed\.packing"):
        pack_all(pictures, tmp_path / "packed", resolution=6)
    picture(77).save(pictures / "train" / "cat" / "000.png")
    with pytest.raises(ValueError, match="unfinished pack of other"):
        pack_all(pictures, tmp_path / "packed")


def test_a_mistake_is_not_in_the_way_of_what_was_meant(tmp_path):
    pictures = write_pictures(tmp_path / "pictures", count=9)
    picture(0, side=20).save(pictures / "cat" / "002.png")
    for options in ({"resolution": None}, {"resolution": 99, "skip_broken": False}):
        with pytest.raises(ValueError, match=r"Sizes differ|cannot be used"):
            pack_all(pictures, tmp_path / "packed", **options)
        assert not list(tmp_path.glob(".*"))
    (tmp_path / ".packed.packing").mkdir()  # as of a call that was killed before its first image
    (tmp_path / ".packed.packing" / "job.json").write_text("another")
    (tmp_path / ".packed.packing" / "images.bin").write_text("torn")
    assert len(load(f"packed:{pack_all(pictures, tmp_path / 'packed')}")) == 9


def test_one_process_packs_at_a_place(pictures, tmp_path):
    hidden = tmp_path / ".packed.packing"
    hidden.mkdir()
    handle = os.open(hidden, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(ValueError, match="Another process packs there"):
        pack_all(pictures, tmp_path / "packed")
    os.close(handle)
    pack_all(pictures, tmp_path / "packed")


def test_who_waits_gets_what_the_other_process_packed(pictures, tmp_path, monkeypatch):
    expected = files_of(pack_all(pictures, tmp_path / "alone"))
    move, decoded, add = os.replace, [], packing_module._add
    monkeypatch.setattr(packing_module, "_add", lambda *a: (decoded.append(len(a[2])), add(*a)))
    with (
        find_images(pictures, resolution=8) as found,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        origin = of_folder(found)
        started, options = [], {"skip_broken": True, "wait": True}

        def move_late(source, target):
            if pathlib.Path(target).name == "packed":
                started.append(pool.submit(write_packed, origin, tmp_path / "packed", **options))
                time.sleep(0.3)
            move(source, target)

        monkeypatch.setattr(packing_module.os, "replace", move_late)
        write_packed(origin, tmp_path / "packed", **options)
        assert started[0].result() == tmp_path / "packed"
    assert sum(decoded) == 25
    assert files_of(tmp_path / "packed") == expected
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_cannot_be_used_stops_it_and_is_named(pictures, tmp_path):
    with pytest.raises(
        ValueError, match=r"1 of the first 12 files cannot be used: .*005\.png"
    ) as e:
        pack_all(pictures, tmp_path / "packed", skip_broken=False)
    assert "skip_broken leaves them out" in str(e.value)
    assert not (tmp_path / "packed").exists()
    assert len(load(f"packed:{pack_all(pictures, tmp_path / 'packed')}").skipped) == 2


def test_leaving_files_out_is_asked_for_each_time(pictures, tmp_path):
    with ended_at("tf_diffaug.data.packing._write_index", 1):
        pack_all(pictures, tmp_path / "packed")
    with pytest.raises(ValueError, match="2 of 25 files cannot be used"):
        pack_all(pictures, tmp_path / "packed", skip_broken=False)


def test_where_no_file_can_be_used(tmp_path):
    pictures = write_pictures(tmp_path / "pictures", count=3, broken=range(3))
    with pytest.raises(ValueError, match="3 of 3 files cannot be used"):
        pack_all(pictures, tmp_path / "packed")


def test_sizes_that_differ_are_named(tmp_path):
    pictures = write_pictures(tmp_path / "pictures", count=6)
    picture(0, side=20).save(pictures / "dog" / "001.png")
    with pytest.raises(ValueError, match=r"001\.png is 22x20, those before it are 14x12; g"):
        pack_all(pictures, tmp_path / "packed", resolution=None)


def test_images_of_one_size_keep_it(tmp_path):
    pictures = write_pictures(tmp_path / "pictures", count=6)
    read = load(f"packed:{pack_all(pictures, tmp_path / 'packed', resolution=None)}")
    np.testing.assert_array_equal(read.images[:], load(f"folder:{pictures}").images)


def test_a_full_disk_is_named_and_the_same_call_goes_on(pictures, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(packing_module.os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*\.packed\.packing"):
            pack_all(pictures, tmp_path / "packed")
    pack_all(pictures, tmp_path / "packed")


def test_what_the_disk_lost_while_packing_is_found(pictures, tmp_path, monkeypatch):
    write = packing_module._write_index

    def lose(origin, folder, progress):
        flip_bit(folder / "images.bin", 200)
        write(origin, folder, progress)

    monkeypatch.setattr(packing_module, "_write_index", lose)
    with pytest.raises(OSError, match="Record 1 of"):
        pack_all(pictures, tmp_path / "packed")


def test_images_are_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.undo()  # chunks of their own size, as far as these are small
    monkeypatch.setattr(packing_module, "_CHUNK_BYTES", 1 << 22)
    monkeypatch.setattr("tf_diffaug.data.packed._BLOCK_BYTES", 1 << 22)
    pictures = write_pictures(tmp_path / "pictures", count=200)
    total = 200 * 256 * 256 * 3
    tracemalloc.start()
    try:
        pack_all(pictures, tmp_path / "packed", resolution=256, fit="enlarge")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "packed" / "images.bin").stat().st_size == total
    assert peak < total / 2
