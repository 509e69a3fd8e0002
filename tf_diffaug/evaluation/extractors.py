"""Feature extractors: what turns images into the vectors whose distributions are compared.

An extractor has a `name`, a `version` (a digest of what it computes with, so that two of the same
version give the same features), a description of its `resize`, and maps uint8 images to float32
features. `load_extractor` makes one from its name or a path.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_diffaug.naming import nearest

NAMES = ("emoji-cnn", "inception")
CHOICES = "emoji-cnn, inception, inception:DIRECTORY, the path of a Keras model or SavedModel, none"
EMOJI_DATASETS = ("emoji", "emoji_faces")


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


def load_extractor(name: str | os.PathLike[str]) -> Extractor:
    """Returns the extractor of this name.

    Args:
        name: `emoji-cnn` (shipped with the package), `inception` (TF-GAN's, from TF-Hub),
            `inception:DIRECTORY` (a copy of that module), or the path of a Keras model or of a
            SavedModel directory.

    Raises:
        ValueError: if the name is unknown, or the network cannot be had or does not fit.
    """
    name = check_features(name)
    kind, _, argument = name.partition(":")
    if name == "emoji-cnn":
        from tf_diffaug.evaluation.emoji_cnn import EmojiCNN

        return EmojiCNN()
    if kind == "inception":
        from tf_diffaug.evaluation.inception import Inception

        return Inception(argument or None)
    from tf_diffaug.evaluation.saved import SavedExtractor

    return SavedExtractor(name)


def resolve_features(name: str, dataset_name: str) -> str | None:
    """Returns the extractor's name for a dataset, None for `none`, without loading anything.

    `auto` is `emoji-cnn` for the emoji and `inception` for everything else.

    Raises:
        ValueError: if the name is unknown and no such path exists.
    """
    if name == "none":
        return None
    if name == "auto":
        return "emoji-cnn" if dataset_name in EMOJI_DATASETS else "inception"
    return check_features(name)


def check_features(name: str | os.PathLike[str]) -> str:
    """Returns the name as a string if it can name an extractor; see `load_extractor`."""
    name = os.fspath(name)
    if name in NAMES or name.startswith("inception:") or (name and Path(name).exists()):
        return name
    match = nearest(name, (*NAMES, "auto", "none"))
    hint = f" Did you mean {match!r}?" if match else ""
    raise ValueError(
        f"Unknown features {name!r}, and no such path.{hint} Choose from {CHOICES}. "
        f"Received: features={name!r}."
    )


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
