"""Top-k training: G learns from its better fakes alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer, checked_whole, is_number
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import gather_over_replicas, global_size, replica_state, rows_of


@register_regularizer
class TopK(Regularizer):
    """G's adversarial loss is the mean over the k fakes that D thinks best of (arXiv 2002.06224).

    k is max(decay^n, least) of the global batch, rounded, 1 or more, n growing by 1 every so many
    updates of G: all of the batch at first, as D's judgement is worth little then. Of fakes with
    the same logit the first count. There is no term of a loss.

    Published codes rank each device's batch by itself, and round down (PyTorch-StudioGAN) or up
    (lucidrains' stylegan2-pytorch).

    Args:
        least: ν, the share of the batch that k ends at, in (0, 1]; 0.5 in those codes.
        decay: γ, in (0, 1]; 0.99 in those codes.
        every: updates of G between two decays. The codes decay once an epoch, which a run of fixed
            steps does not know of: 1000 is an epoch of 50,000 images in batches of 50.

    Raises:
        ValueError: if an argument is out of its range.
    """

    name = "topk"
    summary = (
        "G learns from those fakes of a batch alone that D thinks best of, at first all, "
        "later fewer, down to the share least"
    )
    of = "G"
    term = "none: G's loss over the k fakes with the highest logits"
    source = "2002.06224"

    def __init__(self, least: float = 0.5, decay: float = 0.99, every: int = 1000) -> None:
        super().__init__(1.0)
        for key, share in (("least", least), ("decay", decay)):
            if not (is_number(share) and 0 < share <= 1):
                raise ValueError(f"{key} is in (0, 1]. Received: topk {key}={share!r}.")
        self.least = float(least)
        self.decay = float(decay)
        self.every = checked_whole(self.name, "every", every, least=1)

    def build(self, networks: Networks) -> None:
        self._k = replica_state(0.0, "topk_k")

    @property
    def variables(self) -> list:
        return [self._k]

    def weigh_fakes(self, update: Update, values: tf.Tensor) -> tf.Tensor:
        rows = rows_of(values)
        batch_size = tf.cast(global_size(rows), tf.float32)
        decays = tf.cast(update.index // self.every, tf.float32)
        share = tf.maximum(tf.pow(self.decay, decays), self.least)
        k = tf.maximum(tf.round(share * batch_size), 1.0)
        self._k.assign(k)
        logits = tf.stop_gradient(per_example(update.outputs[update.mode.g_fake].logits))
        order = tf.argsort(gather_over_replicas(logits), direction="DESCENDING", stable=True)
        ranks = tf.cast(tf.argsort(order), tf.float32)
        weights = tf.where(ranks < k, batch_size / k, 0.0)
        return values * random.global_rows(lambda _: weights, rows)

    def gauges(self) -> dict[str, tf.Tensor]:
        return {"topk_k": tf.convert_to_tensor(self._k)}

    def get_config(self) -> dict[str, Any]:
        return {"least": self.least, "decay": self.decay, "every": self.every}
