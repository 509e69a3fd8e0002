"""A small network that tells emoji apart, shipped with the package.

Its features are for the quick start and for tests: they rank runs on emoji, and their distances
mean nothing next to those of Inception. `tools/make_emoji_cnn.py` trains it, with augmentations
that are none of the policy's own, so that shifts, holes and colours leaking from the policy into
samples move the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug.evaluation.extractor import Extractor, content_version, resize_antialiased
from tf_diffaug.evaluation.registry import register_extractor

WEIGHTS = Path(__file__).parent / "assets" / "emoji_cnn.npz"
IMAGE_SIZE = 32
NUM_FEATURES = 64
# Raise the number whenever the code below, or what it calls, gives an image other features.
CODE = "emoji-cnn 1"
# (channels, stride) of the 3x3 convolutions; the last map, 4x4, keeps where things are.
CONVOLUTIONS = ((32, 1), (64, 2), (96, 2), (128, 2))


class EmojiCNN(Extractor):
    """The 64 features before the classifier, each of mean 0 and variance 1 over all emoji.

    Images of other sizes are resized to 32x32 with antialiasing; those of one or four channels
    become three, see `Extractor`.
    """

    def __init__(self) -> None:
        super().__init__(
            "emoji-cnn",
            content_version(WEIGHTS, code=CODE),
            resize=f"{IMAGE_SIZE}x{IMAGE_SIZE}, bilinear, antialiased",
        )
        with np.load(WEIGHTS, allow_pickle=False) as stored:
            self._weights = {name: tf.constant(stored[name], tf.float32) for name in stored.files}
        self.num_features = NUM_FEATURES

    def _features(self, images: tf.Tensor) -> tf.Tensor:
        return embed(self._weights, resize_antialiased(images, (IMAGE_SIZE, IMAGE_SIZE)))


@register_extractor(
    "emoji-cnn",
    summary="64 features of a small network shipped with the package",
    use="the embedded emoji",
)
def load(argument: None) -> EmojiCNN:
    del argument
    return EmojiCNN()


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of all weights by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    size, channels = IMAGE_SIZE, 3
    for index, (width, stride) in enumerate(CONVOLUTIONS):
        shapes[f"conv{index}/kernel"] = (3, 3, channels, width)
        shapes[f"conv{index}/bias"] = (width,)
        size, channels = size // stride, width
    shapes["dense/kernel"] = (size * size * channels, NUM_FEATURES)
    shapes["dense/bias"] = (NUM_FEATURES,)
    return shapes


def embed(weights: Mapping[str, Any], images: tf.Tensor) -> tf.Tensor:
    """Returns features (batch, 64) of float images (batch, 32, 32, 3) in [0, 255]."""
    hidden = images / 127.5 - 1.0
    for index, (_, stride) in enumerate(CONVOLUTIONS):
        hidden = tf.nn.conv2d(hidden, weights[f"conv{index}/kernel"], stride, "SAME")
        hidden = tf.nn.leaky_relu(hidden + weights[f"conv{index}/bias"], 0.1)
    flat = tf.reshape(hidden, (-1, weights["dense/kernel"].shape[0]))
    return tf.matmul(flat, weights["dense/kernel"]) + weights["dense/bias"]
