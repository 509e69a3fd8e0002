"""D's features of two augmented looks at one image: alike, and unlike those of other images."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.augment import Policy
from tf_diffaug.random import place_among_replicas
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import PolicyRegularizer, feature_size
from tf_diffaug.training.regularizers.projection import (
    ProjectionHead,
    checked_temperature,
    checked_units,
)
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import gather_over_replicas, rows_of

FAR = 1e9  # what takes an image out of its own negatives; finite, as inf - inf is not a number


def nt_xent(ones: tf.Tensor, others: tf.Tensor, temperature: float) -> tf.Tensor:
    """NT-Xent of each pair in the global batch of N (arXiv 2002.05709, eq. 1, algorithm 1).

    An image is to be told from 2(N - 1) others by its cosine similarity with its partner; the
    value of a pair is the mean over its two images. The authors' code has their sum.

    Args:
        ones: float (batch, length).
        others: the partners, row by row.
        temperature: by which similarities are divided.

    Returns:
        float32 (batch,).
    """
    ones, others = (
        tf.math.l2_normalize(tf.cast(side, tf.float32), axis=1) for side in (ones, others)
    )
    everyone = gather_over_replicas(tf.concat([ones, others], axis=1))
    everyone = tf.concat(tf.split(everyone, 2, axis=1), axis=0)
    own, partners = tf.concat([ones, others], axis=0), tf.concat([others, ones], axis=0)
    rows, count = rows_of(ones), tf.shape(everyone)[0]
    first = place_among_replicas(rows)[0] + tf.range(rows)
    itself = tf.one_hot(tf.concat([first, first + count // 2], axis=0), count)
    similarities = tf.matmul(own, everyone, transpose_b=True) / temperature - FAR * itself
    positives = tf.reduce_sum(own * partners, axis=1) / temperature
    losses = tf.reduce_logsumexp(similarities, axis=1) - positives
    return tf.reduce_mean(tf.reshape(losses, [2, rows]), axis=0)


@register_regularizer
class Cntr(PolicyRegularizer):
    """Cntr-GAN: weight · NT-Xent on reals and on fakes, apart (arXiv 2006.02595, algorithm 2).

    D's last hidden features of an augmented x, T(x), and of another draw of it, through a head of
    two layers that D's optimizer trains, are compared by `nt_xent` with negatives from all
    replicas. x is plain where the losses see augmented images too. With the run's policy one of the
    two is the T(x) that `BCR` also looks at, so that Cntr + BCR (0.1 and 5 in the paper) needs no
    view more than Cntr: six. G gets no gradient.

    The paper's temperature and head could not be read; these are SimCLR's. Its head is W₂ relu(W₁
    h) in the paper; the authors' code has three layers by default, and a batch norm after each, of
    which only the hidden bias is kept here.

    Args:
        weight: 0.1 in the paper's Cntr + BCR.
        policy: this regularizer's own.
        temperature: 0.1 by default in SimCLR's code; 0.5 in its recipe for CIFAR-10.
        hidden: units of the head's hidden layer; None for as many as D has features, as in SimCLR,
            but at most 2048, which is what it has.
        out: units of its last layer; 128 in SimCLR.

    Raises:
        ValueError: if an argument is out of its range, or, when built, D has no features.
    """

    name = "cntr"
    summary = (
        "D's features of two augmented looks at an image are to be alike, and unlike other images'"
    )
    term = (
        "NT-Xent of two T(x) among all of the batch, on reals and on fakes, through a head of"
        " `hidden` (as many as features, at most 2048) and `out` units"
    )
    source = "2006.02595, 2002.05709"
    needs_features = True

    def __init__(
        self,
        weight: float = 0.1,
        policy: str | Policy | None = None,
        temperature: float = 0.1,
        hidden: int | None = None,
        out: int = 128,
    ) -> None:
        super().__init__(weight, policy)
        self.temperature = checked_temperature(self.name, temperature)
        self.hidden, self.out = checked_units(self.name, hidden, out)

    def build(self, networks: Networks) -> None:
        super().build(networks)
        size = feature_size(networks, self.name)
        self._head = ProjectionHead(networks, self.name, size, hidden=self.hidden, out=self.out)

    @property
    def trainable_variables(self) -> list:
        return self._head.trainable_variables

    @property
    def variables(self) -> list:
        return self._head.variables

    def _names(self) -> list[str]:
        own = self.policy is not None
        return [
            name
            for kind in ("real", "fake")
            for name in (f"cntr_{kind}_1" if own else f"{kind}_aug", f"cntr_{kind}_2")
        ]

    def discriminator_views(self, update: Update) -> list[str]:
        names = self._names()
        for name in names:
            if name.startswith("cntr_"):
                kind = "real" if "real" in name else "fake"
                self.define_augmented(update, name, kind, kind)
        return names

    def discriminator_term(self, update: Update) -> tf.Tensor:
        features = [update.outputs[name].features for name in self._names()]
        *reals, one, other = tf.split(self._head(tf.concat(features, axis=0)), 4)
        losses = nt_xent(*reals, self.temperature) + nt_xent(one, other, self.temperature)
        return self.weight_at(update) * losses

    def get_config(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "hidden": self.hidden, "out": self.out}
        return {**super().get_config(), **own}
