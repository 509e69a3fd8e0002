"""Splits, classes and labels, from the names of files."""

import io
import json

import pytest

from tf_diffaug.data.files import Files
from tf_diffaug.data.layout import find_layout


def layout(*images, labels=None, listed=None, extra=()):
    """`listed` is what dataset.json holds."""
    where = {} if listed is None else {"dataset.json": listed}
    files = Files((*images, *where, *extra), lambda name: io.BytesIO(where[name].encode()), None)
    return find_layout(files, sorted(images), labels=labels)


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation", "Test", "testing"])
def test_a_split_is_held_out_and_no_class(name):
    found = layout("train/x.png", f"{name}/y.png")
    assert found.train == ["train/x.png"]
    assert found.test == [f"{name}/y.png"]
    assert found.labels is found.test_labels is found.class_names is None


def test_a_second_held_out_split_is_not_used():
    found = layout("train/x.png", "test/y.png", "val/z.png")
    assert (found.test, found.unused) == (["test/y.png"], ("val/z.png",))


def test_splits_have_classes():
    found = layout("train/b/1.png", "train/a/2.png", "val/c/3.png", "val/a/x/4.png")
    assert found.class_names == ("a", "b", "c")
    assert found.train == ["train/a/2.png", "train/b/1.png"]
    assert (found.labels.tolist(), found.test_labels.tolist()) == ([0, 1], [0, 2])
    found = layout("train/b/1.png", "train/a/2.png", "val/3.png")
    assert found.labels.tolist() == [0, 1]
    assert found.test_labels is None


def test_railway_trains_are_a_class():
    assert layout("train/1.png", "plane/2.png").class_names == ("plane", "train")


def test_images_beside_the_splits_are_refused():
    with pytest.raises(ValueError, match=r"'train' and 'test' are splits, and 1 images .* extra"):
        layout("train/1.png", "test/2.png", "extra/3.png")
    with pytest.raises(ValueError, match=r"lie beside them, 3.png first"):
        layout("train/1.png", "test/2.png", "3.png")


def test_folders_around_everything_count_for_nothing():
    assert layout("x/y/a/1.png", "x/y/b/2.png", extra=["README"]).class_names == ("a", "b")
    assert layout("x/train/1.png", "x/test/2.png").test == ["x/test/2.png"]
    assert layout("train/a/1.png", "train/b/2.png").class_names == ("a", "b")
    assert layout("x/1.png", "x/2.png").class_names is None


SHARDS = ("00000/img00000000.png", "00001/img00001000.png")


def test_shards_are_no_classes():
    assert layout(*SHARDS).labels is None
    assert layout(*SHARDS, listed='{"labels": null}').labels is None
    found = layout(*SHARDS, listed=json.dumps({"labels": [[SHARDS[1], 6], [SHARDS[0], 2]]}))
    assert found.labels.tolist() == [2, 6]
    assert found.class_names is None
    assert layout(*SHARDS, listed='{"labels": []}', labels=False).labels is None


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("{", "cannot be read as JSON"),
        ('{"labels": 3}', r"no list of \[name, label\]"),
        ('{"labels": [["a"]]}', r"no list of \[name, label\]"),
        ('{"labels": [["00000/img00000000.png", 1]]}', "no label for 00001/img00001000.png"),
        ('{"labels": [["00000/img00000000.png", 0.5]]}', "whole numbers from 0. Received: 00000"),
        ('{"labels": [["00000/img00000000.png", -1]]}', "whole numbers from 0. Received: 00000"),
    ],
)
def test_a_damaged_list_matters_where_labels_are_wanted(listed, message):
    with pytest.raises(ValueError, match=message):
        layout(*SHARDS, listed=listed, labels=True)
    if listed != "{":
        assert layout(*SHARDS, listed=listed).labels is None


def test_a_list_that_is_no_json_is_said():
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        layout(*SHARDS, listed="{")


def test_another_dataset_json_means_nothing():
    assert layout("a/1.png", "b/2.png", listed="{}").class_names == ("a", "b")
