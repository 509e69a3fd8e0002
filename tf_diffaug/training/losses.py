"""Adversarial losses: functions of logits, one value an example.

Logits are of shape (batch, ...), any float dtype; the values are float32 of shape (batch,), so that
the trainer alone decides over what they are averaged (the global batch).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from tf_diffaug.naming import unknown

if TYPE_CHECKING:
    from tf_diffaug.training.draws import Draws
    from tf_diffaug.training.regularizers import Regularizer


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
        smoothing: D's targets are moved towards its logits by a uniform number in [0, smoothing),
            one for each logit.
        paired: whether each fake is judged beside a real image: `real` is then of the logits of
            the real less those of the fake, `generator` of the contrary, `fake` is left out, and
            G's update takes reals of its own.
    """

    name: str
    real: Callable[[tf.Tensor], tf.Tensor]
    fake: Callable[[tf.Tensor], tf.Tensor] | None
    generator: Callable[[tf.Tensor], tf.Tensor]
    summary: str = ""
    paired: bool = False
    smoothing: float = 0.0

    def batches(self, d_steps: int) -> int:
        """The batches of reals in a step: one for each update of D, and one for G's if paired."""
        return d_steps + int(self.paired)

    def of_discriminator(
        self, real_logits: tf.Tensor, fake_logits: tf.Tensor, draws: Draws | None = None
    ) -> tf.Tensor:
        """What D pays for each example, float32 (batch,); `draws` for a smoothed loss alone."""
        if self.smoothing:
            real_logits += self._moved(real_logits, draws, "real")
            fake_logits -= self._moved(fake_logits, draws, "fake")
        if self.paired:
            return per_example(self.real(real_logits - fake_logits))
        return per_example(self.real(real_logits)) + per_example(self.fake(fake_logits))

    def _moved(self, logits: tf.Tensor, draws: Draws, name: str) -> tf.Tensor:
        numbers = draws.uniform(logits.shape[1:], f"loss/{self.name}", name)
        return tf.cast(self.smoothing * numbers, logits.dtype)

    def of_generator(
        self, fake_logits: tf.Tensor, real_logits: tf.Tensor | None = None
    ) -> tf.Tensor:
        """What G pays for each fake, float32 (batch,); `real_logits` for a paired loss alone."""
        if self.paired:
            return per_example(self.generator(fake_logits - real_logits))
        return per_example(self.generator(fake_logits))


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
# FastGAN's (Liu et al. 2021, arXiv 2101.04775; odegeasslbc/FastGAN-pytorch at 04524ef, `train_d`):
# relu(0.8 + 0.2 u - D(x)) and relu(0.8 + 0.2 u + D(G(z))), u uniform in [0, 1) for each logit.
register_loss(
    Loss(
        "smooth_hinge",
        real=lambda logits: tf.nn.relu(1.0 - logits),
        fake=lambda logits: tf.nn.relu(1.0 + logits),
        generator=lambda logits: -logits,
        summary="hinge, D's targets drawn anew for each logit between 0.8 and 1 from zero",
        smoothing=0.2,
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
# Relativistic pairing: Jolicoeur-Martineau 2018 (arXiv 1807.00734), section 4.1, with the logistic
# loss of R3GAN (Huang et al. 2024, arXiv 2501.05441, equation 2): RpGAN.
register_loss(
    Loss(
        "relativistic",
        real=lambda margin: tf.nn.softplus(-margin),
        fake=None,
        generator=lambda margin: tf.nn.softplus(-margin),
        summary="D wants the logit of a real above that of the fake beside it, G the contrary",
        paired=True,
    )
)


def get_loss(loss: str | Loss) -> Loss:
    """Returns a loss by name; a `Loss` is passed through.

    Raises:
        ValueError: if there is no loss of that name.
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(unknown("loss", loss, LOSSES))
    return LOSSES[loss]


def refuse_beside_paired(loss: Loss, regularizers: Sequence[Regularizer]) -> None:
    """Refuses regularizers that a paired loss takes the ground from.

    Such are those that read D's logits one by one, and those that label reals: G's update judges
    reals too, but labels are filled in for D's alone.

    Raises:
        ValueError: naming them.
    """
    if not loss.paired:
        return
    choices = ", ".join(name for name, other in LOSSES.items() if not other.paired)
    why = {
        "reads_signs": "reads single logits of D, whose sign a paired loss leaves free",
        "fills_labels": "labels reals in D's updates alone, and a paired loss has some in G's too",
    }
    for flag, reason in why.items():
        if names := [r.name for r in regularizers if getattr(r, flag)]:
            raise ValueError(
                f"{' and '.join(names)} {reason}: choose a loss of {choices}. "
                f"Received: loss={loss.name!r}."
            )
