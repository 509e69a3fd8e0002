"""Images, and an extractor of their means and spreads."""

import numpy as np
import tensorflow as tf

from tf_diffaug.evaluation import Extractor


class MeanColour(Extractor):
    """Mean and spread of each channel; counts what it sees."""

    def __init__(self, version="1", resize="none", channels=3):
        super().__init__("mean-colour", version, resize=resize, channels=channels)
        self.batches = []

    def __call__(self, images):
        self.batches.append(np.asarray(images))
        return super().__call__(images)

    def _features(self, images):
        images = tf.cast(images, tf.float32)
        moments = [tf.reduce_mean(images, (1, 2)), tf.math.reduce_std(images, (1, 2))]
        return tf.concat(moments, axis=-1)


def some_images(count=50, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 200, (count, 1, 1, 3))
    return (base + rng.integers(0, 56, (count, 8, 8, 3))).astype(np.uint8)
