"""Every dataset, by its name: the same packed and in memory."""

import numpy as np
import pytest

from tests.packs import write_nvidia_zip, write_pictures
from tf_diffaug.data import DATASETS, PackedImages, batches, load, pack
from tf_diffaug.data.packed import digest_images

KINDS = ("emoji_faces", "emoji", "cifar10", "cifar100", "folder", "splits", "nvidia zip")


@pytest.fixture(scope="module", params=KINDS)
def dataset(request, tmp_path_factory):
    """A name, and how it is loaded."""
    folder = tmp_path_factory.mktemp("dataset")
    if request.param in ("emoji_faces", "emoji"):
        return request.param, {"resolution": 16}
    if request.param.startswith("cifar"):
        rng = np.random.default_rng(0)
        coarse = request.param == "cifar100"
        parts = ("train", "test") if coarse else [f"data_batch_{k}" for k in range(1, 6)]
        for part in (*parts, "test" if coarse else "test_batch"):
            records = rng.integers(0, 10, (6, 3073 + coarse), np.uint8)
            records.tofile(folder / f"{part}.bin")
        return request.param, {"data_dir": folder}
    if request.param == "nvidia zip":
        return f"folder:{write_nvidia_zip(folder / 'images.zip')}", {}
    test = 4 if request.param == "splits" else 0
    return f"folder:{write_pictures(folder, test=test)}", {"resolution": 8, "channels": 1}


@pytest.fixture(scope="module")
def both(dataset, tmp_path_factory):
    name, options = dataset
    out = pack(name, tmp_path_factory.mktemp("packs") / "packed", **options)
    kept = {key: value for key, value in options.items() if key != "data_dir"}
    return load(name, **options), load(f"packed:{out}", **kept)


def test_every_name_is_looked_at():
    kinds = {name.partition(":")[0] for name in DATASETS}
    assert kinds == {kind for kind in KINDS if kind not in ("splits", "nvidia zip")} | {"packed"}


def test_all_of_it_is_packed(both):
    held, read = both
    assert isinstance(read.images, PackedImages)
    for name in ("images", "labels", "test", "test_labels"):
        expected, found = getattr(held, name), getattr(read, name)
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(np.asarray(found), expected)
            assert found.dtype == expected.dtype
    for name in ("class_names", "flip", "skipped", "passed_over", "num_classes", "fingerprint"):
        assert getattr(read, name) == getattr(held, name)
    assert digest_images(read.images) == digest_images(held.images)


def test_batches_are_the_same(both):
    streams = [batches(data, 7, seed=1, start_step=1).take(3) for data in both]
    assert streams[0].element_spec == streams[1].element_spec
    for expected, found in zip(*streams, strict=True):
        for one, other in zip(
            *(part if isinstance(part, tuple) else (part,) for part in (expected, found)),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
