"""What the augmentation changes in D's judgement, and should not."""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.augment import Policy
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.regularizers.base import PolicyRegularizer
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update


def squared_change(one: Outputs, other: Outputs) -> tf.Tensor:
    """(D(x) - D(x'))² for each example; neither side is held fixed, as in the published codes."""
    logits = (tf.cast(outputs.logits, tf.float32) for outputs in (one, other))
    return per_example(tf.square(next(logits) - next(logits)))


@register_regularizer
class CR(PolicyRegularizer):
    """Consistency regularization: weight · (D(x) - D(T(x)))² on reals (arXiv 1910.12027, eq. 3).

    T(x) is x augmented by the run's policy: with `augment="both"` this is the DiffAugment paper's
    CR at 10 and 20 % of CIFAR, which compares D of the reals that DiffAugment shows it with D of
    the plain ones. With a policy of its own, CR's other published meaning, that goes on top of what
    the adversarial loss shows D: x without DiffAugment, or DiffAugment's T(x), as in its code at
    100 % of CIFAR.

    Args:
        weight: λ; 10 in the paper and in DiffAugment's code.
        policy: CR's own; `flip,translation` in DiffAugment's code.
    """

    name = "cr"
    summary = "D's logits of a real and of its augmented twin are to agree"
    term = "(D(x) - D(T(x)))² on reals"
    source = "1910.12027"

    def __init__(self, weight: float = 10.0, policy: str | Policy | None = None) -> None:
        super().__init__(weight, policy)

    def _pair(self, update: Update) -> tuple[str, str]:
        return ("real", "real_aug") if self.policy is None else (update.mode.d_real, "cr_real")

    def discriminator_views(self, update: Update) -> tuple[str, ...]:
        shown, other = self._pair(update)
        if self.policy is not None:
            self.define_augmented(update, other, shown, "real")
        return shown, other

    def discriminator_term(self, update: Update) -> tf.Tensor:
        shown, other = self._pair(update)
        return self.weight_at(update) * squared_change(update.outputs[shown], update.outputs[other])


@register_regularizer
class BCR(PolicyRegularizer):
    """Balanced CR: `CR` on reals and on fakes (arXiv 2002.04724, algorithm 1).

    The second paper's BCR (arXiv 2006.02595, algorithm 1) has the run's policy, `augment="none"`
    and a weight of 10. The fakes are D's alone here: G gets no gradient. A policy of its own goes
    on top of what the adversarial loss shows D, as in `CR`.

    Args:
        weight: λ of both terms; 10 in both papers.
        policy: BCR's own.
    """

    name = "bcr"
    summary = "D's logits of an image and of its augmented twin are to agree, on reals and on fakes"
    term = "(D(x) - D(T(x)))² on reals and on fakes"
    source = "2002.04724, 2006.02595"

    def __init__(self, weight: float = 10.0, policy: str | Policy | None = None) -> None:
        super().__init__(weight, policy)

    def _pairs(self, update: Update) -> tuple[tuple[str, str], ...]:
        if self.policy is None:
            return ("real", "real_aug"), ("fake", "fake_aug")
        return (update.mode.d_real, "bcr_real"), (update.mode.d_fake, "bcr_fake")

    def discriminator_views(self, update: Update) -> tuple[str, ...]:
        pairs = self._pairs(update)
        if self.policy is not None:
            for kind, (shown, other) in zip(("real", "fake"), pairs, strict=True):
                self.define_augmented(update, other, shown, kind)
        return tuple(name for pair in pairs for name in pair)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        changes = [
            squared_change(update.outputs[shown], update.outputs[other])
            for shown, other in self._pairs(update)
        ]
        return self.weight_at(update) * tf.add_n(changes)
