"""What every feature extractor is: a map from images to the vectors whose distributions compare.

An extractor has a `name`, a `version` (a digest of what it computes with, so that two of the same
version give the same features), a description of its `resize`, and maps uint8 images to float32
features. What it does to images of other channels than it takes is the same for all.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

_TO_THREE = "3, grey repeated, alpha on white"


class Outputs(NamedTuple):
    """What one pass of an extractor makes of a batch of images.

    Args:
        features: float32 of shape (batch, num_features).
        probabilities: float32 of shape (batch, num_classes), of each class of its classifier; None
            for a network without one.
    """

    features: tf.Tensor
    probabilities: tf.Tensor | None = None


class Extractor:
    """Base of the extractors: checks the images, then runs `_outputs` as one traced function.

    One without a classifier has `_features` alone.

    Args:
        name: what records call it.
        version: digest of its weights and code; features of unlike versions are never compared.
        resize: how images are brought to its input size, for the record.
        channels: channels it takes, or None for any. One that takes three gets grey images
            repeated, and those of four channels composited on white by the last one, their alpha.

    Call arguments:
        images: uint8 of shape (batch, height, width, channels).

    Returns:
        float32 features of shape (batch, num_features).
    """

    def __init__(self, name: str, version: str, *, resize: str, channels: int | None = 3) -> None:
        self.name = name
        self.version = version
        self.resize = resize
        self.channels = channels
        self.num_features: int | None = None
        self._traced = tf.function(self._outputs, reduce_retracing=True)

    def record(self) -> dict[str, Any]:
        """What a protocol says of the features, ready for JSON.

        `features` (name and version), `resize` and `channels`, what it takes and what is done to
        images of other channels.
        """
        channels = "any" if self.channels is None else str(self.channels)
        return {
            "features": {"name": self.name, "version": self.version},
            "resize": self.resize,
            "channels": _TO_THREE if self.channels == 3 else channels,
        }

    def __call__(self, images: Any) -> tf.Tensor:
        return self.outputs(images).features

    def outputs(self, images: Any) -> Outputs:
        """The features and, of a classifier, the probabilities of the classes, of one pass."""
        images = tf.convert_to_tensor(images)
        if images.dtype != tf.uint8 or images.shape.rank != 4:
            raise ValueError(
                "images must be uint8 of shape (batch, height, width, channels). "
                f"Received: dtype={images.dtype.name}, shape={images.shape}."
            )
        outputs = self._traced(self._with_channels(images))
        self.num_features = outputs.features.shape[-1]
        return outputs

    def embed(self, images: tf.Tensor) -> tf.Tensor:
        """Features of float images, with their gradient if the network has one.

        Args:
            images: float32 of shape (batch, height, width, channels) in [-1, 1], of the channels
                that it takes, or grey.

        Raises:
            ValueError: for images of other channels: alpha is composited in whole numbers.
        """
        given = images.shape[-1]
        if self.channels is not None and given not in (1, self.channels):
            raise ValueError(
                f"{self.name} embeds images of {self.channels} channels, or of 1. "
                f"Received: channels={given}."
            )
        return self._outputs(self._with_channels(127.5 * (images + 1.0))).features

    def _with_channels(self, images: tf.Tensor) -> tf.Tensor:
        given = images.shape[-1]
        if self.channels is None or given == self.channels:
            return images
        if given == 1 and self.channels == 3:
            return tf.repeat(images, 3, axis=-1)
        if given == 4 and self.channels == 3:
            return on_white(images)
        raise ValueError(
            f"{self.name} takes images of {self.channels} channels"
            f"{', and makes 3 of 1 or 4' if self.channels == 3 else ''}. "
            f"Received: channels={given}."
        )

    def _outputs(self, images: tf.Tensor) -> Outputs:
        return Outputs(self._features(images))

    def _features(self, images: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError


def content_version(path: str | os.PathLike[str], *, code: str) -> str:
    """A digest of a file, or of the files below a directory with their names, and of `code`.

    Args:
        path: what holds the weights.
        code: name and number of the code that computes with them. Whoever changes the features that
            the code gives raises the number, or statistics from before would pass for the new ones.
    """
    path = Path(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256(f"{code}\0".encode())
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:16]}"


def on_white(images: tf.Tensor) -> tf.Tensor:
    """uint8 images of four channels, the last one alpha, as a viewer with a white page shows them.

    In whole numbers, so that every device gives the same.
    """
    images = tf.cast(images, tf.int32)
    colors, alpha = images[..., :3], images[..., 3:]
    return tf.cast((colors * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def flatten_features(outputs: tf.Tensor) -> tf.Tensor:
    """Returns features as float32 of shape (batch, d); a feature map is averaged over its area."""
    outputs = tf.cast(outputs, tf.float32)
    if outputs.shape.rank == 4:
        outputs = tf.reduce_mean(outputs, axis=(1, 2))
    if outputs.shape.rank == 2:
        return outputs
    width = outputs.shape[1:].num_elements()
    return tf.reshape(outputs, (tf.shape(outputs)[0], -1 if width is None else width))


def resize_antialiased(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Images as float32 in [0, 255], resized bilinearly with antialiasing where they differ."""
    if tuple(images.shape[1:3]) == size:
        return tf.cast(images, tf.float32)
    return tf.image.resize(images, size, method="bilinear", antialias=True)
