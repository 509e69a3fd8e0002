"""What the parts of a training step may know of the networks."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment


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

    def labels(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor | None:
        """Labels for fakes, int32 (count,), as in training; None for unconditional networks."""
        known = self.label_frequencies is not None
        return random.categorical(count, seed, self.label_frequencies) if known else None
