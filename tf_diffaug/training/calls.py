"""How training calls the two networks, and what it reads off them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.labels import check_label_kind, check_whole
from tf_diffaug.language import is_number

# In place of the label of a real that has none; only where a regularizer fills labels in.
NO_LABEL = -1


class Outputs(NamedTuple):
    """What D says of one view: logits, and its last hidden features where it gives them.

    With layers that collect them, in training, `squared_means` is their sum of the squared means of
    the view's channels (`BatchViews`), float32 (1,). A D may give `maps` by name, as
    FastGAN's does.
    """

    logits: tf.Tensor
    features: tf.Tensor | None = None
    squared_means: tf.Tensor | None = None
    maps: dict[str, tf.Tensor] | None = None


def call_discriminator(
    discriminator: keras.Model,
    images: tf.Tensor,
    labels: tf.Tensor | None = None,
    *,
    training: bool = True,
    features: bool = False,
) -> Outputs:
    """Calls D, which returns logits, or a dict with `logits` and `features`.

    Args:
        discriminator: D.
        images: (batch, height, width, channels).
        labels: int32 (batch,), for a conditional one.
        training: whether this is a pass of training.
        features: whether to ask for features and maps a D that has `return_features` among its
            arguments.
    """
    asked = features and takes(discriminator, "return_features")
    options = {"return_features": True} if asked else {}
    outputs = discriminator(_inputs(images, labels), training=training, **options)
    if isinstance(outputs, dict):
        return Outputs(outputs["logits"], outputs.get("features"), maps=outputs.get("maps"))
    return Outputs(outputs)


def call_generator(
    generator: keras.Model,
    latents: tf.Tensor,
    labels: tf.Tensor | None = None,
    *,
    training: bool,
    seed: tf.Tensor | None = None,
    truncation_psi: float | None = None,
) -> tf.Tensor:
    """Images, in float32 whatever the networks compute in, as the augmentation and the reals are.

    Args:
        generator: G; `seed` and `truncation_psi` go to one that takes them.
        latents: (batch, latent_dim).
        labels: int32 (batch,), for a conditional one; floats (batch, num_classes), the weight of
            each class, for one that `takes_class_weights`.
        training: whether this is a pass of training.
        seed: int32 (2,), for what the generator draws itself.
        truncation_psi: how far its styles keep from their mean; None leaves that to it.
    """
    options: dict[str, Any] = {"seed": seed, "truncation_psi": truncation_psi}
    options = {k: v for k, v in options.items() if v is not None and takes(generator, k)}
    return tf.cast(generator(_inputs(latents, labels), training=training, **options), tf.float32)


def draw_latents(
    generator: keras.Model, shape: Sequence[int | tf.Tensor], seed: tf.Tensor
) -> tf.Tensor:
    """Latents, float32 of a shape, from the distribution that a generator states.

    A generator with the attribute `latent_distribution` gets what that says, "normal" (standard
    normal) or "uniform" (in [-1, 1)); one without gets normal ones.
    """
    if has_uniform_latents(generator):
        return random.uniform(shape, seed, -1.0, 1.0)
    return random.normal(shape, seed)


def has_uniform_latents(generator: keras.Model) -> bool:
    """Whether a generator's latents are uniform, not normal."""
    return getattr(generator, "latent_distribution", "normal") == "uniform"


def takes(network: keras.Model, option: str) -> bool:
    """Whether a network's `call` has an argument of this name."""
    return option in inspect.signature(network.call).parameters


def common_classes(
    generator: keras.Model, discriminator: keras.Model, num_classes: int | None
) -> int | None:
    """The number of classes of both networks, None for unconditional ones.

    Raises:
        ValueError: if they differ.
    """
    if num_classes is None:
        num_classes = getattr(generator, "num_classes", None)
    for network in (generator, discriminator):
        own = getattr(network, "num_classes", num_classes)
        if own != num_classes:
            raise ValueError(
                f"{network.name} has num_classes={own}: both networks must be of the same classes. "
                f"Received: num_classes={num_classes}."
            )
    return num_classes


def checked_frequencies(
    num_classes: int | None, frequencies: Sequence[float] | None
) -> tuple[float, ...] | None:
    """One relative frequency a class, by default all alike; None without classes.

    Raises:
        ValueError: if there are more or fewer, one is no number from 0, or all are 0.
    """
    if frequencies is None:
        return None if num_classes is None else (1.0,) * num_classes
    if num_classes is None:
        raise ValueError(
            "label_frequencies are of classes, and the networks have none. "
            f"Received: label_frequencies={frequencies!r}."
        )
    if len(frequencies) != num_classes:
        raise ValueError(
            f"There is one frequency for each of {num_classes} classes. "
            f"Received: {len(frequencies)} label_frequencies."
        )
    if not all(is_number(f) and f >= 0 for f in frequencies) or not any(frequencies):
        raise ValueError(
            "Frequencies are numbers from 0, and not all 0. "
            f"Received: label_frequencies={frequencies!r}."
        )
    return tuple(map(float, frequencies))


def check_labels(labels: Any, num_classes: int | None, *, filled: bool = False) -> None:
    """Looks for labels that are none, or outside the classes, which a GPU would take for zeros.

    Args:
        labels: of reals, an array or tensor (batch,) or (batch, 1) of whole numbers.
        num_classes: the number of classes, None for unconditional networks.
        filled: whether a regularizer fills in those that are missing, which are -1.

    Raises:
        ValueError: if there are such; labels of other kinds are not looked at.
    """
    if num_classes is None or labels is None:
        return
    if tf.is_tensor(labels) and hasattr(labels, "numpy"):
        labels = labels.numpy()
    if not isinstance(labels, np.ndarray):
        return
    check_whole(labels)
    if not labels.size:
        return
    least = labels.min()
    if least < (NO_LABEL if filled else 0) or labels.max() >= num_classes:
        hint = "" if filled else "; -1, for none, is for a regularizer that fills labels in (s3gan)"
        raise ValueError(
            f"Labels of {num_classes} classes are 0 to {num_classes - 1}{hint}. "
            f"Received: labels from {least} to {labels.max()}."
        )


def flat_labels(labels: tf.Tensor) -> tf.Tensor:
    """A batch's labels as int32 (batch,).

    Raises:
        ValueError: for a shape or dtype that labels never have.
    """
    if labels.shape.rank is not None:  # Keras 2 knows none of a generator's
        check_label_kind(labels.shape, labels.dtype)
    return tf.reshape(tf.cast(labels, tf.int32), [-1])


def latent_length(generator: keras.Model) -> int:
    """The length of a generator's latents.

    Raises:
        ValueError: if it can't be read off the generator.
    """
    if hasattr(generator, "latent_dim"):
        return generator.latent_dim
    try:
        shape = generator.input_shape
    except AttributeError:
        shape = None
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ValueError(
            "The length of the latents can't be read off this generator: pass latent_dim=. "
            f"Received: input shape={shape}."
        )
    return shape[1]


def _inputs(first: tf.Tensor, labels: tf.Tensor | None) -> Any:
    # One positional argument: functional and Sequential models take no two.
    first = tf.convert_to_tensor(first)
    if labels is None:
        return first
    labels = tf.convert_to_tensor(labels)
    mixes = labels.dtype.is_floating and labels.shape.rank == 2 and labels.shape[1] != 1
    return (first, labels if mixes else tf.cast(labels, tf.int32))
