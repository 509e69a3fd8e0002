"""ImageData, subsets, and datasets by name."""

import dataclasses

import numpy as np
import pytest

from tf_diffaug.data import ImageData, hide_labels, load, subset
from tf_diffaug.data.core import MOST_CLASSES


def numbered(n, classes=5, seed=0):
    labels = np.random.default_rng(seed).integers(0, classes, n)
    images = np.arange(n, dtype=np.uint32).view(np.uint8).reshape(n, 1, 4, 1)
    return ImageData("numbered", images, labels, test=np.zeros((3, 1, 4, 1), np.uint8))


def numbers(data):
    return data.images.reshape(len(data), 4).view(np.uint32)[:, 0]


def test_random_subset_keeps_pairs_and_the_test_split():
    data = numbered(100)
    part = subset(data, num_images=20, seed=3)
    chosen = numbers(part)
    assert len(set(chosen)) == len(part) == 20
    np.testing.assert_array_equal(part.labels, data.labels[chosen])
    assert part.test is data.test


def test_random_subsets_nest_and_follow_their_seed():
    data = numbered(100)
    small, large = (numbers(subset(data, fraction=f, seed=0)) for f in (0.1, 0.2))
    np.testing.assert_array_equal(small, large[:10])
    assert set(small) != set(numbers(subset(data, fraction=0.1, seed=1)))
    np.testing.assert_array_equal(small, numbers(subset(data, num_images=10)))


def test_random_subset_is_uniform():
    data = numbered(10)
    counts = np.zeros(10)
    for seed in range(500):
        counts[numbers(subset(data, num_images=3, seed=seed))] += 1
    assert abs(counts - 150).max() < 5 * np.sqrt(500 * 0.3 * 0.7)


@pytest.mark.parametrize("seed", [0, 7])
def test_paper_subset_is_the_published_draw(seed):
    data = numbered(1000)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    chosen = numbers(subset(data, fraction=0.1, mode="paper", seed=seed))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    np.testing.assert_array_equal(chosen, np.random.choice(1000, 100, replace=False))  # noqa: NPY002


def test_balanced_subset():
    data = numbered(1000)
    part = subset(data, num_images=103, mode="balanced", seed=0)
    counts = np.bincount(part.labels)
    assert sorted(counts) == [20, 20, 21, 21, 21]
    assert len(set(numbers(part))) == 103
    other = subset(data, num_images=103, mode="balanced", seed=1)
    assert set(numbers(part)) != set(numbers(other))


def test_balanced_subset_takes_all_of_a_small_class():
    data = dataclasses.replace(numbered(20), labels=np.repeat([0, 1, 2], [2, 9, 9]))
    assert np.bincount(subset(data, num_images=12, mode="balanced").labels).tolist() == [2, 5, 5]


@pytest.mark.parametrize("mode", ["random", "paper", "balanced"])
def test_all_of_it(mode):
    data = numbered(30)
    assert set(numbers(subset(data, fraction=1.0, mode=mode))) == set(range(30))


def test_neither_is_the_whole():
    data = numbered(30)
    assert subset(data) is data


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0.5, "num_images": 3}, "not both. Received: fraction=0.5, num_images=3"),
        ({"fraction": 0}, r"\(0, 1\]. Received: fraction=0"),
        ({"fraction": 1.5}, "Received: fraction=1.5"),
        ({"fraction": float("nan")}, "Received: fraction=nan"),
        ({"fraction": 0.01}, "none of 30 images. Received: fraction=0.01"),
        ({"num_images": 31}, "1 to 30, all there are. Received: num_images=31"),
        ({"num_images": 0}, "Received: num_images=0"),
        ({"num_images": 3, "mode": "balance"}, "Did you mean 'balanced'"),
        ({"num_images": 3, "mode": "paper", "seed": -1}, "Received: seed=-1"),
    ],
)
def test_impossible_subsets(options, message):
    with pytest.raises(ValueError, match=message) as error:
        subset(numbered(30), **options)
    assert "\n" not in str(error.value)


def test_a_label_that_would_make_more_classes_than_memory_holds():
    labels = np.zeros(30, np.int32)
    labels[3] = MOST_CLASSES - 1
    assert dataclasses.replace(numbered(30), labels=labels).num_classes == MOST_CLASSES
    labels[3] = MOST_CLASSES
    with pytest.raises(ValueError, match=r"below 1,048,576\. Received: labels, .* 1048576\."):
        dataclasses.replace(numbered(30), labels=labels)


def test_balance_needs_labels():
    data = dataclasses.replace(numbered(30), labels=None)
    with pytest.raises(ValueError, match="no labels to balance"):
        subset(data, num_images=3, mode="balanced")


def test_hidden_labels_follow_their_seed_and_nest():
    data = numbered(100)
    hidden = hide_labels(data, 0.2, seed=3)
    known = hidden.labels >= 0
    assert known.sum() == 20
    np.testing.assert_array_equal(hidden.labels, np.where(known, data.labels, -1))
    assert hidden.images is data.images
    assert hidden.test is data.test
    smaller, other = hide_labels(data, 0.1, seed=3), hide_labels(data, 0.2, seed=4)
    assert known[smaller.labels >= 0].all()
    assert np.any(known != (other.labels >= 0))
    assert hidden.fingerprint not in (data.fingerprint, other.fingerprint)
    np.testing.assert_array_equal(hide_labels(data, 1.0).labels, data.labels)


