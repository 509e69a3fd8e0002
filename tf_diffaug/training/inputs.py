"""What a user hands to the GAN, looked at once, before the first step: images, labels, optimizers.

What is found here would otherwise train, and train wrongly, without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug.images import check_range, to_float
from tf_diffaug.training.calls import check_labels, flat_labels


def checked_data(
    images: Any,
    labels: Any,
    *,
    image_shape: tuple[int, ...],
    num_classes: int | None,
    filled: bool = False,
) -> tuple[Any, Any]:
    """The two arguments of `fit`, after a look at them: the whole of arrays, else the first batch.

    Args:
        images: an array, a tensor, a list of images; or a `tf.data.Dataset`, a sequence of batches
            or a generator, which have the labels in them.
        labels: an array, a tensor or a list of labels, or None.
        image_shape: (height, width, channels) that G makes.
        num_classes: the number of classes, None for unconditional networks.
        filled: whether a regularizer fills in labels that are missing, which are -1.

    Returns:
        Both as `fit` should have them: lists as arrays, and a generator that still has its first
        batch. A dataset is read from its start again.

    Raises:
        ValueError: if the networks can't train on them.
    """
    images, labels = (np.asarray(v) if isinstance(v, list) else v for v in (images, labels))
    images, first = _peek(images)
    if first is None:
        return images, labels
    seen = keras.utils.unpack_x_y_sample_weight(first) if isinstance(first, tuple) else (first,)
    seen_images, seen_labels, weights = (*seen, labels, None) if len(seen) == 1 else seen
    if weights is not None:
        refuse_weights({"sample_weight": weights})
    _check_images(seen_images, image_shape)
    check_labels(seen_labels, num_classes, filled=filled)
    return images, labels


def unpacked(data: Any, num_classes: int | None) -> tuple[tf.Tensor, tf.Tensor | None]:
    """A batch as Keras hands it on: images in [-1, 1] and int32 labels, None without classes.

    Raises:
        ValueError: for weights of examples, labels of other kinds, or none where there are classes.
    """
    images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    refuse_weights({"sample_weight": weights})
    if num_classes is None:
        return to_float(images), None
    if labels is None:
        raise ValueError(
            f"Networks of {num_classes} classes train on images and labels: "
            "fit(images, labels). Received: labels=None."
        )
    return to_float(images), flat_labels(labels)


def refuse_weights(options: dict[str, Any]) -> None:
    """Raises a ValueError for weights of examples, which no loss of a GAN here has."""
    for name in ("sample_weight", "class_weight"):
        if options.get(name) is not None:
            raise ValueError(
                "A GAN weighs all images alike: leave the weights out, or repeat what should count "
                f"more. Received: {name}."
            )


def checked_optimizers(
    g_optimizer: Any, d_optimizer: Any
) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
    """Two optimizers from objects, names or None for the default.

    Raises:
        ValueError: if they are one object, or of a kind that can't train a GAN here.
    """
    if g_optimizer is d_optimizer is not None and not isinstance(g_optimizer, (str, dict)):
        raise ValueError(
            "G and D have an optimizer each, which keeps their moments apart: make a second one. "
            "Received: g_optimizer=d_optimizer."
        )
    return tuple(
        _optimizer(name, given)
        for name, given in (("g_optimizer", g_optimizer), ("d_optimizer", d_optimizer))
    )


def _optimizer(name: str, given: Any) -> keras.optimizers.Optimizer:
    if given is None:
        return keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-8)
    if isinstance(given, (str, dict)):
        return keras.optimizers.get(given)
    scales = hasattr(given, "inner_optimizer")
    if isinstance(given, keras.optimizers.Optimizer) and not scales:
        return given
    raise ValueError(
        "An optimizer is one of keras.optimizers (none of keras.optimizers.legacy, and none that "
        f"scales losses: a GAN does so itself), or its name. Received: "
        f"{name}={type(given).__module__}.{type(given).__name__}."
    )


def _peek(source: Any) -> tuple[Any, Any]:
    """The source, as good as new, and its first batch: all of an array, None if out of reach."""
    if isinstance(source, np.ndarray) or tf.is_tensor(source):
        return source, source
    if isinstance(source, tf.data.Dataset):
        return source, next(iter(source.take(1)), None)
    if isinstance(source, keras.utils.Sequence):
        return source, source[0]
    if isinstance(source, Iterator) and not isinstance(source, tf.data.Iterator):
        first = next(source, None)
        return (source, None) if first is None else (_joined(first, source), first)
    return source, None


def _joined(first: Any, rest: Iterator) -> Iterator:
    # Keras knows generators by their type, which `itertools.chain` has not.
    yield first
    yield from rest


def _check_images(images: Any, image_shape: tuple[int, ...]) -> None:
    shape = tuple(images.shape)
    if len(shape) == 3 and shape == image_shape:
        raise ValueError(
            "Images come in batches (batch, height, width, channels): dataset.batch(32). "
            f"Received: images of shape {shape}."
        )
    if shape[1:] != image_shape:
        raise ValueError(
            f"The generator makes images of shape {image_shape}: resize the real ones to that, or "
            f"build networks of theirs. Received: images of shape {shape}."
        )
    check_range(images)
