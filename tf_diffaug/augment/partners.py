"""The other image of the batch, for ops that mix.

Call them on images of one kind: on reals and fakes in one batch they would show the discriminator
half-real images, which is not the papers' method. Labels stay the base image's. The partner is
drawn as a fraction u of the others: that of image i of N is (i + 1 + floor(u·(N - 1))) mod N, so
that every other image is equally likely, and the draw can be replayed on a batch of another size;
an image alone is its own partner. Gradients pass to both images.
"""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.augment.maps import image_shape
from tf_diffaug.augment.op import Shape, unpack_shape


def partners(fraction: tf.Tensor, shape: Shape) -> tf.Tensor:
    """The index of each image's partner, int32 (N,), from a fraction in [0, 1] of the others."""
    batch = unpack_shape(shape)[0]
    others = tf.maximum(batch - 1, 0)
    steps = tf.cast(tf.floor(fraction * tf.cast(others, fraction.dtype)), tf.int32)
    steps = tf.minimum(steps, tf.maximum(others - 1, 0))
    return (tf.range(batch) + 1 + steps) % tf.maximum(batch, 1)


def take(images: tf.Tensor, partner: tf.Tensor) -> tf.Tensor:
    """images[partner], whose gradient is the sum over who took an image, of any order and dense."""
    batch, *_ = image_shape(images)

    @tf.custom_gradient
    def gather(images):
        return tf.gather(images, partner), give

    @tf.custom_gradient
    def give(upstream):
        return tf.math.unsorted_segment_sum(upstream, partner, batch), gather

    return gather(images)
