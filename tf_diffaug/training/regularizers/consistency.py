"""What T changes in D's judgement, and should not."""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.training.losses import per_example
from tf_diffaug.training.regularizers.base import Regularizer, Turn


def _squared_change(turn: Turn, kind: str) -> tf.Tensor:
    """(D(x) - D(T(x)))² for each example; neither side is held fixed, as in the published codes."""
    plain, augmented = turn.outputs[kind].logits, turn.outputs[f"{kind}_aug"].logits
    return per_example(tf.square(tf.cast(plain, tf.float32) - tf.cast(augmented, tf.float32)))


class CR(Regularizer):
    """Consistency regularization: weight · (D(x) - D(T(x)))² on reals (arXiv 1910.12027, eq. 3).

    T is the run's policy. With `augment="both"` this is the DiffAugment paper's CR at 10 and 20 %
    of CIFAR, which compares D of the reals that DiffAugment shows it with D of the plain ones.

    Args:
        weight: λ; 10 in the paper and in DiffAugment's code.
    """

    name = "cr"
    views = ("real", "real_aug")
    uses_policy = True

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def discriminator_term(self, turn: Turn) -> tf.Tensor:
        return self.weight * _squared_change(turn, "real")


class BCR(Regularizer):
    """Balanced CR: `CR` on reals and on fakes (arXiv 2002.04724, algorithm 1).

    The second paper's BCR (arXiv 2006.02595, algorithm 1) with T the run's policy, `augment="none"`
    and a weight of 10. The fakes are D's alone here: G gets no gradient.

    Args:
        weight: λ of both terms; 10 in both papers.
    """

    name = "bcr"
    views = ("real", "real_aug", "fake", "fake_aug")
    uses_policy = True

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def discriminator_term(self, turn: Turn) -> tf.Tensor:
        return self.weight * (_squared_change(turn, "real") + _squared_change(turn, "fake"))
