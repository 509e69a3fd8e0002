"""What every feature extractor is: a map from images to the vectors whose distributions compare.

An extractor has a `name`, a `version` (a digest of what it computes with, so that two of the same
version give the same features), a description of its `resize`, and maps uint8 images to float32
features.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

CHOICES = "emoji-cnn, inception, inception:DIRECTORY, the path of a Keras model or SavedModel, none"


class Extractor:
    """Base of the extractors: checks the images, then runs `_features` as one traced function.

    Args:
        name: what records call it.
        version: digest of its weights and code; features of unlike versions are never compared.
        resize: how images are brought to its input size, for the record.
        channels: channels it takes, or None for any. Grey images are repeated into three.

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
        self._traced = tf.function(self._features, reduce_retracing=True)

    def __call__(self, images: Any) -> tf.Tensor:
        images = tf.convert_to_tensor(images)
        if images.dtype != tf.uint8 or images.shape.rank != 4:
            raise ValueError(
                "images must be uint8 of shape (batch, height, width, channels). "
                f"Received: dtype={images.dtype.name}, shape={images.shape}."
            )
        features = self._traced(self._with_channels(images))
        self.num_features = features.shape[-1]
        return features

    def _with_channels(self, images: tf.Tensor) -> tf.Tensor:
        given = images.shape[-1]
        if self.channels is None or given == self.channels:
            return images
        if given == 1 and self.channels == 3:
            return tf.repeat(images, 3, axis=-1)
        raise ValueError(
            f"{self.name} takes images of {self.channels} channels. Received: channels={given}."
        )

    def _features(self, images: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError


def content_version(path: str | os.PathLike[str]) -> str:
    """A digest of a file, or of the files below a directory with their names."""
    path = Path(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:16]}"


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
