"""What a small step of the latents changes: little to D, something in G's images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_diffaug.training.calls import call_generator
from tf_diffaug.training.regularizers.base import Regularizer, is_number
from tf_diffaug.training.regularizers.consistency import squared_change
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update


def fakes_nearby(
    update: Update, owner: str, step: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """The update's fakes after a small step of their latents: (batch, height, width, channels).

    Labels, and what G draws itself, are those of the fakes.

    Args:
        update: the update.
        owner: the name of the regularizer, whose draw the step is.
        step: makes it from the latents and standard normal numbers, both (batch, latent_dim).
    """
    networks, draws = update.networks, update.draws
    latents = draws.latents(networks.latent_dim, networks.generator)
    noise = draws.normal([networks.latent_dim], owner, "step")
    return call_generator(
        networks.generator,
        latents + step(latents, noise),
        update.views.labels("fake"),  # a paired loss's are those of its reals
        training=True,
        seed=draws.seed("generator"),
    )


@register_regularizer
class ZCR(Regularizer):
    """Latent consistency regularization, zCR (arXiv 2002.04724, algorithm 2).

    With δ ~ N(0, σ²), D pays weight · (D(G(z)) - D(G(z + δ)))², with no gradient for G, and G pays
    -generator_weight · mean (G(z) - G(z + δ))² over pixels in [-1, 1], for images that differ; that
    term is `g_zcr` in the logs. Labels, and what G draws itself, are those of G(z). The images are
    plain whatever the losses see, as in the paper, whose adversarial losses see plain images.
    Together with `BCR` at 10 this is the paper's ICR.

    The paper's constants could not be read: weights, σ and the mean over pixels are StudioGAN's
    for CIFAR-10.

    Args:
        weight: of D's term; 20 there.
        generator_weight: of G's term; 0.5 there.
        sigma: σ; 0.05 there.

    Raises:
        ValueError: if a weight is negative, or sigma not above 0.
    """

    name = "zcr"
    summary = "a small step of the latents is to change D's logits little and G's images much"
    of = "D, G"
    term = (
        "D: (D(G(z)) - D(G(z + δ)))², G: -`generator_weight` · mean (G(z) - G(z + δ))², "
        "logged as `g_zcr`; `sigma` is δ's"
    )
    source = "2002.04724"

    def __init__(
        self, weight: float = 20.0, generator_weight: float = 0.5, sigma: float = 0.05
    ) -> None:
        super().__init__(weight)
        if not (is_number(generator_weight) and generator_weight >= 0):
            raise ValueError(
                f"A weight is 0 or more. Received: zcr generator_weight={generator_weight!r}."
            )
        if not (is_number(sigma) and sigma > 0):
            raise ValueError(f"sigma is above 0. Received: zcr sigma={sigma!r}.")
        self.generator_weight = float(generator_weight)
        self.sigma = float(sigma)

    @property
    def generator_name(self) -> str:
        return "g_zcr"

    def _fakes_nearby(self, update: Update) -> tf.Tensor:
        return fakes_nearby(update, self.name, lambda latents, step: self.sigma * step)

    def discriminator_views(self, update: Update) -> tuple[str, ...]:
        images = self._fakes_nearby(update)  # made here, where no tape of D's follows G
        return "fake", update.views.define("zcr_fake", "fake", lambda: images)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        return self.weight_at(update) * squared_change(
            update.outputs["fake"], update.outputs["zcr_fake"]
        )

    def generator_term(self, update: Update) -> tf.Tensor:
        change = update.views["fake"] - self._fakes_nearby(update)
        return -self.generator_weight * tf.reduce_mean(tf.square(change), axis=[1, 2, 3])

    def get_config(self) -> dict[str, Any]:
        own = {"generator_weight": self.generator_weight, "sigma": self.sigma}
        return {**super().get_config(), **own}
