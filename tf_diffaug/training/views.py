"""The batches that a step shows to D, by name, and the one pass that judges them all.

Views are named `real`, `fake`, `real_aug`, `fake_aug`. Losses and regularizers say which they need;
only those are made. One pass over all of them is faster than one each, and a discriminator that
looks across the batch says so (`views="separate"`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_diffaug._keras import sublayers
from tf_diffaug.layers import BatchNorm

Augment = Callable[[tf.Tensor], tf.Tensor]


class Outputs(NamedTuple):
    """What D says of one view: logits, and its last hidden features where it gives them."""

    logits: tf.Tensor
    features: tf.Tensor | None = None


class Views:
    """The images of one step, made when first asked for.

    Args:
        real: real images, float (batch, height, width, channels) in [-1, 1].
        fake: generated images of the same shape, or None in a step that has none.
        augment_real: T with this step's draw for the reals; called again, it replays that draw.
        augment_fake: T with this step's draw for the fakes.
    """

    def __init__(
        self,
        real: tf.Tensor | None,
        fake: tf.Tensor | None,
        *,
        augment_real: Augment,
        augment_fake: Augment,
    ) -> None:
        self._images = {"real": real, "fake": fake}
        self.augment = {"real": augment_real, "fake": augment_fake}

    def __getitem__(self, name: str) -> tf.Tensor:
        if name not in self._images:
            kind = name.removesuffix("_aug")
            self._images[name] = self.augment[kind](self._images[kind])
        return self._images[name]


def call_discriminator(
    discriminator: keras.Model, images: tf.Tensor, *, training: bool = True
) -> Outputs:
    """Calls D, which returns logits, or a dict with `logits` and `features`."""
    outputs = discriminator(images, training=training)
    if isinstance(outputs, dict):
        return Outputs(outputs["logits"], outputs.get("features"))
    return Outputs(outputs)


def discriminate(
    discriminator: keras.Model, views: Views, names: Iterable[str], *, joint: bool
) -> dict[str, Outputs]:
    """D's outputs for each of the named views, from one pass if `joint`."""
    names = list(dict.fromkeys(names))
    if not joint or len(names) == 1:
        return {name: call_discriminator(discriminator, views[name]) for name in names}
    outputs = call_discriminator(discriminator, tf.concat([views[name] for name in names], axis=0))
    parts = [
        [None] * len(names) if output is None else tf.split(output, len(names))
        for output in outputs
    ]
    return {name: Outputs(*pair) for name, *pair in zip(names, *parts, strict=True)}


def looks_across_batch(discriminator: keras.Model) -> bool:
    """Whether D holds a batch norm, whose output for a view depends on what shares its pass."""
    kinds = (keras.layers.BatchNormalization, BatchNorm)
    return any(sublayers(discriminator, kind) for kind in kinds)
