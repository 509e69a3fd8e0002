"""Seeds as a function of (seed, purpose, step, replica).

Nothing in this package keeps a generator, and only `fresh_seed` reads a global one: every draw
names what it is for, so that a resumed run needs only its step, a second replica draws other
numbers by construction, and two purposes never share a stream. Draws use the Philox generator on
every device.
"""

from __future__ import annotations

import functools
import hashlib
import math
import operator
import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# The position is part of every seed: append, never reorder.
PURPOSES = (
    "init",
    "latent",
    "labels",
    "augment_real",
    "augment_fake",
    "augment_generator",
    "augment",
    "data_order",
    "flip",
    "subset",
    "measure",
    "preview",
    "sample",
    "regularizer",
    "generator",
    "standing",
    "view",
    "probe",
    "metric",
    "image",
    "evaluation",
)


def _index(purpose: str) -> int:
    if purpose not in PURPOSES:
        raise ValueError(f"Unknown purpose; choose from {PURPOSES}. Received: purpose={purpose!r}.")
    return PURPOSES.index(purpose)


def fresh_seed() -> int:
    """A seed in [0, 2**32) for who was given none, from Python's generator.

    That is the one that `keras.utils.set_random_seed` seeds under Keras 2 and 3 alike.
    """
    return random.getrandbits(32)


def whole_seed(seed: Any) -> int:
    """A seed of Python, NumPy or a scalar tensor as an int.

    Raises:
        ValueError: if it is no integer.
    """
    try:
        return operator.index(seed)
    except TypeError:
        raise ValueError(f"A seed is an integer. Received: seed={seed!r}.") from None


def as_seed(seed: int | Any) -> tf.Tensor:
    """Returns `seed` as an int32 tensor of shape (2,).

    An integer, NumPy's and a scalar tensor included, fills both words, low half first.

    Raises:
        ValueError: if it is neither an integer nor integers of shape (2,).
    """
    if isinstance(seed, (int, np.integer)):
        seed = int(seed)
        words = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]
        return tf.constant([w - (1 << 32) if w >= 1 << 31 else w for w in words], tf.int32)
    seed = tf.convert_to_tensor(seed)
    if not seed.dtype.is_integer or seed.shape not in ((), (2,)):
        raise ValueError(
            "A seed is an integer or integers of shape (2,). "
            f"Received: shape={seed.shape}, dtype={seed.dtype.name}."
        )
    if seed.shape.rank == 0:
        wide = tf.cast(seed, tf.int64)
        seed = tf.stack([wide, tf.bitwise.right_shift(wide, tf.constant(32, tf.int64))])
    return tf.cast(seed, tf.int32)


