"""Images that NumPy and TensorFlow both read where they lie, so that they are held once."""

from __future__ import annotations

import math
import os
import pathlib
import re

import numpy as np
import tensorflow as tf

# What TensorFlow asks of memory that it is to read in place.
_ALIGNMENT = 64


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """Room for uint8 images that `as_tensor` can share."""
    size = math.prod(shape)
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].reshape(shape)


def available() -> int:
    """Bytes that this process could still have, as far as the system says."""
    try:
        known = pathlib.Path("/proc/meminfo").read_text()
        return int(re.search(r"MemAvailable:\s+(\d+) kB", known)[1]) << 10
    except (OSError, TypeError):  # no Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def as_tensor(images: np.ndarray) -> tf.Tensor:
    """The images as a tensor on the host: the same memory where that can be, a copy elsewhere.

    Whoever writes to shared images changes the tensor.
    """
    shareable = images.flags.c_contiguous and images.flags.writeable and images.size
    with tf.device("CPU:0"):
        if shareable and images.ctypes.data % _ALIGNMENT == 0:
            return tf.experimental.dlpack.from_dlpack(images.__dlpack__())
        return tf.constant(images)
