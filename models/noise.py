"""The noise that a generator adds to its maps."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from tf_diffaug import random as stateless


def noise(
    sizes: list[int], batch_size: int | tf.Tensor, seed: tf.Tensor | None, dtype: str
) -> list[tf.Tensor]:
    """Standard normal maps of shape (batch, size, size, 1), one for each size.

    Args:
        sizes: heights, which are also widths.
        batch_size: images of this replica.
        seed: int32 (2,). Without, the maps are constants, each of shape (1, size, size, 1).
        dtype: of the maps.
    """
    if seed is None:
        return [
            tf.constant(_constant_noise(index, size), dtype) for index, size in enumerate(sizes)
        ]
    counts = [size**2 for size in sizes]
    # One draw for all: each costs a fixed time.
    draw = stateless.global_rows(
        lambda rows: stateless.normal((rows, sum(counts)), seed, tf.as_dtype(dtype)), batch_size
    )
    parts = tf.split(draw, counts, axis=1)
    return [tf.reshape(part, (-1, size, size, 1)) for part, size in zip(parts, sizes, strict=True)]


@functools.lru_cache(maxsize=64)
def _constant_noise(index: int, size: int) -> np.ndarray:
    # Drawn here and now on every device and stack: XLA's normals are others.
    with tf.init_scope(), tf.device("CPU"):
        seed = stateless.as_seed(stateless.derive_int(0, "sample", index=index))
        return stateless.normal((1, size, size, 1), seed).numpy()
