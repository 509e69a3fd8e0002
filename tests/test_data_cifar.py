"""CIFAR in every published layout, made small."""

import os
import pickle
import warnings

import keras
import numpy as np
import pytest

from tf_diffaug.data import cifar, load


def fake(count, classes, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3, 32, 32), np.uint8), rng.integers(0, classes, count)


def splits(name):
    layout = cifar._LAYOUTS[name]
    parts = (*layout.train, layout.test)
    return {part: fake(4, len(layout.classes), seed=k) for k, part in enumerate(parts)}


def write_python(root, name, dump):
    layout = cifar._LAYOUTS[name]
    folder = root / layout.python_folder
    folder.mkdir()
    for part, (images, labels) in splits(name).items():
        batch = {
            b"data": images.reshape(len(images), -1),
            layout.label_key.encode(): labels.tolist(),
            b"filenames": [b"a.png"] * len(images),
            b"batch_label": b"testing",
        }
        (folder / part).write_bytes(dump(batch))
    return folder


def write_binary(root, name):
    layout = cifar._LAYOUTS[name]
    folder = root / layout.binary_folder
    folder.mkdir()
    for part, (images, labels) in splits(name).items():
        coarse = np.full((len(images), layout.label_bytes - 1), 3)
        records = np.concatenate([coarse, labels[:, None], images.reshape(len(images), -1)], axis=1)
        records.astype(np.uint8).tofile(folder / f"{part}.bin")
    return folder


def protocol(number):
    return lambda value: pickle.dumps(value, protocol=number)


def renamed(module):
    """Protocol 0 names modules as lines of text, so another NumPy's name can be put in."""

    def dump(value):
        content = pickle.dumps(value, protocol=0)
        for known in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
            content = content.replace(b"c" + known + b"\n", b"c" + module.encode() + b"\n")
        assert b"c" + module.encode() + b"\n" in content
        return content

    return dump


def python2(value):
    """Arrays as Python 2 wrote them: byte strings throughout, 0 and 1 for flags."""

    def text(content):
        return (
            b"U" + bytes([len(content)]) + content
            if len(content) < 256
            else (b"T" + len(content).to_bytes(4, "little") + content)
        )

    def array(pixels):
        dtype = (
            b"cnumpy\ndtype\n("
            + text(b"u1")
            + b"K\x00K\x01tR(K\x03"
            + text(b"|")
            + (b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")
        )
        start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b")
        shape = b"(K" + bytes([len(pixels)]) + b"M\x00\x0ct"
        return start + b"tR(K\x01" + shape + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"

    pieces = [b"\x80\x02}("]
    for key, item in value.items():
        pieces.append(text(key))
        if isinstance(item, np.ndarray):
            pieces.append(array(item))
        elif isinstance(item, bytes):
            pieces.append(text(item))
        else:
            inner = [text(x) if isinstance(x, bytes) else b"K" + bytes([x]) for x in item]
            pieces.append(b"](" + b"".join(inner) + b"e")
    return b"".join([*pieces, b"u."])


DUMPS = {
    "protocol 2": protocol(2),
    "protocol 4": protocol(4),
    "protocol 5": protocol(5),
    "numpy 1": renamed("numpy.core.multiarray"),
    "numpy 2": renamed("numpy._core.multiarray"),
    "python 2": python2,
}


def check(name, data):
    expected = splits(name)
    layout = cifar._LAYOUTS[name]
    images = np.concatenate([expected[part][0] for part in layout.train]).transpose(0, 2, 3, 1)
    labels = np.concatenate([expected[part][1] for part in layout.train])
    np.testing.assert_array_equal(data.images, images)
    np.testing.assert_array_equal(data.labels, labels)
    np.testing.assert_array_equal(data.test, expected[layout.test][0].transpose(0, 2, 3, 1))
    assert data.num_classes == len(layout.classes) == len(set(layout.classes))
    assert data.flip is True


@pytest.mark.parametrize("dump", DUMPS.values(), ids=DUMPS.keys())
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_python_layout(tmp_path, name, dump):
    folder = write_python(tmp_path, name, dump)
    check(name, load(name, data_dir=tmp_path))
    check(name, load(name, data_dir=str(folder)))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_binary_layout(tmp_path, name):
    folder = write_binary(tmp_path, name)
    check(name, load(name, data_dir=tmp_path))
    check(name, load(name, data_dir=folder))


def test_resolution_and_grey_reach_the_test_split(tmp_path):
    write_binary(tmp_path, "cifar10")
    data = load("cifar10", data_dir=tmp_path, resolution=16, channels=1)
    assert data.images.shape == (20, 16, 16, 1)
    assert data.test.shape == (4, 16, 16, 1)


def test_class_names_are_in_the_published_order():
    assert load_names("cifar10") == "airplane automobile bird cat deer dog frog horse ship truck"
    names = load_names("cifar100").split()
    assert names == sorted(names)  # fine labels are numbered alphabetically


def load_names(name):
    return " ".join(cifar._LAYOUTS[name].classes)


def test_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="cifar-10-batches-py/data_batch_1") as error:
        load("cifar10", data_dir=tmp_path)
    assert "cifar-10-batches-bin/data_batch_1.bin" in str(error.value)
    (tmp_path / "cifar-10-python.tar.gz").touch()
    with pytest.raises(ValueError, match=r"Unpack cifar-10-python\.tar\.gz first"):
        load("cifar10", data_dir=tmp_path)


