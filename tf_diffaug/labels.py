"""What a label is: the whole number of a class, one an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

_KIND = "Labels are whole numbers of classes, of shape (n,) or (n, 1)."


def check_label_kind(shape: Any, dtype: Any) -> None:
    """Looks at the shape and the dtype of labels.

    Raises:
        ValueError: if they are one-hot, no numbers, or of another shape.
    """
    dtype, shape = np.dtype(getattr(dtype, "as_numpy_dtype", dtype)), tuple(shape)
    name = "text" if dtype.kind in "SUO" else f"dtype={dtype.name}"
    received = f"Received: labels of shape {shape}, {name}."
    if dtype.kind not in "iufV":  # V: bfloat16
        raise ValueError(f"{_KIND} {received}")
    if len(shape) == 2 and shape[1] not in (None, 1):
        raise ValueError(f"{_KIND} Of one-hot labels, give `labels.argmax(axis=-1)`. {received}")
    if len(shape) not in (1, 2):
        raise ValueError(f"{_KIND} {received}")


def check_whole(labels: np.ndarray) -> None:
    """Looks at the values of labels too.

    Raises:
        ValueError: as `check_label_kind`, or if some are no whole numbers.
    """
    check_label_kind(labels.shape, labels.dtype)
    broken = labels[labels != np.floor(labels)] if labels.dtype.kind == "f" else labels[:0]
    if broken.size:
        raise ValueError(f"{_KIND} Received: a label of {broken.flat[0]}.")


def class_weights(labels: tf.Tensor, num_classes: int, dtype: Any = tf.float32) -> tf.Tensor:
    """The weight of each class, (batch, num_classes): what embeddings and tables are multiplied by.

    Args:
        labels: whole numbers (batch,), which become one-hot rows, or floats (batch, num_classes),
            which are such weights already.
        num_classes: how many.
        dtype: of the result.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_floating and labels.shape.rank == 2 and labels.shape[1] == num_classes:
        return tf.cast(labels, dtype)
    return tf.one_hot(tf.cast(labels, tf.int32), num_classes, dtype=dtype)
