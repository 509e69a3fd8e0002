"""LeCam regularization: D's logits kept near running means of the other kind."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.training.losses import per_example
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer, checked_whole, is_number
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import global_mean, replica_state, sum_over_replicas


@register_regularizer
class LeCam(Regularizer):
    """weight · (relu(D(x) - a_fake)² + relu(a_real - D(G(z)))²) (arXiv 2104.03310, eq. 5).

    a_real and a_fake are running means of D's logits on what the adversarial loss shows it, this
    step's included. Until `start`, and in the first step, they are this step's means alone, and the
    term does not count. One-sided, and the mean over D's logits of an image where it has several,
    as in the authors' code, which is also where the constants are from.

    Args:
        weight: λ; 0.3 in the scripts of their BigGAN on CIFAR, but 1e-6 (CIFAR) and 3e-7 (FFHQ) in
            those of their StyleGAN2.
        decay: of the running means; 0.9 in their BigGAN, 0.99 in their StyleGAN2.
        start: the G step after which the term counts.
    """

    name = "lecam"
    summary = "D's logits are to stay near running means of the other kind's"
    term = "relu(D(x) - a_fake)² + relu(a_real - D(G(z)))² with running means a"
    source = "2104.03310"

    def __init__(self, weight: float = 0.3, decay: float = 0.9, start: int = 1000) -> None:
        super().__init__(weight)
        if not (is_number(decay) and 0 <= decay < 1):
            raise ValueError(f"A decay is in [0, 1). Received: lecam decay={decay!r}.")
        self.decay = float(decay)
        self.start = checked_whole(self.name, "start", start, least=0)

    def build(self, networks: Networks) -> None:
        self._means = replica_state([0.0, 0.0], "lecam_means")

    @property
    def variables(self) -> list:
        return [self._means]

    def discriminator_term(self, update: Update) -> tf.Tensor:
        names = (update.mode.d_real, update.mode.d_fake)
        real, fake = (tf.cast(update.outputs[name].logits, tf.float32) for name in names)
        step = update.index // update.networks.d_steps
        mean_real, mean_fake = self._moved_means(real, fake, step)
        term = per_example(tf.square(tf.nn.relu(real - mean_fake)))
        term += per_example(tf.square(tf.nn.relu(mean_real - fake)))
        return self.weight_at(update) * tf.cast(step > self.start, tf.float32) * term

    def _moved_means(
        self, real: tf.Tensor, fake: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        shares = {"real": global_mean(per_example(real)), "fake": global_mean(per_example(fake))}
        now = tf.stop_gradient(tf.stack(list(sum_over_replicas(shares).values())))
        # A first step that decayed would start from 0, which no logit has to do with.
        decay = tf.where(step < max(self.start, 1), 0.0, self.decay)
        means = decay * tf.convert_to_tensor(self._means) + (1.0 - decay) * now
        self._means.assign(means)
        return means[0], means[1]

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "decay": self.decay, "start": self.start}