def test_one_file_missing(tmp_path):
    folder = write_python(tmp_path, "cifar10", protocol(2))
    (folder / "data_batch_3").unlink()
    with pytest.raises(ValueError, match="data_batch_3"):
        load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 100, 5000])
def test_cut_short(tmp_path, keep):
    for write, part in (
        (lambda root: write_python(root, "cifar10", protocol(2)), "data_batch_2"),
        (lambda root: write_binary(root, "cifar10"), "data_batch_2.bin"),
    ):
        root = tmp_path / part
        root.mkdir()
        path = write(root) / part
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(ValueError, match="data_batch_2") as error:
            load("cifar10", data_dir=root)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "batch",
    [
        {b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.uint8)},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [0, 1]},
        {b"data": np.zeros((1, 3071), np.uint8), b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.float32), b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [-1]},
        {b"data": np.zeros((0, 3072), np.uint8), b"labels": []},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": ["cat"]},
        {b"data": "nothing", b"labels": [0]},
        {b"data": np.zeros((0, 3072), np.uint8), b"labels": np.zeros(0, int)},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": np.zeros((2, 1), int)},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": None},
        {b"data": {}, b"labels": [1 << 99]},
        [1, 2],
    ],
)
def test_no_cifar_batch(tmp_path, batch):
    folder = write_python(tmp_path, "cifar10", protocol(2))
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(ValueError, match="data_batch_1"):
        load("cifar10", data_dir=tmp_path)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_malicious_batch_runs_nothing(tmp_path):
    folder = write_python(tmp_path, "cifar10", protocol(2))
    batch = {b"data": Malicious(tmp_path / "owned"), b"labels": [0]}
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(ValueError, match=r"data_batch_1 .*(posix|nt)\.mkdir.* no plain data"):
        load("cifar10", data_dir=tmp_path)
    assert not (tmp_path / "owned").exists()
    # The batch would have worked.
    pickle.loads((folder / "data_batch_1").read_bytes())
    assert (tmp_path / "owned").exists()


def test_python_2_batches_do_not_warn(tmp_path):
    write_python(tmp_path, "cifar10", python2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_download(monkeypatch, name):
    images, labels = fake(6, 10)
    split = (images.transpose(0, 2, 3, 1), labels[:, None].astype(np.uint8))
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: (split, split))
    data = load(name)
    np.testing.assert_array_equal(data.images, split[0])
    np.testing.assert_array_equal(data.test, split[0])
    np.testing.assert_array_equal(data.labels, labels)


def test_a_failed_download_is_one_line(monkeypatch):
    def fail():
        raise Exception("URL fetch failure on there:\nno route")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    with pytest.raises(ValueError, match=r"no route.*Received: data_dir=None") as error:
        load("cifar10")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["data", "labels"])
def test_lists_of_few_bytes_that_stand_for_endless_ones(tmp_path, key):
    endless = [0]
    for _ in range(31):
        endless = [endless] * 10
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1], key: endless}
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(ValueError, match="is no CIFAR batch"):
        load("cifar10", data_dir=tmp_path)
