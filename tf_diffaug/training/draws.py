"""The random numbers of a training step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment
from tf_diffaug.augment.op import Params
from tf_diffaug.training.calls import draw_latents
from tf_diffaug.training.strategy import rows_of


@dataclasses.dataclass(frozen=True, eq=False)
class Augmentation:
    """One draw of an augmentation: called with images, it augments them, and always the same way.

    Args:
        augmenter: the augmentation.
        seed: int32 (2,).
        probability: how likely each op is applied to an image, a float32 scalar; None: always.
        level: how far the ops that have a level go, likewise; None: all the way.
    """

    augmenter: DiffAugment
    seed: tf.Tensor
    probability: tf.Tensor | None = None
    level: tf.Tensor | None = None

    def params(self, images: tf.Tensor) -> tuple[list[Params], tf.Tensor | None]:
        """What is drawn for this replica's images: its rows of the global batch's draw.

        Args:
            images: (batch, height, width, channels); only their shape counts.

        Returns:
            The parameters of each op of the policy, and which ops each image goes through, bool
            (batch, number of ops); None for all.
        """
        height, width, channels = images.shape[1:]
        batch_size = rows_of(images)
        sample, level = self.augmenter.policy.sample, self.level
        params = random.global_rows(
            lambda n: sample((n, height, width, channels), self.seed, level=level), batch_size
        )
        if self.probability is None:
            return params, None
        coins_seed = random.fold_in(self.seed, -1)  # the ops of a policy fold in 0 and up
        ops = len(self.augmenter.policy.ops)
        coins = random.global_rows(lambda n: random.uniform([n, ops], coins_seed), batch_size)
        return params, coins < self.probability

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """This replica's images (batch, height, width, channels), in [-1, 1], augmented."""
        params, applied = self.params(images)
        if applied is None:
            return self.augmenter.apply(images, params)
        value_range = self.augmenter.value_range
        return self.augmenter.policy.apply(images, params, value_range=value_range, applied=applied)


class Draws:
    """What one update of one network draws: this replica's rows, by purpose.

    Args:
        seed: the run's seed.
        update: number of the update, an int64 scalar: no two updates of a run share one.
        batch_size: rows of this replica.
        augmenter: the run's augmentation.
        probability: how likely each op of it is applied to an image, a float32 scalar; None:
            always.
        level: how far those of its ops that have a level go, likewise; None: all the way.
    """

    def __init__(
        self,
        seed: int,
        update: tf.Tensor,
        batch_size: int | tf.Tensor,
        augmenter: DiffAugment,
        probability: tf.Tensor | None = None,
        level: tf.Tensor | None = None,
    ) -> None:
        self._seed = seed
        self._update = update
        self.batch_size = batch_size
        self._augmenter = augmenter
        self._steered = {"probability": probability, "level": level}

    def seed(self, purpose: str) -> tf.Tensor:
        """This update's seed for a purpose, the same on every replica."""
        return random.derive(self._seed, purpose, step=self._update)

    def stream(self, owner: str, name: str) -> tf.Tensor:
        """This update's seed for a regularizer's own draw, the same on every replica.

        Args:
            owner: the regularizer's name, so that no two regularizers share a stream.
            name: of the draw among the owner's.
        """
        return random.fold_in(self.seed("regularizer"), random.name_index(f"{owner}/{name}"))

    def latents(self, latent_dim: int, generator: keras.Model | None = None) -> tf.Tensor:
        """Latents (batch, latent_dim) for a generator, standard normal unless it says otherwise."""
        seed = self.seed("latent")
        return random.global_rows(
            lambda n: draw_latents(generator, [n, latent_dim], seed), self.batch_size
        )

    def labels(self, frequencies: Sequence[float] | None) -> tf.Tensor | None:
        """Labels of fakes, int32 (batch,), with these relative frequencies; None without any."""
        if frequencies is None:
            return None
        seed = self.seed("labels")
        return random.global_rows(
            lambda n: random.categorical(n, seed, frequencies), self.batch_size
        )

    def normal(self, shape: Sequence[int], owner: str, name: str) -> tf.Tensor:
        """Standard normal numbers (batch, *shape) of a regularizer's stream."""
        return self._normal(shape, self.stream(owner, name))

    def uniform(self, shape: Sequence[int], owner: str, name: str) -> tf.Tensor:
        """Uniform numbers in [0, 1), (batch, *shape), likewise."""
        seed = self.stream(owner, name)
        return random.global_rows(lambda n: random.uniform([n, *shape], seed), self.batch_size)

    def augmentation(self, purpose: str) -> Augmentation:
        """This update's draw of the augmentation for the purpose; asked again, the same draw."""
        return Augmentation(self._augmenter, self.seed(purpose), **self._steered)

    def view(self, images: tf.Tensor, name: str, augmenter: DiffAugment) -> tf.Tensor:
        """Images augmented for a regularizer, by this update's draw for a view of its own."""
        seed = random.fold_in(self.seed("view"), random.name_index(name))
        own = augmenter is not self._augmenter
        return Augmentation(augmenter, seed, **({} if own else self._steered))(images)

    def _normal(self, shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
        return random.global_rows(lambda n: random.normal([n, *shape], seed), self.batch_size)
