"""Images that are read from a file: an array to all that looks at them, and damage is found."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.packs import flip_bit, packed, write_pictures
from tf_diffaug.data import PackedImages, batches, hide_labels, load, pack, subset
from tf_diffaug.data.packed import DamagedRecordError, blocks, damage_named, digest_images

SIZE = 8 * 8 * 3


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same images in memory and packed, with held-out ones."""
    folder = tmp_path_factory.mktemp("both")
    name = f"folder:{write_pictures(folder / 'pictures', count=20, test=5)}"
    out = pack(name, folder / "packed", resolution=8)
    return load(name, resolution=8), load(f"packed:{out}")


INDICES = [
    0,
    -1,
    slice(None),
    slice(3, 11),
    slice(10, 2, -3),
    slice(5, 5),
    np.array([7, 7, 0, 19, 1, 2, 3]),
    np.array([[1, 2], [2, -20], [0, 19]]),
    np.arange(20) % 3 == 0,
    [4, 5],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_it_is_indexed_as_an_array_is(both, index):
    held, read = (data.images for data in both)
    assert isinstance(read, PackedImages)
    found = read[index]
    np.testing.assert_array_equal(found, held[index])
    assert (found.dtype, found.shape) == (np.uint8, held[index].shape)


def test_it_says_of_itself_what_an_array_does(both):
    held, read = (data.images for data in both)
    assert (len(read), read.shape, read.dtype, read.ndim) == (20, held.shape, held.dtype, held.ndim)
    np.testing.assert_array_equal(np.asarray(read), held)
    np.testing.assert_array_equal(np.concatenate(list(blocks(read))), held)
    with pytest.raises(IndexError):
        read[20]
    with pytest.raises(ValueError, match="axis=1"):
        read.take(np.arange(2), axis=1)


def test_a_part_of_a_part(both):
    held, read = both
    rows, among = np.array([2, 0, 1]), np.array([9, 4, 7, 1])
    np.testing.assert_array_equal(read.images.take(among).take(rows)[:], held.images[among][rows])
    np.testing.assert_array_equal(read.test.take(rows)[:], held.test[rows])


def test_blocks_are_small(both, monkeypatch):
    monkeypatch.setattr("tf_diffaug.data.packed._BLOCK_BYTES", 3 * SIZE)
    assert [len(block) for block in blocks(both[1].images)] == [3] * 6 + [2]


def unread(monkeypatch):
    def read(*arguments, **options):
        raise AssertionError("it was read")

    monkeypatch.setattr("tf_diffaug.data.packed.Records.read", read)


def test_fingerprints_are_those_of_memory_and_need_no_reading(both, monkeypatch):
    held, read = both
    with monkeypatch.context() as context:
        unread(context)
        assert read.fingerprint == held.fingerprint
        assert digest_images(read.images) == digest_images(held.images)
        assert digest_images(read.test) == digest_images(held.test)
        part = subset(read, num_images=7)
        assert part.images.shape == (7, 8, 8, 3)
    assert part.fingerprint == subset(held, num_images=7).fingerprint
    hidden = [hide_labels(data, 0.5).fingerprint for data in (held, read)]
    assert hidden[0] == hidden[1] != held.fingerprint


@pytest.mark.parametrize("mode", ["random", "paper", "balanced"])
def test_parts_are_those_of_memory(both, mode):
    held, read = (subset(data, fraction=0.4, mode=mode) for data in both)
    assert isinstance(read.images, PackedImages)
    np.testing.assert_array_equal(read.images[:], held.images)
    np.testing.assert_array_equal(read.labels, held.labels)
    assert digest_images(read.images) == digest_images(held.images)


def test_batches_are_those_of_memory(both):
    for part in (both, [subset(data, num_images=9) for data in both]):
        streams = [batches(data, 6, seed=3, start_step=2, flip=True).take(8) for data in part]
        assert streams[0].element_spec == streams[1].element_spec
        for (images, labels), (images_read, labels_read) in zip(*streams, strict=True):
            np.testing.assert_array_equal(images_read, images)
            np.testing.assert_array_equal(labels_read, labels)


def test_replicas_share_a_batch_that_is_read(both, two_replicas):
    distributed = iter(two_replicas.experimental_distribute_dataset(batches(both[1], 6, seed=0)))
    for images, _ in batches(both[0], 6, seed=0).take(4):
        shares = two_replicas.experimental_local_results(next(distributed)[0])
        np.testing.assert_array_equal(np.concatenate(shares), images)


@pytest.fixture
def damaged(tmp_path):
    """A packed data set, of which record 3 has lost a bit."""
    folder = packed(tmp_path)
    flip_bit(folder / "images.bin", 3 * SIZE + 40)
    return folder


def test_a_damaged_record_is_named(damaged):
    images = load(f"packed:{damaged}").images
    np.testing.assert_array_equal(images[:3], images[[0, 1, 2]])
    with pytest.raises(DamagedRecordError, match=r"^Record 3 of .*images.bin is damaged"):
        images[2:5]


def test_a_damaged_record_ends_training_in_one_line(damaged):
    data = load(f"packed:{damaged}")
    with (
        pytest.raises(DamagedRecordError, match=r"^Record 3 of [^\n]*$"),
        damage_named(data.images),
    ):
        for _ in batches(data, 5, seed=0).take(3):
            pass


def test_errors_of_other_kinds_stay_what_they_are(both):
    for data in both:
        with pytest.raises(tf.errors.InvalidArgumentError), damage_named(data.images):
            tf.debugging.assert_equal(1, 2)


def test_another_of_its_class_stands_in_for_a_damaged_record(damaged, tmp_path, caplog):
    flip_bit(damaged / "images.bin", 4 * SIZE)  # the last cat, after which comes the first
    flip_bit(damaged / "images.bin", SIZE)
    held = load(f"folder:{tmp_path}/pictures", resolution=8)
    assert held.labels.tolist() == [0] * 5 + [1] * 5
    data = load(f"packed:{damaged}", skip_broken=True)
    expected = held.images.copy()
    expected[[1, 3, 4]] = held.images[[2, 0, 0]]
    for _ in range(2):
        with damage_named(data.images):
            np.testing.assert_array_equal(data.images[:], expected)
    assert data.images.records.damaged == {1: 2, 3: 0, 4: 0}
    assert data.fingerprint == held.fingerprint
    first, second, third, *ends = caplog.messages
    assert re.fullmatch(r"Record 1 of .* is damaged: record 2 stands in .* \(1 so far\)\.", first)
    assert second.endswith("(2 so far).")
    assert third.endswith("(3 so far).")
    assert len(ends) == 2
    words = r"3 damaged records of .* stand in for them: 1, 3, 4\."
    assert all(re.search(words, end) for end in ends)
    # Which one stands in does not depend on what was read before.
    again = load(f"packed:{damaged}", skip_broken=True)
    np.testing.assert_array_equal(again.images[[4, 1, 3]], expected[[4, 1, 3]])


def test_a_stand_in_is_of_the_part_that_is_trained_on(damaged):
    data = load(f"packed:{damaged}", skip_broken=True)
    part = data.images.take(np.array([3, 1, 7]))
    np.testing.assert_array_equal(part[0], data.images[1])


def test_a_record_without_another_of_its_class_is_named(damaged):
    data = load(f"packed:{damaged}", skip_broken=True)
    with pytest.raises(DamagedRecordError, match=r"^No record of .* damaged record 3\.$"):
        data.images.take(np.array([3, 7]))[:]


def test_a_file_that_is_cut_short_while_it_is_read(tmp_path):
    folder = packed(tmp_path)
    images = load(f"packed:{folder}").images
    with (folder / "images.bin").open("r+b") as file:
        file.truncate(9 * SIZE + 5)
    np.testing.assert_array_equal(images[8], images[[8]][0])
    with pytest.raises(DamagedRecordError, match="Record 9 of"):
        images[:]


def test_files_are_closed_with_their_last_reader(tmp_path):
    before = len(list(pathlib.Path("/proc/self/fd").iterdir()))
    folder = packed(tmp_path)
    for _ in range(5):
        load(f"packed:{folder}")
    assert len(list(pathlib.Path("/proc/self/fd").iterdir())) <= before + 1
