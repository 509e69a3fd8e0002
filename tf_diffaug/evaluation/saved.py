"""Features of any saved model: a Keras file or a SavedModel directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_diffaug.evaluation.extractor import (
    Extractor,
    content_version,
    flatten_features,
    resize_antialiased,
)
from tf_diffaug.evaluation.registry import unusable
from tf_diffaug.keras_file import load_keras_file

# Raise the number whenever the code below, or what it calls, gives an image other features.
CODE = "saved 1"


class SavedExtractor(Extractor):
    """The output of a saved model, given float32 images in [0, 255].

    Images are resized, with antialiasing, to the model's input size if that is fixed; a model that
    wants another range scales inside. Feature maps are averaged over their area, other outputs
    flattened.

    Args:
        path: a Keras model (`.keras`, `.h5`), or a SavedModel directory with the signature
            `serving_default` of one image input and one output (or one called `pool_3`).

    Raises:
        ValueError: if it cannot be loaded, or its input is no batch of images.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        try:
            load = _load_saved_model if path.is_dir() else _load_keras
            self._model, self._run, shape = load(path)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:300]
            raise unusable(
                f"The model cannot be used for features ({reason}).", str(path)
            ) from error
        height, width, channels = shape
        self._size = None if height is None or width is None else (height, width)
        resize = f"{height}x{width}, bilinear, antialiased" if self._size else "none"
        version = content_version(path, code=CODE)
        super().__init__(path.name, version, resize=resize, channels=channels)

    def _features(self, images: tf.Tensor) -> tf.Tensor:
        if self._size is None:
            images = tf.cast(images, tf.float32)
        else:
            images = resize_antialiased(images, self._size)
        return flatten_features(self._run(images))


Loaded = tuple[Any, Callable[[tf.Tensor], tf.Tensor], tuple[int | None, int | None, int | None]]


def _load_keras(path: Path) -> Loaded:
    model = load_keras_file(path)
    shape = model.input_shape if isinstance(model.input_shape, tuple) else None
    return model, lambda images: model(images, training=False), _image_shape(shape)


def _load_saved_model(path: Path) -> Loaded:
    model = tf.saved_model.load(str(path))
    signature = model.signatures.get("serving_default")
    if signature is None:
        raise ValueError("it has no signature 'serving_default'")
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs, not one: {', '.join(sorted(inputs))}")
    ((key, spec),) = inputs.items()
    names = sorted(signature.structured_outputs)
    if len(names) != 1 and "pool_3" not in names:
        raise ValueError(f"it has {len(names)} outputs, none called 'pool_3': {', '.join(names)}")
    output = names[0] if len(names) == 1 else "pool_3"

    def run(images: tf.Tensor) -> tf.Tensor:
        return signature(**{key: tf.cast(images, spec.dtype)})[output]

    shape = None if spec.shape.rank is None else tuple(spec.shape)
    return model, run, _image_shape(shape)


def _image_shape(shape: tuple | None) -> tuple[int | None, int | None, int | None]:
    if shape is None or len(shape) != 4:
        raise ValueError(f"its input must be a batch of images, its shape is {shape}")
    return shape[1:]