def test_hidden_labels_are_drawn_apart_from_the_subset():
    data = numbered(100)
    chosen = numbers(subset(data, fraction=0.2, seed=3))
    assert set(chosen) != set(np.flatnonzero(hide_labels(data, 0.2, seed=3).labels >= 0))


def test_a_class_whose_labels_are_all_hidden_is_still_a_class():
    data = dataclasses.replace(numbered(50), labels=np.arange(50) // 49)
    hidden = next(h for s in range(9) if (h := hide_labels(data, 0.1, seed=s)).labels.max() == 0)
    assert hidden.num_classes == 2
    named = hide_labels(dataclasses.replace(data, class_names=("a", "b")), 0.1)
    assert named.class_names == ("a", "b")


def test_labels_that_cannot_be_hidden():
    data = numbered(30)
    for fraction in (0, 1.5, 0.01):
        with pytest.raises(ValueError, match=f"Received: fraction={fraction}"):
            hide_labels(data, fraction)
    with pytest.raises(ValueError, match="no labels to hide"):
        hide_labels(dataclasses.replace(data, labels=None), 0.5)
    hidden = hide_labels(data, 0.5)
    with pytest.raises(ValueError, match="hidden already"):
        hide_labels(hidden, 0.5)
    with pytest.raises(ValueError, match="not all labels to balance"):
        subset(hidden, num_images=3, mode="balanced")


def test_fingerprint_tells_content_apart_and_nothing_else():
    data = numbered(30)
    same = dataclasses.replace(data, name="other", images=data.images.copy(), test=None)
    assert data.fingerprint == same.fingerprint
    assert len(data.fingerprint) == 64
    changed = data.images.copy()
    changed[0, 0, 0, 0] ^= 1
    others = [
        dataclasses.replace(data, images=changed),
        dataclasses.replace(data, images=data.images.reshape(30, 4, 1, 1), test=None),
        dataclasses.replace(data, labels=data.labels[::-1]),
        dataclasses.replace(data, labels=None),
        subset(data, num_images=29),
    ]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_fingerprint_of_a_view_is_that_of_its_copy():
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    view = ImageData("view", images[::2, :, ::-1])
    assert view.fingerprint == ImageData("copy", images[::2, :, ::-1].copy()).fingerprint


@pytest.mark.parametrize(
    "fields",
    [
        {"images": np.zeros((2, 3, 3), np.uint8)},
        {"images": np.zeros((2, 3, 3, 1), np.float32)},
        {"images": np.zeros((0, 3, 3, 1), np.uint8)},
        {"labels": np.zeros(3, np.int32)},
        {"labels": np.array([-2, 0])},
        {"labels": np.array([0, 2]), "class_names": ("a", "b")},
        {"test": np.zeros((2, 3, 4, 1), np.uint8)},
    ],
)
def test_what_does_not_fit_together(fields):
    with pytest.raises(ValueError, match="Received: "):
        ImageData(**{"name": "x", "images": np.zeros((2, 3, 3, 1), np.uint8), **fields})


def test_number_of_classes():
    data = numbered(30)
    assert data.num_classes == 5
    assert dataclasses.replace(data, labels=None).num_classes is None
    assert dataclasses.replace(data, class_names=tuple("abcdefg")).num_classes == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar1O"}, "Unknown dataset 'cifar1O'. Did you mean 'cifar10'?"),
        ({"name": "Emoji"}, "Did you mean 'emoji'?"),
        ({"name": "folder"}, "Did you mean 'folder:PATH'?"),
        ({"name": "emoji", "resolution": 0}, "Received: resolution=0"),
        ({"name": "emoji", "channels": 4}, "Received: channels=4"),
        ({"name": "emoji", "data_dir": "there"}, "Received: data_dir='there'"),
    ],
)
def test_load_says_what_is_wrong_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as error:
        load(**arguments)
    assert "\n" not in str(error.value)


def test_hidden_labels_need_the_names_of_the_classes():
    images = np.zeros((2, 3, 3, 1), np.uint8)
    with pytest.raises(ValueError, match="class_names=None"):
        ImageData("x", images, labels=np.array([-1, 1]))
    assert ImageData("x", images, labels=np.array([-1, 1]), class_names=("a", "b")).num_classes == 2


def test_labels_are_whole_numbers_one_an_image():
    images = np.zeros((2, 3, 3, 1), np.uint8)
    for labels in (np.eye(2), np.array([0.5, 1]), np.array(["a", "b"])):
        with pytest.raises(ValueError, match="whole numbers"):
            ImageData("x", images, labels=labels)
    assert ImageData("x", images, labels=np.array([[1.0], [0.0]])).labels.tolist() == [1, 0]


def test_classes_without_an_image_are_counted():
    images = np.zeros((3, 3, 3, 1), np.uint8)
    data = ImageData("x", images, np.array([2, -1, 2]), class_names=tuple("abcd"))
    assert data.label_counts().tolist() == [0, 0, 2, 0]
    assert ImageData("x", images).label_counts() is None
