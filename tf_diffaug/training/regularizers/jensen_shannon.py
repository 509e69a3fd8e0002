"""The Jensen-Shannon regularizer: what noise of a small variance on the images would do."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.training.losses import per_example
from tf_diffaug.training.regularizers.base import Regularizer, checked_whole, is_number
from tf_diffaug.training.regularizers.gradient_penalty import squared_norms
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update


@register_regularizer
class JensenShannon(Regularizer):
    """weight / 2 · ((1 - σ(D(x)))² |∇D(x)|² + σ(D(G(z)))² |∇D(G(z))|²) (arXiv 1705.09367).

    D are logits, σ the sigmoid, and neither factor is held fixed, as in the authors' code. x and
    G(z) are what the adversarial loss shows D, augmented where that is. It was derived for
    the logistic loss (`non_saturating`).

    Args:
        weight: γ, the variance of the noise; the authors' commands have 2 with annealing, and
            their code 0.1 if it is told nothing.
        anneal: the G steps over which the weight falls to its `decay`-th part, exponentially, and
            goes on falling; 0: it stays. All steps of a run in the authors' commands.
        decay: 0.01 in the authors' code.
    """

    name = "js"
    summary = "D's gradient is to be small where D is unsure, as if the images had noise"
    term = (
        "½ (σ(-D(x))² \\|∇D(x)\\|² + σ(D(G(z)))² \\|∇D(G(z))\\|²), its weight falling in "  # noqa: RUF001
        "`anneal` steps to its `decay`-th part"
    )
    source = "1705.09367"
    reads_signs = True

    def __init__(self, weight: float = 2.0, anneal: int = 0, decay: float = 0.01) -> None:
        super().__init__(weight)
        if not (is_number(decay) and 0 < decay <= 1):
            raise ValueError(f"A decay is in (0, 1]. Received: js decay={decay!r}.")
        self.anneal = checked_whole(self.name, "anneal", anneal, least=0)
        self.decay = float(decay)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        views, names = update.views, (update.mode.d_real, update.mode.d_fake)
        real, fake = (per_example(update.outputs[name].logits) for name in names)
        slopes = [squared_norms(update, views[name], views.labels(name)) for name in names]
        # 1 - σ(l) is σ(-l), which does not round to 0.
        term = tf.square(tf.sigmoid(-real)) * slopes[0] + tf.square(tf.sigmoid(fake)) * slopes[1]
        return 0.5 * self.weight_at(update) * self._share(update) * term

    def _share(self, update: Update) -> float | tf.Tensor:
        if not self.anneal:
            return 1.0
        step = tf.cast(update.index // update.networks.d_steps, tf.float32)
        return self.decay ** (step / self.anneal)

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "anneal": self.anneal, "decay": self.decay}
