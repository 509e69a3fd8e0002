"""What is made atomically is whole or not there, and takes no other's place unasked."""

import errno
import os

import pytest

from tf_diffaug import files
from tf_diffaug.files import made_atomically, made_folders, write_atomically


def listed(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def make_folder(path, name="a"):
    path.mkdir()
    (path / name).write_text(name)


def test_files_and_folders_appear_at_the_end(tmp_path):
    with made_atomically(tmp_path / "x" / "file") as path:
        path.write_text("text")
        assert not (tmp_path / "x" / "file").exists()
    with made_atomically(tmp_path / "x" / "folder") as path:
        make_folder(path)
    assert listed(tmp_path) == ["x", "x/file", "x/folder", "x/folder/a"]
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (tmp_path / "x" / "file").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_not_finished_leaves_nothing(tmp_path, error):
    def fail():
        with made_atomically(tmp_path / "folder") as path:
            make_folder(path)
            raise error

    with pytest.raises(error):
        fail()
    assert listed(tmp_path) == []


def test_what_is_there_is_replaced_if_asked_only(tmp_path):
    make_folder(tmp_path / "folder")
    with pytest.raises(FileExistsError), made_atomically(tmp_path / "folder"):
        pass
    with made_atomically(tmp_path / "folder", overwrite=True, parts=("?",)) as path:
        make_folder(path, "b")
    assert listed(tmp_path) == ["folder", "folder/b"]
    (tmp_path / "empty").mkdir()
    with made_atomically(tmp_path / "empty") as path:
        make_folder(path)
    assert listed(tmp_path / "empty") == ["a"]


@pytest.mark.parametrize("parts", [(), ("a",), ("a", "b*")])
def test_a_folder_with_something_else_in_it_is_not_replaced(tmp_path, parts):
    make_folder(tmp_path / "folder")
    (tmp_path / "folder" / "precious").write_text("")
    with (
        pytest.raises(FileExistsError, match=r"something else too \((a|precious)\)"),
        made_atomically(tmp_path / "folder", overwrite=True, parts=parts),
    ):
        pass
    assert listed(tmp_path / "folder") == ["a", "precious"]


def test_what_came_up_meanwhile_is_kept(tmp_path):
    def late():
        with made_atomically(tmp_path / "folder") as path:
            make_folder(path)
            make_folder(tmp_path / "folder", "other")

    with pytest.raises(FileExistsError):
        late()
    assert listed(tmp_path) == ["folder", "folder/other"]


def test_a_folder_that_cannot_be_replaced_is_put_back(tmp_path, monkeypatch):
    make_folder(tmp_path / "folder")
    replace = os.replace

    def fail(source, target):
        if target == tmp_path / "folder" and source.name == "folder":
            raise PermissionError(errno.EACCES, "Permission denied", str(target))
        replace(source, target)

    def overwrite():
        with made_atomically(tmp_path / "folder", overwrite=True, parts=("a",)) as path:
            make_folder(path, "b")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(PermissionError):
        overwrite()
    assert listed(tmp_path) == ["folder", "folder/a"]


def test_a_full_disk_is_named_with_the_place(tmp_path):
    def fill():
        with made_atomically(tmp_path / "file"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.filename == str(tmp_path / "file")
    assert listed(tmp_path) == []


@pytest.mark.parametrize("missing", [("x",), ("a", "b", "x"), ("there", "c", "x")])
def test_folders_made_for_what_failed_are_removed(tmp_path, monkeypatch, missing):
    (tmp_path / "there").mkdir()
    before = listed(tmp_path)

    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = tmp_path.joinpath(*missing)
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(place, "text")
    assert listed(tmp_path) == before
    monkeypatch.setattr(files.tempfile, "mkdtemp", full)
    with pytest.raises(OSError, match="No space left"), made_atomically(place):
        pass
    assert listed(tmp_path) == before


def test_a_folder_that_holds_something_is_left(tmp_path):
    def fail():
        with made_folders(tmp_path / "a" / "b"):
            (tmp_path / "a" / "mine").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert listed(tmp_path) == ["a", "a/mine"]
