"""DRAGAN: D's gradient kept at length 1 around reals."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.training.regularizers.base import Regularizer, is_number
from tf_diffaug.training.regularizers.gradient_penalty import away_from_one, squared_norms
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import global_mean, sum_over_replicas


@register_regularizer
class DRAGAN(Regularizer):
    """weight · (|∇D(x + δ)| - 1)² around reals (arXiv 1705.07215).

    As in the authors' code, δ is α · scale · s · u: s the standard deviation of all numbers of the
    global batch of reals, u ~ U(0, 1) drawn for each number, α ~ U(0, 1) for each image, which is
    the place between x and its perturbed twin. x is what the adversarial loss shows D as real,
    augmented where that is. compare_gan differs: s · (u - ½) without α, clipped to the images'
    range.

    Args:
        weight: λ; 10 in the authors' code.
        scale: of the perturbation, relative to s; 0.5 there.
    """

    name = "dragan"
    summary = "D's gradient is to have length 1 around reals"
    term = "(\\|∇D(x + δ)\\| - 1)² around reals, `scale` that of δ"
    source = "1705.07215"

    def __init__(self, weight: float = 10.0, scale: float = 0.5) -> None:
        super().__init__(weight)
        if not (is_number(scale) and scale >= 0):
            raise ValueError(f"A scale is 0 or more. Received: dragan scale={scale!r}.")
        self.scale = float(scale)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        reals = update.views[update.mode.d_real]
        noise = update.draws.uniform(reals.shape[1:], self.name, "noise")
        share = update.draws.uniform((1, 1, 1), self.name, "share")
        around = reals + share * self.scale * _global_deviation(reals) * noise
        squares = squared_norms(update, around, update.views.labels("real"))
        return self.weight_at(update) * away_from_one(squares)

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "scale": self.scale}


def _global_deviation(images: tf.Tensor) -> tf.Tensor:
    """The standard deviation of all numbers of the global batch, a float32 scalar."""
    shares = {
        "mean": global_mean(tf.reduce_mean(images, axis=[1, 2, 3])),
        "square": global_mean(tf.reduce_mean(images**2, axis=[1, 2, 3])),
    }
    moments = sum_over_replicas(shares)
    variance = tf.nn.relu(moments["square"] - moments["mean"] ** 2)
    return tf.stop_gradient(tf.sqrt(variance))
