"""Normal noise as a function of an image's key and the place in it.

A stateless random op takes one seed for a whole batch, and its normal numbers differ between XLA
and the rest. Noise that can be replayed, for some rows of a batch too, needs a key per image: here
each number is a hash of (key, place), so that it depends neither on the batch nor on the device.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tf_diffaug.augment.maps import Size, image_shape

# Of a uniform float32, what `random.uniform` gives.
_KEY_BITS = 23
# The step of the places, odd and near 2**32 divided by the golden ratio: places next to each other
# are far apart in the words that are hashed.
_STEP = 0x9E3779B9


def normal_noise(keys: tf.Tensor, size: Size) -> tf.Tensor:
    """Standard normal float32 (N, size), each row a function of its key.

    Counter-based: MurmurHash3's 32-bit finaliser (public domain, A. Appleby) over the place, keyed
    with the key's two words before and between two rounds; then Box-Muller. Its two numbers go
    to the two halves of the row, so that a row of another size is another noise. Of 24 bits a
    number, it ends at 5.8 standard deviations.

    Args:
        keys: float32 (N, 2) in [0, 1], as drawn by `random.uniform`.
        size: numbers per row.
    """
    words = tf.cast(tf.stop_gradient(keys) * 2.0**_KEY_BITS, tf.uint32)
    # A hash maps 0 to 0, hence the 1 and 2.
    first, second = (_hashed(words[:, i : i + 1] + _word(i + 1)) for i in range(2))
    pairs = (size + 1) // 2
    places = tf.cast(tf.range(2 * pairs), tf.uint32)[None, :] * _word(_STEP)
    hashed = _hashed(_hashed(places + first) ^ second)
    uniform = tf.cast(tf.bitwise.right_shift(hashed, _word(8)), tf.float32) * 2.0**-24
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - uniform[:, :pairs]))
    angle = 2.0 * math.pi * uniform[:, pairs:]
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)[:, :size]


def image_noise(keys: tf.Tensor, sigma: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Noise for images (N, H, W, C), float32 of their shape: sigma·N(0, 1), as `normal_noise`.

    Args:
        keys: float32 (N, 2) in [0, 1].
        sigma: float32 (N,), in units of the images.
        images: whose shape it has.
    """
    batch, height, width, channels = image_shape(images)
    noise = sigma[:, None] * normal_noise(keys, height * width * channels)
    return tf.reshape(noise, [batch, height, width, channels])


def _word(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)


def _hashed(words: tf.Tensor) -> tf.Tensor:
    """A permutation of the 32-bit words in which every bit depends on every bit."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        words = (words ^ tf.bitwise.right_shift(words, _word(shift))) * _word(factor)
    return words ^ tf.bitwise.right_shift(words, _word(16))
