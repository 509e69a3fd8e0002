"""The random numbers of a training step."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment
from tf_diffaug.training.strategy import num_replicas, replica_rows


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
        self._batch_size = batch_size
        self._augmenter = augmenter

    def seed(self, purpose: str) -> tf.Tensor:
        """This turn's seed for a purpose, the same on every replica."""
        return random.derive(self._seed, purpose, step=self._turn)

    def _global(self, make: Any) -> Any:
        return replica_rows(make(self._batch_size * num_replicas()), self._batch_size)

    def latents(self, latent_dim: int) -> tf.Tensor:
        """Standard normal latents (batch, latent_dim)."""
        return self._global(lambda n: random.normal([n, latent_dim], self.seed("latent")))

    def augment(self, images: tf.Tensor, purpose: str) -> tf.Tensor:
        """T(images) with this turn's draw for the purpose; asked again, the same draw."""
        height, width, channels = images.shape[1:]
        params = self._global(
            lambda n: self._augmenter.sample((n, height, width, channels), self.seed(purpose))
        )
        return self._augmenter.apply(images, params)
