"""Instance discrimination: D's features tell an image, seen twice, from the images seen before."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.training.regularizers.base import is_number
from tf_diffaug.training.regularizers.momentum_contrast import MomentumContrast
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update

FARTHEST = 3.0  # of a latent, for the length of its step; in FakeCLR's code


@register_regularizer
class InsGen(MomentumContrast):
    """InsGen (arXiv 2106.04566): instance discrimination on reals and on fakes, and in G's loss.

    D pays weight · `info_nce` for T(x) and a second T(x), and fake_weight · that for T(G(z)) and
    T(G(z + δ)), δ ~ N(0, σ²); G pays generator_weight · that for two T(G(z)). Keys are from copies
    of D and of the heads that follow them slowly. The queue of reals keeps the keys; that of fakes
    what the slow head makes of D's own features of T(G(z)), as in the authors' code (genforce/
    insgen: contrastive_loss.py, contrastive_head.py), which is where all constants are from.

    Other than there: D's features are its last hidden ones, not the mean over the last convolution;
    the query is the T(x) that the adversarial loss shows, not a third; D's optimizer trains the
    heads; the fakes' slow head moves once a step, not in G's update too; G's noise is the same for
    G(z + δ), as is its style mixing; mirrored images do not double the queue; and of a batch longer
    than the queue the last keys are kept, not the first.

    Args:
        weight: of D's term on reals; 1 there.
        fake_weight: of D's term on fakes; 1 there.
        generator_weight: of G's term; 0.1 there. 0: G has none.
        sigma: σ; 0.15 there.
        queue: keys in each queue, below 1 their share of the training images; 5 % there.
        temperature: 0.2 there.
        momentum: of the slow copies; 0.999 there.
        hidden: units of a head's hidden layer; 512 there, which D has features. None: as many as
            features, at most 2048.
        out: units of a head's last layer; 128 there.
    """

    name = "insgen"
    summary = (
        "D's features are to tell each image, seen twice, from images seen before, on reals and on "
        "fakes (the second time after a small step of the latents); G is to make fakes that they "
        "tell apart"
    )
    term = (
        "InfoNCE with a queue and a slow D: of two T(x), and of T(G(z)) and T(G(z + δ)), δ ~ N(0,"
        " `sigma`²); G: of two T(G(z)), logged as `g_insgen`"
    )
    source = "2106.04566"
    kinds = ("real", "fake")

    def __init__(
        self,
        weight: float = 1.0,
        fake_weight: float = 1.0,
        generator_weight: float = 0.1,
        sigma: float = 0.15,
        queue: float = 0.05,
        temperature: float = 0.2,
        momentum: float = 0.999,
        hidden: int | None = 512,
        out: int = 128,
    ) -> None:
        super().__init__(weight, generator_weight, queue, temperature, momentum, hidden, out)
        self.fake_weight = self._checked_weight("fake_weight", fake_weight)
        self.sigma = _checked_above_0(self.name, "sigma", sigma)

    def kind_weights(self, update: Update) -> dict[str, float | tf.Tensor]:
        return {"real": self.weight_at(update), "fake": self.fake_weight}

    def step(self, latents: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        del latents
        return self.sigma * noise

    def queued(self, kind: str, features: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        return self.instances[kind].keys(features) if kind == "fake" else keys

    def get_config(self) -> dict[str, Any]:
        own = {"fake_weight": self.fake_weight, "sigma": self.sigma}
        return {**super().get_config(), **own}


@register_regularizer
class FakeCLR(MomentumContrast):
    """FakeCLR (arXiv 2207.08630): `InsGen` on fakes alone, with steps as long as the latents.

    D pays weight · `info_nce` for T(G(z)) and T(G(z + δ)), δ = scale · min(|z|, 3) · N(0, 1), G
    generator_weight · that for two T(G(z)). The queue keeps the keys. The paper could not be read:
    this is its code (iceli1007/FakeCLR: contrastive_loss.py, contrastive_head_iteration.py), from
    which all constants are, and from which this differs as `InsGen` from its.

    The factor by which the queue is to forget is a softmax over an axis of one entry in that code:
    1 for every key, whatever its age, added to its similarity. That is `margin`; with a temperature
    of 0.2 the negatives count e⁵ times.

    Args:
        weight: of D's term; 1 there.
        generator_weight: of G's term; 0.1 there. 0: G has none.
        scale: of the step of the latents; 0.1 there.
        margin: is added to the similarity of each negative; 1 there.
        queue: keys in the queue, below 1 their share of the training images; 5 % there.
        temperature: 0.2 there.
        momentum: of the slow copies; 0.999 there.
        hidden: units of the head's hidden layer; 512 there, which D has features. None: as many as
            features, at most 2048.
        out: units of the head's last layer; 128 there.
    """

    name = "fakeclr"
    summary = (
        "D's features are to tell each fake, the second time after a small step of its latents, "
        "from fakes seen before; G is to make fakes that they tell apart"
    )
    term = (
        "InfoNCE with a queue and a slow D: of T(G(z)) and T(G(z + δ)), δ = `scale` ·"
        " min(\\|z\\|, 3) · N(0, 1); G: of two T(G(z)), logged as `g_fakeclr`"
    )
    source = "2207.08630"

    def __init__(
        self,
        weight: float = 1.0,
        generator_weight: float = 0.1,
        scale: float = 0.1,
        margin: float = 1.0,
        queue: float = 0.05,
        temperature: float = 0.2,
        momentum: float = 0.999,
        hidden: int | None = 512,
        out: int = 128,
    ) -> None:
        super().__init__(weight, generator_weight, queue, temperature, momentum, hidden, out)
        self.scale = _checked_above_0(self.name, "scale", scale)
        if not is_number(margin):
            raise ValueError(f"A margin is a number. Received: fakeclr margin={margin!r}.")
        self.margin = float(margin)

    def step(self, latents: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return self.scale * tf.minimum(tf.abs(latents), FARTHEST) * noise

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "margin": self.margin}


def _checked_above_0(name: str, option: str, value: float) -> float:
    if not (is_number(value) and value > 0):
        raise ValueError(f"{option} is above 0. Received: {name} {option}={value!r}.")
    return float(value)
