"""Adversarial losses: functions of logits, one value an example.

Logits are of shape (batch, ...), any float dtype; the values are float32 of shape (batch,), so that
the trainer alone decides over what they are averaged (the global batch).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_diffaug.naming import unknown


def per_example(values: tf.Tensor) -> tf.Tensor:
    """Float32 means over all but the batch axis: a patch discriminator has several logits."""
    values = tf.cast(values, tf.float32)
    if values.shape.rank == 1:
        return values
    return tf.reduce_mean(values, axis=range(1, values.shape.rank))


@dataclasses.dataclass(frozen=True)
class Loss:
    """One adversarial loss.

    Args:
        real: what D pays for the logits of real images.
        fake: what D pays for the logits of generated images.
        generator: what G pays for the logits of generated images.
    """

    name: str
    real: Callable[[tf.Tensor], tf.Tensor]
    fake: Callable[[tf.Tensor], tf.Tensor]
    generator: Callable[[tf.Tensor], tf.Tensor]


LOSSES = {
    loss.name: loss
    for loss in (
        # Hinge: Miyato et al. 2018 (arXiv 1802.05957), equations 16 and 17; both papers use it.
        Loss(
            "hinge",
            real=lambda logits: tf.nn.relu(1.0 - logits),
            fake=lambda logits: tf.nn.relu(1.0 + logits),
            generator=lambda logits: -logits,
        ),
        # Non-saturating logistic: Goodfellow et al. 2014 (arXiv 1406.2661), section 3.
        Loss(
            "non_saturating",
            real=lambda logits: tf.nn.softplus(-logits),
            fake=tf.nn.softplus,
            generator=lambda logits: tf.nn.softplus(-logits),
        ),
        # Wasserstein critic: Arjovsky et al. 2017 (arXiv 1701.07875), equation 3.
        Loss(
            "wasserstein",
            real=lambda logits: -logits,
            fake=lambda logits: logits,
            generator=lambda logits: -logits,
        ),
    )
}


def get_loss(loss: str | Loss) -> Loss:
    """Returns a loss by name; a `Loss` is passed through.

    Raises:
        ValueError: if there is no loss of that name.
    """
    if isinstance(loss, Loss):
        return loss
    if loss not in LOSSES:
        raise ValueError(unknown("loss", loss, LOSSES))
    return LOSSES[loss]
