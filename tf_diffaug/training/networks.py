"""The two networks as the parts of a training step know them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment
from tf_diffaug.language import is_whole
from tf_diffaug.training.calls import checked_frequencies, common_classes, latent_length


@dataclasses.dataclass(frozen=True, kw_only=True)
class Networks:
    """The two networks and the facts of them that do not change in a run.

    Args:
        generator: G, built.
        discriminator: D, built.
        latent_dim: length of G's latents.
        image_shape: (height, width, channels).
        num_classes: number of classes, None for unconditional networks.
        label_frequencies: how often fakes have each label, relative to each other; None likewise.
        augmenter: the run's augmentation.
        d_steps: updates of D in a step.
        seed: the run's.
        num_images: how many images it trains on, None if that is not known.
    """

    generator: keras.Model
    discriminator: keras.Model
    latent_dim: int
    image_shape: tuple[int, int, int]
    num_classes: int | None
    label_frequencies: tuple[float, ...] | None
    augmenter: DiffAugment
    d_steps: int
    seed: int
    num_images: int | None = None

    def labels(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor | None:
        """Labels for fakes, int32 (count,), as in training; None for unconditional networks."""
        known = self.label_frequencies is not None
        return random.categorical(count, seed, self.label_frequencies) if known else None

    def example_inputs(self) -> Any:
        """What the generator takes: latents, or latents and labels, two of each."""
        return _examples(self.latent_dim, self.num_classes)


def _examples(latent_dim: int, num_classes: int | None) -> Any:
    latents = tf.zeros([2, latent_dim])
    return latents if num_classes is None else (latents, tf.zeros([2], tf.int32))


def build_networks(
    generator: keras.Model,
    discriminator: keras.Model,
    *,
    latent_dim: int | None,
    num_classes: int | None,
    label_frequencies: Sequence[float] | None,
    augmenter: DiffAugment,
    d_steps: int,
    seed: int,
    num_images: int | None = None,
) -> Networks:
    """Builds both networks and the augmentation on two examples, and finds out their facts.

    The arguments are those of `Networks`; None is what can be read off the networks.

    Raises:
        ValueError: if the networks can't be trained, or do not fit each other.
    """
    counts = {"d_steps": d_steps, "latent_dim": latent_dim, "num_images": num_images}
    for name, count in counts.items():
        if count is not None and not (is_whole(count) and count >= 1):
            raise ValueError(f"{name} is a whole number from 1. Received: {name}={count!r}.")
    latent_dim = latent_length(generator) if latent_dim is None else latent_dim
    num_classes = common_classes(generator, discriminator, num_classes)
    label_frequencies = checked_frequencies(num_classes, label_frequencies)
    inputs = _examples(latent_dim, num_classes)
    images = generator(inputs, training=False)
    image_shape = tuple(images.shape[1:])
    if len(image_shape) != 3 or None in image_shape:
        raise ValueError(
            "A generator makes images of shape (batch, height, width, channels). "
            f"Received: shape={tuple(images.shape)}."
        )
    discriminator(images if num_classes is None else (images, inputs[1]))
    augmenter.build(images.shape)
    return Networks(
        generator=generator,
        discriminator=discriminator,
        latent_dim=latent_dim,
        image_shape=image_shape,
        num_classes=num_classes,
        label_frequencies=label_frequencies,
        augmenter=augmenter,
        d_steps=d_steps,
        seed=seed,
        num_images=num_images,
    )
