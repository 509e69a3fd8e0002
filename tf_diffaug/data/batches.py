"""Batches in an order that is a function of (seed, step) alone, so that a resume replays nothing.

Example number c of the endless stream is the image at place c mod n of epoch c div n, and each
epoch is every image once in an order of its own. A batch may straddle epochs, so none is short.
"""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.data.core import ImageData
from tf_diffaug.data.packed import gatherer
from tf_diffaug.random import derive, fold_in, uniform


def batches(
    data: ImageData,
    batch_size: int,
    *,
    seed: int,
    start_step: int = 0,
    flip: bool | None = None,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """An infinite dataset of shuffled global batches.

    Args:
        data: the dataset. Images that its loaders made are read in place, others copied once;
            those of a packed dataset are read from disk as a batch needs them.
        batch_size: images in a global batch; more than the dataset has is allowed and wraps
            over epochs.
        seed: the order's and the flips' seed.
        start_step: the number of the first batch. Batch t is the same from any start.
        flip: mirror each image with probability 1/2; None does what is right for the dataset.
        shard: (index, count): of each global batch only rows index · batch_size / count to
            (index + 1) · batch_size / count, for one of several workers. No others are read, and
            these are what they are in the global batch.

    Returns:
        A `tf.data.Dataset` of pairs of images, uint8 (batch_size / count, H, W, C), and labels,
        int32 (batch_size / count,); of images alone where the dataset has no labels.

    Raises:
        ValueError: if the batch size is not positive, the start is negative, or there is no such
            shard.
    """
    if batch_size < 1:
        raise ValueError(f"A batch has one image at least. Received: batch_size={batch_size}.")
    if start_step < 0:
        raise ValueError(f"Steps count from 0. Received: start_step={start_step}.")
    index, count = shard
    if not 0 <= index < count or batch_size % count:
        raise ValueError(
            f"A shard is (index, count), where 0 <= index < count and count divides {batch_size}, "
            f"the batch size. Received: shard={shard}."
        )
    rows = slice(index * batch_size // count, (index + 1) * batch_size // count)
    flip = data.flip if flip is None else flip
    # tf.data runs on the host: elsewhere the whole dataset would first travel to the device.
    with tf.device("CPU:0"):
        images = gatherer(data.images)
        labels = None if data.labels is None else tf.constant(data.labels)
        order_seed, flip_seed = derive(seed, "data_order"), derive(seed, "flip")

    def batch(step: tf.Tensor, indices: tf.Tensor):
        indices = indices[rows]
        chosen = images(indices)
        if flip:
            is_flipped = uniform((batch_size,), fold_in(flip_seed, step))[rows] < 0.5
            chosen = _flip(chosen, is_flipped)
        return chosen if labels is None else (chosen, tf.gather(labels, indices))

    options = tf.data.Options()
    options.deterministic = True
    # Their rewriting copies all images, and there is nothing here for them to find.
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    order = _order(len(data), order_seed, start_step * batch_size)
    indices = order.rebatch(batch_size, drop_remainder=True)
    steps = tf.data.Dataset.counter(start_step)
    # A batch is a gather of some microseconds, or as many short reads: a second thread would only
    # take turns with training.
    dataset = tf.data.Dataset.zip((steps, indices)).map(batch).prefetch(2)
    # `rebatch` loses the knowledge that there is no end, which `fit` asks for.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return dataset.apply(endless).with_options(options)


def _order(num_images: int, seed: tf.Tensor, start: int) -> tf.data.Dataset:
    """Epoch after epoch, int64 vectors of image numbers; the first begins at example `start`.

    A shuffle an epoch, rather than `index_shuffle` at each example: that one tries 65,536 / n
    times for an index below n (10 microseconds each at n = 130), and knows few orders of a small
    dataset (256, at n = 200, from consecutive seeds).
    """
    first, done = divmod(start, num_images)

    def epoch(number: tf.Tensor) -> tf.Tensor:
        images = tf.range(num_images, dtype=tf.int64)
        order = tf.random.experimental.stateless_shuffle(
            images, fold_in(seed, number), alg="philox"
        )
        return order[tf.where(number == first, done, 0) :]

    return tf.data.Dataset.counter(first).map(epoch)


def _flip(images: tf.Tensor, is_flipped: tf.Tensor) -> tf.Tensor:
    # Only the rows to mirror are moved: `tf.where` over all of them takes 3 to 20 times as long.
    rows = tf.where(is_flipped)
    mirrored = tf.reverse(tf.gather(images, rows[:, 0]), axis=[2])
    return tf.tensor_scatter_nd_update(images, rows, mirrored)
