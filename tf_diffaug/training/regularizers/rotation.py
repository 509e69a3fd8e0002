"""SS-GAN's rotation loss: D's features tell by how much an image was rotated."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer, is_number
from tf_diffaug.training.regularizers.classifier import Classifier
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update

ROTATIONS = 4


@register_regularizer
class SSGAN(Regularizer):
    """weight · -log Q(r | x rotated by r), on fakes for G (arXiv 1811.11212, equations 2 and 3).

    Q is a linear layer of its own on D's features, r is 0, 90, 180 or 270 degrees. D and Q learn it
    on reals alone; G is to make fakes whose rotation they see. What is rotated is what the
    adversarial loss shows, augmented where that is. Image i of update k's batch of n is rotated by
    ((kn + i) mod 4) · 90 degrees. The authors' code rotates a quarter of the batch in all four
    directions: as many rotated images, of a quarter as many different ones.

    Args:
        weight: β, of D's term; 1 in the paper and its code.
        generator_weight: α, of G's term; 0.2 there. 0: G has none.
    """

    name = "ssgan"
    summary = "D's features are to tell by how much an image was rotated; G is to make such images"
    of = "D, G"
    term = "-log Q(r \\| x rotated by r) of reals for D, `generator_weight` of it of fakes for G"
    source = "1811.11212"
    needs_features = True

    def __init__(self, weight: float = 1.0, generator_weight: float = 0.2) -> None:
        super().__init__(weight)
        if not (is_number(generator_weight) and generator_weight >= 0):
            raise ValueError(
                f"A weight is 0 or more. Received: ssgan generator_weight={generator_weight!r}."
            )
        self.generator_weight = float(generator_weight)

    @property
    def generator_name(self) -> str:
        return "g_ssgan"

    def build(self, networks: Networks) -> None:
        height, width, _ = networks.image_shape
        if height != width:
            raise ValueError(
                "Rotated by 90 degrees, only square images keep their shape. "
                f"Received: {self.name} with images of height {height} and width {width}."
            )
        self._classifier = Classifier(networks, self.name, ROTATIONS)

    def discriminator_views(self, update: Update) -> tuple[str, ...]:
        self._classifier.advance()
        return (self._define_rotated(update, "ssgan_real", update.mode.d_real, "real"),)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        return self.weight_at(update) * self._cross_entropy(update, "ssgan_real")

    def generator_views(self, update: Update) -> tuple[str, ...]:
        if not self.generator_weight:
            return ()
        return (self._define_rotated(update, "ssgan_fake", update.mode.g_fake, "fake"),)

    def generator_term(self, update: Update) -> tf.Tensor | None:
        return (
            self.generator_weight * self._cross_entropy(update, "ssgan_fake")
            if self.generator_weight
            else None
        )

    def _define_rotated(self, update: Update, name: str, of: str, kind: str) -> str:
        return update.views.define(name, kind, lambda: rotate(update.views[of], rotations(update)))

    def _cross_entropy(self, update: Update, name: str) -> tf.Tensor:
        return self._classifier.cross_entropy(update.outputs[name], rotations(update))

    @property
    def trainable_variables(self) -> list:
        return self._classifier.trainable_variables

    @property
    def variables(self) -> list:
        return self._classifier.variables

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "generator_weight": self.generator_weight}


def rotations(update: Update) -> tf.Tensor:
    """The right angles that each image is rotated by, int32 (batch,): 0, 1, 2, 3, 0...

    The count goes on from update to update: a batch of one would else never be rotated.
    """

    def counted(rows: int | tf.Tensor) -> tf.Tensor:
        first = tf.cast(update.index % ROTATIONS, tf.int32) * rows
        return (first + tf.range(rows)) % ROTATIONS

    # Of the global batch's rows: two replicas rotate their images as one would.
    return random.global_rows(counted, update.draws.batch_size)


def rotate(images: tf.Tensor, quarters: tf.Tensor) -> tf.Tensor:
    """Images rotated by right angles, counterclockwise.

    Args:
        images: (batch, side, side, channels).
        quarters: integers (batch,), 0 to 3: how many right angles.
    """
    quarters = quarters[:, None, None, None]
    halves = tf.where(quarters >= 2, tf.reverse(images, [1, 2]), images)
    by_90 = tf.reverse(tf.transpose(halves, [0, 2, 1, 3]), [1])
    return tf.where(quarters % 2 == 1, by_90, halves)
