"""D defended against adversarial examples."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tf_diffaug._keras import sublayers
from tf_diffaug.layers import ChainNorm
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import (
    Regularizer,
    checked_whole,
    feature_size,
    is_number,
)
from tf_diffaug.training.regularizers.gradient_penalty import image_gradient
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update

# Half the distance of neighbouring numbers below 1.
_ROUNDING = {"bfloat16": 2.0**-9, "float16": 2.0**-12}


@register_regularizer
class AdversarialDefence(Regularizer):
    """weight · (|φ(x + v) - φ(x)| + |φ(G(z) + w) - φ(G(z))|) with D's features φ.

    Zhou & Krähenbühl, "Don't let your discriminator be fooled" (ICLR 2019), as the authors' code
    has it: v and w are the steps of length ε, in the images' units, up the gradient of D's loss;
    they get no gradient themselves. The text of the paper could not be read. x and G(z) are what
    the adversarial loss shows D. The authors' code differs in that its norm is of the whole batch,
    which √batch times a norm of each image stands for, and in that its φ is the last convolution's
    output before its activation.

    D's loss grows as its logit for a real falls and as that for a fake grows, whatever the loss, so
    that v and w follow D's logit itself: a hinge that is flat hides no attack.

    Args:
        weight: 80 is the authors' 10 for a batch of 64.
        epsilon: ε; 1e-4 there, for images in [-1, 1]. It is too little for arithmetic coarser than
            float32: TensorFloat-32, a GPU's default, loses most of it.
        steps: of ε / steps each, every one up the gradient where the last one led; 1 there. More is
            our own definition.
    """

    name = "adversarial_defence"
    summary = "an attack on D of a given length is to change its features little"
    term = (
        "\\|φ(x + v) - φ(x)\\| on reals and on fakes, φ D's features, v an attack of length "
        "`epsilon`"
    )
    source = "Zhou & Krähenbühl, ICLR 2019"
    needs_features = True

    def __init__(self, weight: float = 80.0, epsilon: float = 1e-4, steps: int = 1) -> None:
        super().__init__(weight)
        if not (is_number(epsilon) and epsilon > 0):
            raise ValueError(f"epsilon is above 0. Received: {self.name} epsilon={epsilon!r}.")
        self.epsilon = float(epsilon)
        self.steps = checked_whole(self.name, "steps", steps, least=1)

    def build(self, networks: Networks) -> None:
        feature_size(networks, self.name)
        dtype = getattr(networks.discriminator, "compute_dtype", "float32")
        least = _ROUNDING.get(dtype, 0.0) * math.sqrt(math.prod(networks.image_shape))
        if self.epsilon < least:
            raise ValueError(
                f"In {dtype} such a small change of the images is rounded away: epsilon must be "
                f"{least:.2g} or more. Received: {self.name} epsilon={self.epsilon}."
            )

    def discriminator_term(self, update: Update) -> tf.Tensor:
        real = self._change(update, update.mode.d_real, -1.0)
        return self.weight_at(update) * (real + self._change(update, update.mode.d_fake, 1.0))

    def _change(self, update: Update, name: str, sign: float) -> tf.Tensor:
        """|φ(x + v) - φ(x)| with v up (1) or down (-1) D's logit, float32 (batch,)."""
        labels = update.views.labels(name)
        attacked = update.views[name]
        for _ in range(self.steps):
            gradient = image_gradient(update, attacked, labels)
            length = tf.sqrt(tf.reduce_sum(gradient**2, axis=[1, 2, 3], keepdims=True))
            attacked += sign * self.epsilon / self.steps * gradient / (length + 1e-8)
            attacked = tf.stop_gradient(attacked)
        discriminator = update.networks.discriminator

        def features(images: tf.Tensor) -> tf.Tensor:
            outputs = call_discriminator(discriminator, images, labels, features=True)
            return tf.cast(outputs.features, tf.float32)

        # ChainNorm measures the views by running averages, and by other draws: then x has a pass of
        # the kind that x + v has, or the change would be that of the normalisation.
        apart = bool(sublayers(discriminator, ChainNorm))
        before = features(update.views[name]) if apart else update.outputs[name].features
        change = features(attacked) - tf.cast(before, tf.float32)
        # A change of length 0 has no derivative.
        return tf.sqrt(tf.reduce_sum(change**2, axis=1) + 1e-24)

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "epsilon": self.epsilon, "steps": self.steps}
