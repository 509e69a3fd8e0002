"""Images are held once: where TensorFlow reads them is where the loader put them."""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_diffaug.data import ImageData, batches, load, memory, subset


def is_shared(images):
    """Whether what is written to the images is seen in their tensor."""
    tensor = memory.as_tensor(images)
    np.testing.assert_array_equal(tensor, images)
    before = int(images[0, 0, 0, 0])
    images[0, 0, 0, 0] = before ^ 255
    seen = int(tensor[0, 0, 0, 0])
    images[0, 0, 0, 0] = before
    return seen == before ^ 255


def test_room_is_shared_and_outlives_its_array():
    images = memory.empty((5, 3, 2, 1))
    images[:] = np.arange(30).reshape(images.shape)
    assert is_shared(images)
    tensor = memory.as_tensor(images)
    del images
    np.testing.assert_array_equal(tf.reshape(tensor, -1), np.arange(30))


def unaligned():
    return memory.empty((4 * 2 * 2 * 3 + 1, 1, 1, 1)).reshape(-1)[1:].reshape(4, 2, 2, 3)


def read_only():
    images = memory.empty((4, 2, 2, 3))
    images.flags.writeable = False
    return images


@pytest.mark.parametrize(
    "make",
    [
        unaligned,
        read_only,
        lambda: memory.empty((8, 2, 2, 3))[::2],
        lambda: memory.empty((0, 2, 2, 3)),
    ],
)
def test_other_arrays_are_copied(make):
    images = make()
    np.testing.assert_array_equal(memory.as_tensor(images), images)


def test_loaders_make_images_that_are_shared(tmp_path, rng):
    for index in range(4):
        pixels = rng.integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    folder = load(f"folder:{tmp_path}")
    assert is_shared(folder.images)
    assert is_shared(subset(folder, num_images=3).images)
    assert is_shared(load("emoji_faces", resolution=8).images)


def test_batches_read_shared_images_where_they_lie():
    images = memory.empty((3, 2, 2, 1))
    images[:] = 1
    dataset = iter(batches(ImageData("mine", images, None, flip=False), 3, seed=0))
    assert next(dataset).numpy().max() == 1
    images[:] = 7  # prefetched batches are made already
    assert 7 in {int(next(dataset).numpy().max()) for _ in range(8)}


def test_free_memory_is_some_of_what_there_is():
    assert 1 << 20 < memory.available() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_free_memory_where_the_system_does_not_say(monkeypatch):
    for broken in (lambda path: "no such line", lambda path: pathlib.Path("/nowhere").read_bytes()):
        monkeypatch.setattr("pathlib.Path.read_text", broken)
        assert memory.available() > 1 << 20
