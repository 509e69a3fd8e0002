"""Penalties on D's gradient with regard to its images."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.naming import unknown
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.regularizers.base import Regularizer, Turn, checked_cadence


class R1(Regularizer):
    """Zero-centred gradient penalty on reals: weight / 2 · |∇D(x)|² (arXiv 1801.04406, eq. 9).

    Args:
        weight: γ; 10 in the paper's experiments, 0.1 in DiffAugment's StyleGAN2 on CIFAR.
        on: `"raw"`: the gradient with regard to x, through T where D's loss sees T(x), as in
            DiffAugment's low-shot code; `"augmented"`: with regard to T(x), as in its CIFAR code.
            Without T in D's loss the two are the same.
        every: in one of so many of D's updates, so many times as strong: StyleGAN2's lazy
            regularization (arXiv 1912.04958, section 3.1), 16 there.
    """

    name = "r1"

    def __init__(self, weight: float = 10.0, on: str = "raw", every: int = 1) -> None:
        super().__init__(weight)
        if on not in ("raw", "augmented"):
            raise ValueError(unknown("on", on, ("raw", "augmented")))
        self.on = on
        self.every = checked_cadence(self.name, every)

    def discriminator_term(self, turn: Turn) -> tf.Tensor:
        views, mode = turn.views, turn.mode
        through = mode.d_real == "real_aug" and self.on == "raw"
        images = views["real"] if through else views[mode.d_real]

        def squared_norms() -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(images)
                seen = views.augment["real"](images) if through else images
                outputs = call_discriminator(turn.gan.discriminator, seen, views.labels("real"))
                logits = tf.reduce_sum(tf.cast(outputs.logits, tf.float32))
            gradient = tf.cast(tape.gradient(logits, images), tf.float32)
            return tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])

        norms = turn.lazily(self.every, turn.draws.batch_size, squared_norms)
        return 0.5 * self.weight * self.every * norms

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "on": self.on, "every": self.every}
