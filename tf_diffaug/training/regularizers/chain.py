"""CHAIN: D's channels kept near a mean of 0, and its `ChainNorm` layers steered."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug._keras import sublayers
from tf_diffaug.layers import ChainNorm
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer, checked_whole, is_number
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import (
    global_size,
    replica_state,
    rows_of,
    sum_over_replicas,
)


@register_regularizer
class Chain(Regularizer):
    """weight · (p + p0) · Σ mean(h)², and p after the sign of D's logits (arXiv 2404.00521).

    h are the channels that come into D's `ChainNorm` layers, the mean is over the images of a view
    and the positions, the sum over channels, layers and the two views of the adversarial loss. G
    has no such term, as in the authors' code (FastGAN with CHAIN; that of their CIFAR results is
    not public), which is where the constants are from.

    p is the probability of those layers, 0 at first. From step `start` each update of D moves a
    running mean of E[sign D(x)], x the reals as the loss shows them, and then p by `rate`: up where
    that mean is above `target`, down where it is below, within [0, 1].

    Args:
        weight: λ; 20 there.
        p0: the share of the term that counts while p is 0: 0.1 there for sets of very few images,
            0, their code's default, for larger ones.
        target: τ, of the running mean, in [-1, 1]; 0.5 there.
        rate: of p, an update of D; 0.001 there.
        start: the G step from which p moves; 5000 there, of 100,000.

    Raises:
        ValueError: if an argument is out of its range.
    """

    name = "chain"
    summary = (
        "each channel of D's normalised layers is to have a mean of 0, and is divided by its root "
        "mean square with a probability, 0 at first, that rises while D calls more of its reals "
        "real than the target says, and else falls"
    )
    term = "(p + `p0`) Σ (mean h)² of the channels h that D's `ChainNorm` layers take, p their own"
    source = "2404.00521"
    reads_signs = True
    normalization = "chain"
    DECAY = 0.9  # of the running mean of signs, in the authors' code

    def __init__(
        self,
        weight: float = 20.0,
        p0: float = 0.1,
        target: float = 0.5,
        rate: float = 0.001,
        start: int = 5000,
    ) -> None:
        super().__init__(weight)
        if not (is_number(p0) and p0 >= 0):
            raise ValueError(f"p0 is 0 or more. Received: chain p0={p0!r}.")
        if not (is_number(target) and -1 <= target <= 1):
            raise ValueError(f"A target is in [-1, 1]. Received: chain target={target!r}.")
        if not (is_number(rate) and 0 <= rate <= 1):
            raise ValueError(f"A rate is in [0, 1]. Received: chain rate={rate!r}.")
        self.p0 = float(p0)
        self.target = float(target)
        self.rate = float(rate)
        self.start = checked_whole(self.name, "start", start, least=0)

    def build(self, networks: Networks) -> None:
        self._layers = sublayers(networks.discriminator, ChainNorm)
        if not self._layers:
            raise ValueError(
                "chain needs a discriminator with ChainNorm layers, such as "
                "SNDCGANDiscriminator(normalization='chain'). "
                f"Received: {networks.discriminator.name!r} with none."
            )
        # p, and the running mean of signs.
        self._state = replica_state([0.0, 0.0], "chain_state")

    @property
    def variables(self) -> list:
        return [self._state]

    def discriminator_term(self, update: Update) -> tf.Tensor:
        p, signs = tf.unstack(tf.convert_to_tensor(self._state))
        real, fake = (update.outputs[n] for n in (update.mode.d_real, update.mode.d_fake))
        self._follow(p, signs, real.logits, update.index // update.networks.d_steps)
        return self.weight_at(update) * (p + self.p0) * (real.squared_means + fake.squared_means)

    def _follow(self, p: tf.Tensor, signs: tf.Tensor, logits: tf.Tensor, step: tf.Tensor) -> None:
        now = tf.sign(per_example(logits))
        size = tf.cast(global_size(rows_of(now)), tf.float32)
        # Sums of whole numbers are exact, so that p is the same on any number of replicas.
        total = sum_over_replicas({"signs": tf.reduce_sum(now)})["signs"]
        moved = self.DECAY * signs + (1.0 - self.DECAY) * total / size
        risen = tf.clip_by_value(p + self.rate * tf.sign(moved - self.target), 0.0, 1.0)
        state = tf.where(step >= self.start, tf.stack([risen, moved]), tf.stack([p, signs]))
        self._state.assign(state)
        for layer in self._layers:
            layer.p.assign(state[0])

    def gauges(self) -> dict[str, tf.Tensor]:
        return {"chain_p": tf.convert_to_tensor(self._state)[0]}

    def get_config(self) -> dict[str, Any]:
        return {
            "weight": self.weight,
            "p0": self.p0,
            "target": self.target,
            "rate": self.rate,
            "start": self.start,
        }
