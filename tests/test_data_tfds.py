"""Data sets of TensorFlow Datasets, of which a stand-in is enough: it is not installed here."""

import io
import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tests.packs import ended_at, files_of, picture
from tf_diffaug.data import load, pack
from tf_diffaug.errors import UserError


def encoded(seed):
    file = io.BytesIO()
    picture(seed).save(file, "png")
    return file.getvalue()


class Builder:
    """As `tfds.builder`'s, with 7 images to train on and 3 held out."""

    counts: ClassVar = {"train": 7, "test": 3}
    features: ClassVar = {"image": None, "label": types.SimpleNamespace(names=["cat", "dog"])}

    def __init__(self, name, data_dir=None):
        if name != "tiny":
            raise LookupError(f"no {name}\nin the registry")
        splits = {s: types.SimpleNamespace(num_examples=n) for s, n in self.counts.items()}
        self.info = types.SimpleNamespace(
            splits=splits, features=self.features, full_name="tiny/1.0.0"
        )

    def download_and_prepare(self):
        pass

    def as_dataset(self, *, split, shuffle_files, read_config, decoders):
        assert (shuffle_files, read_config, decoders) == (False, 1, {"image": "skipped"})
        first = 0 if split == "train" else 100
        numbers = range(first, first + self.counts[split])
        examples = {"image": [encoded(n) if n != 3 else b"none" for n in numbers]}
        if "label" in self.features:
            examples["label"] = [n % 2 for n in numbers]
        return tf.data.Dataset.from_tensor_slices(examples)


@pytest.fixture
def tfds(monkeypatch):
    module = types.ModuleType("tensorflow_datasets")
    module.__spec__ = types.SimpleNamespace(name="tensorflow_datasets")
    module.builder = Builder
    module.ReadConfig = lambda *, interleave_cycle_length, try_autocache: interleave_cycle_length
    module.decode = types.SimpleNamespace(SkipDecoding=lambda: "skipped")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    monkeypatch.setattr("tf_diffaug.data.packing._chunk_size", lambda progress: 4)


def test_it_is_packed_in_its_order(tfds, tmp_path):
    pack("tfds:tiny", tmp_path / "packed", resolution=12, skip_broken=True)
    data = load(f"packed:{tmp_path}/packed")
    expected = np.stack([np.asarray(picture(n).crop((1, 0, 13, 12))) for n in (0, 1, 2, 4, 5, 6)])
    np.testing.assert_array_equal(data.images[:], expected)
    np.testing.assert_array_equal(data.labels, [0, 1, 0, 0, 1, 0])
    np.testing.assert_array_equal(data.test_labels, [0, 1, 0])
    assert (data.class_names, data.skipped) == (("cat", "dog"), ("image 3",))


@pytest.mark.parametrize("when", [1, 2, 4, 5])
def test_it_goes_on_where_it_was_ended(tfds, tmp_path, when):
    options = {"resolution": 12, "skip_broken": True}
    pack("tfds:tiny", tmp_path / "alone", **options)
    with ended_at("os.fsync", when):
        pack("tfds:tiny", tmp_path / "packed", **options)
    pack("tfds:tiny", tmp_path / "packed", **options)
    assert files_of(tmp_path / "packed") == files_of(tmp_path / "alone")


def test_an_image_that_cannot_be_used_is_named(tfds, tmp_path):
    with pytest.raises(ValueError, match=r"1 of the first 4 of 10 images .* image 3 \(no image"):
        pack("tfds:tiny", tmp_path / "packed", resolution=12)


def test_one_without_labels(tfds, tmp_path, monkeypatch):
    monkeypatch.setattr(Builder, "features", {"image": None})
    pack("tfds:tiny", tmp_path / "packed", resolution=12, skip_broken=True)
    assert load(f"packed:{tmp_path}/packed").labels is None


def test_what_is_no_data_set_of_images(tfds, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"could not make it \(no other in the registry\)"):
        pack("tfds:other", tmp_path / "packed")
    with pytest.raises(ValueError, match="Unknown fit 'squeeze'"):
        pack("tfds:tiny", tmp_path / "packed", fit="squeeze")
    monkeypatch.setattr(Builder, "features", {"text": None})
    with pytest.raises(ValueError, match="no images to train on: its features are text"):
        pack("tfds:tiny", tmp_path / "packed")


def test_where_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs tensorflow_datasets, .*'tf-diffaug\[tfds\]'"):
        pack("tfds:mnist", tmp_path / "packed")
