"""Zips of files, hostile ones among them."""

import errno
import os
import warnings
import zipfile

import pytest

from tf_diffaug.data import files
from tf_diffaug.data.files import open_files
from tf_diffaug.errors import printable


def make_zip(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def test_names_and_content(tmp_path):
    content = {
        "b/x.png": b"x",
        "a.png": b"a",
        "__MACOSX/._a.png": b"",
        ".b": b"",
        "c/.d": b"",
        "c/__e": b"",
    }
    path = make_zip(tmp_path / "x.zip", {**content, "../../up.png": b"", "w\\y.png": b"y"})
    with open_files(path) as found:
        assert found.names == ("a.png", "b/x.png", "w/y.png")
        assert found.open("b/x.png").read() == b"x"
        assert found.open("w/y.png").read() == b"y"
    assert sorted(tmp_path.iterdir()) == [path]  # nothing is unpacked


def test_a_folder_lists_what_a_zip_of_it_does(tmp_path):
    for name in ("b/x.png", "a.png", "__MACOSX/y.png", "__z.png", ".b", "c/.d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with open_files(tmp_path) as found:
        assert found.names == ("a.png", "b/x.png")


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    (tmp_path / "cats").mkdir()
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "cats":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    # Permissions themselves do not stop the superuser, whom tests may run as.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="cats"), open_files(tmp_path):
        pass


def test_stamps_change_with_the_files(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    zips = [make_zip(tmp_path / f"{k}.zip", {"a.png": content}) for k, content in enumerate("abb")]
    stamps = []
    for path in zips:
        with open_files(path) as found:
            stamps.append(found.stamp("a.png"))
    assert stamps[0] != stamps[1] == stamps[2]
    with open_files(tmp_path) as found:
        before = found.stamp("a.png")
        os.utime(tmp_path / "a.png", ns=(1, 1))
        assert found.stamp("a.png") != before
        with pytest.raises(OSError, match="No such file"):
            found.stamp("b.png")


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = make_zip(tmp_path / "x.zip", {"a.png": bytes(2000)})
    monkeypatch.setattr(files, "_MOST_BYTES", 1000)
    with open_files(path) as found, pytest.raises(OSError, match="2,000 bytes are too many"):
        found.open("a.png")


def test_an_encrypted_zip(tmp_path):
    path = make_zip(tmp_path / "x.zip", {"a.png": b"a"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"encrypted: unpack it first. Received"), open_files(path):
        pass


def test_no_zip_and_a_damaged_one(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"Rar!")
    with pytest.raises(ValueError, match="no zip that can be read"), open_files(path):
        pass
    content = bytearray(make_zip(path, {"a.png": bytes(range(256)) * 9}).read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    with open_files(path) as found, pytest.raises(OSError, match="damaged in the zip"):
        found.open("a.png")


def test_of_two_entries_of_a_name_the_later_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.png", b"old")
        archive.writestr("a.png", b"new")
    with open_files(tmp_path / "x.zip") as found:
        assert found.open("a.png").read() == b"new"


def test_printable():
    assert printable("caf\udce9/ü\n.png") == "caf\\xe9/ü\\n.png"


def test_an_entry_without_a_name_is_passed_over(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("x", "a.png"):
            info = zipfile.ZipInfo(name)
            info.filename = name.removeprefix("x")
            archive.writestr(info, b"a")
    with open_files(tmp_path / "x.zip") as found:
        assert found.names == ("a.png",)


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    with open_files(tmp_path) as found:
        assert found.names == ("a.png", "b.png")
        for name in found.names:
            with pytest.raises(OSError, match="pipe or a device"):
                found.open(name)
