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
        summary: what the networks want, in a line for `--explain`.
    """

    name: str
    real: Callable[[tf.Tensor], tf.Tensor]
    fake: Callable[[tf.Tensor], tf.Tensor]
    generator: Callable[[tf.Tensor], tf.Tensor]
    summary: str = ""


LOSSES: dict[str, Loss] = {}


def register_loss(loss: Loss) -> Loss:
    """Makes a loss known by its name; returns it.

    Raises:
        ValueError: for a name that another has, or a loss without a `summary`.
    """
    if loss.name in LOSSES:
        raise ValueError(f"There is a loss of this name already. Received: name={loss.name!r}.")
    if not loss.summary:
        raise ValueError(f"A loss says in `summary` what it is. Received: name={loss.name!r}.")
    LOSSES[loss.name] = loss
    return loss


# Hinge: Miyato et al. 2018 (arXiv 1802.05957), equations 16 and 17; both papers use it.
register_loss(
    Loss(
        "hinge",
        real=lambda logits: tf.nn.relu(1.0 - logits),
        fake=lambda logits: tf.nn.relu(1.0 + logits),
        generator=lambda logits: -logits,
        summary="D wants logits above 1 on reals and below -1 on fakes, G wants them high",
    )
)
# Non-saturating logistic: Goodfellow et al. 2014 (arXiv 1406.2661), section 3.
register_loss(
    Loss(
        "non_saturating",
        real=lambda logits: tf.nn.softplus(-logits),
        fake=tf.nn.softplus,
        generator=lambda logits: tf.nn.softplus(-logits),
        summary="logistic: D a classifier of reals, G wants to be called real",
    )
)
# Wasserstein critic: Arjovsky et al. 2017 (arXiv 1701.07875), equation 3.
register_loss(
    Loss(
        "wasserstein",
        real=lambda logits: -logits,
        fake=lambda logits: logits,
        generator=lambda logits: -logits,
        summary="D's logits apart by as much as it can, G wants them high",
    )
)


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