def fold_in(seed: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    """Folds an integer into a seed of shape (2,), giving another.

    A step past 2**31 wraps, so that an int64 counter may be given on every device.
    """
    data = tf.cast(data, tf.int32)
    return tf.random.experimental.stateless_fold_in(seed, data, alg="philox")


def name_index(name: str) -> int:
    """An int in [0, 2**31) to fold into a seed for a name, so that names need no numbering."""
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def derive(
    seed: int | Any,
    purpose: str,
    *,
    step: int | tf.Tensor | None = None,
    replica: int | tf.Tensor | None = None,
) -> tf.Tensor:
    """Folds (seed, purpose, step, replica) into one stateless seed.

    Args:
        seed: the run's seed, an int or an integer tensor of shape (2,). 0 is a valid seed.
        purpose: what the draw is for, one of `PURPOSES`.
        step: the training step, if the draw has one.
        replica: the replica's number, if each replica must draw other numbers.

    Returns:
        An int32 tensor of shape (2,) for TensorFlow's stateless random ops.

    Raises:
        ValueError: if the purpose is not one of `PURPOSES`.
    """
    # What is given is part of it, so that a draw with no step is never that of step 0.
    code = 4 * _index(purpose) + 2 * (step is not None) + (replica is not None)
    if isinstance(seed, int):
        derived = tf.constant(_fold_once(seed, code), tf.int32)
    else:
        derived = fold_in(as_seed(seed), code)
    for part in (step, replica):
        if part is not None:
            derived = fold_in(derived, part)
    return derived


@functools.lru_cache(maxsize=1024)
def _fold_once(seed: int, code: int) -> tuple[int, ...]:
    """The first fold, done while a graph is traced: it is the same at every step."""
    with tf.init_scope():
        return tuple(fold_in(as_seed(seed), code).numpy().tolist())


def derive_int(seed: int, purpose: str, *, index: int = 0) -> int:
    """A Python int in [0, 2**31) from (seed, purpose, index), for what takes no seed tensor."""
    text = f"{seed}/{_index(purpose)}/{index}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "little") & 0x7FFFFFFF


def place_among_replicas(
    batch_size: int | tf.Tensor,
) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """Where this replica's rows begin in the global batch, and how many rows that has.

    A size known as a Python int is that of every replica. One that is not, of a data set whose last
    batch is a smaller one, may differ between replicas or be 0 on some: they tell each other.

    Args:
        batch_size: rows of this replica.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0, batch_size
    replica, count = context.replica_id_in_sync_group, context.num_replicas_in_sync
    if isinstance(batch_size, int):
        return replica * batch_size, batch_size * count
    own = tf.one_hot(replica, count) * tf.cast(batch_size, tf.float32)
    sizes = tf.cast(context.all_reduce(tf.distribute.ReduceOp.SUM, own), tf.int32)
    start = tf.reduce_sum(tf.where(tf.range(count) < replica, sizes, 0))
    return start, tf.reduce_sum(sizes)


def global_rows(make: Callable[[int | tf.Tensor], Any], batch_size: int | tf.Tensor) -> Any:
    """This replica's rows of a draw made for the global batch; alone, all of it.

    Every replica makes the whole draw and keeps its part: the numbers differ between replicas, and
    two replicas together see exactly what one would.

    Args:
        make: from a number of rows to a nest of tensors with that leading dimension.
        batch_size: rows of one replica.
    """
    start, total = place_among_replicas(batch_size)
    if total is batch_size:
        return make(batch_size)

    def rows(draw: tf.Tensor) -> tf.Tensor:
        rest = draw.shape[1:]
        # tf.slice has a static size, which a TPU needs; draw[a:b] has not.
        return tf.slice(draw, [start, *[0] * len(rest)], [batch_size, *rest])

    return tf.nest.map_structure(rows, make(total))


def truncated_normal(
    shape: Sequence[int] | tf.Tensor, seed: tf.Tensor, threshold: float
) -> tf.Tensor:
    """Standard normal float32 given that all of them lie in [-threshold, threshold].

    BigGAN's truncation trick (arXiv 1809.11096, section 3.1), which redraws what lies outside; this
    is the same distribution, by the inverse of its distribution function.

    Raises:
        ValueError: if the threshold is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"The threshold is positive. Received: threshold={threshold}.")
    below = 0.5 * math.erfc(threshold / math.sqrt(2.0))
    numbers = uniform(shape, seed)
    # By the lower tail and its mirror image: near 1 a float32 can't tell one tail from another.
    tails = below + (1.0 - 2.0 * below) * tf.minimum(numbers, 1.0 - numbers)
    normals = tf.math.ndtri(tails)
    return tf.clip_by_value(tf.where(numbers < 0.5, normals, -normals), -threshold, threshold)


def categorical(count: int | tf.Tensor, seed: tf.Tensor, frequencies: Sequence[float]) -> tf.Tensor:
    """int32 (count,): i with probability proportional to `frequencies[i]`.

    Raises:
        ValueError: if a frequency is negative, or none is positive.
    """
    weights = np.asarray(frequencies, np.float64)
    if weights.ndim != 1 or not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError(
            f"Frequencies are 0 or more, one at least above. Received: {list(frequencies)}."
        )
    last = int(np.flatnonzero(weights)[-1])
    bounds = tf.constant(np.cumsum(weights) / weights.sum(), tf.float32)
    found = tf.searchsorted(bounds, uniform([count], seed), side="right", out_type=tf.int32)
    return tf.minimum(found, last)  # rounding may leave the last bound below 1


def uniform(
    shape: Sequence[int] | tf.Tensor,
    seed: tf.Tensor,
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Uniform floats in [minval, maxval)."""
    return tf.random.stateless_uniform(shape, seed, minval, maxval, dtype, alg="philox")


def normal(
    shape: Sequence[int] | tf.Tensor, seed: tf.Tensor, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Standard normal floats."""
    return tf.random.stateless_normal(shape, seed, dtype=dtype, alg="philox")


def integers(
    shape: Sequence[int] | tf.Tensor,
    seed: tf.Tensor,
    minval: int | tf.Tensor,
    maxval: int | tf.Tensor,
) -> tf.Tensor:
    """Uniform int32 in [minval, maxval)."""
    return tf.random.stateless_uniform(shape, seed, minval, maxval, tf.int32, alg="philox")
