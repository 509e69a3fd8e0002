"""The random numbers of a training step."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment


class Draws:
    """What one turn of one step draws: this replica's rows, by purpose.

    Args:
        seed: the run's seed.
        turn: number of the turn, an int64 scalar: no two updates of a run share one.
        batch_size: rows of this replica.
        augmenter: T.
    """

    def __init__(
        self, seed: int, turn: tf.Tensor, batch_size: int | tf.Tensor, augmenter: DiffAugment
    ) -> None:
        self._seed = seed
        self._turn = turn
        self.batch_size = batch_size
        self._augmenter = augmenter

    def seed(self, purpose: str) -> tf.Tensor:
        """This turn's seed for a purpose, the same on every replica."""
        return random.derive(self._seed, purpose, step=self._turn)

    def latents(self, latent_dim: int, *, purpose: str = "latent") -> tf.Tensor:
        """Standard normal latents (batch, latent_dim)."""
        seed = self.seed(purpose)
        return random.global_rows(lambda n: random.normal([n, latent_dim], seed), self.batch_size)

    def labels(self, frequencies: Sequence[float]) -> tf.Tensor:
        """Labels of fakes, int32 (batch,), with these relative frequencies."""
        seed = self.seed("labels")
        return random.global_rows(
            lambda n: random.categorical(n, seed, frequencies), self.batch_size
        )

    def normal(self, shape: Sequence[int], purpose: str, *, index: int) -> tf.Tensor:
        """Standard normal numbers (batch, *shape); `index` tells several of a purpose apart."""
        seed = random.fold_in(self.seed(purpose), index)
        return random.global_rows(lambda n: random.normal([n, *shape], seed), self.batch_size)

    def uniform(self, shape: Sequence[int], purpose: str, *, index: int) -> tf.Tensor:
        """Uniform numbers in [0, 1), (batch, *shape), likewise."""
        seed = random.fold_in(self.seed(purpose), index)
        return random.global_rows(lambda n: random.uniform([n, *shape], seed), self.batch_size)

    def augment(self, images: tf.Tensor, purpose: str) -> tf.Tensor:
        """T(images) with this turn's draw for the purpose; asked again, the same draw."""
        height, width, channels = images.shape[1:]
        seed = self.seed(purpose)
        params = random.global_rows(
            lambda n: self._augmenter.sample((n, height, width, channels), seed), self.batch_size
        )
        return self._augmenter.apply(images, params)
