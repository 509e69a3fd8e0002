"""Penalties on D's gradient with regard to its images."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.naming import unknown
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.draws import Augmentation
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.regularizers.base import Regularizer, checked_whole
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update


def image_gradient(
    update: Update, images: tf.Tensor, labels: tf.Tensor | None, augment: Augmentation | None = None
) -> tf.Tensor:
    """∇D with regard to the images, through the augmentation if given, float32 of their shape.

    Where D has several logits of an image, such as one a patch, D(x) is their mean, as in its loss.
    """
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = images if augment is None else augment(images)
        outputs = call_discriminator(update.networks.discriminator, seen, labels)
        logits = tf.reduce_sum(per_example(outputs.logits))
    return tf.cast(tape.gradient(logits, images), tf.float32)


def squared_norms(
    update: Update, images: tf.Tensor, labels: tf.Tensor | None, augment: Augmentation | None = None
) -> tf.Tensor:
    """|∇D|² of each image, float32 (batch,), likewise."""
    gradient = image_gradient(update, images, labels, augment)
    return tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])


def away_from_one(squares: tf.Tensor) -> tf.Tensor:
    """(|g| - 1)² of |g|²."""
    # A gradient of length 0 has no derivative.
    return tf.square(tf.sqrt(squares + 1e-12) - 1.0)


class _ZeroCentred(Regularizer):
    """weight / 2 · |∇D(x)|² on one kind of images."""

    kind: str

    def __init__(self, weight: float = 10.0, on: str = "raw", every: int = 1) -> None:
        super().__init__(weight)
        if on not in ("raw", "augmented"):
            raise ValueError(unknown("on", on, ("raw", "augmented")))
        self.on = on
        self.every = checked_whole(self.name, "every", every, least=1)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        views, kind = update.views, self.kind
        shown = update.mode.d_real if kind == "real" else update.mode.d_fake
        through = shown != kind and self.on == "raw"
        images = views[kind] if through else views[shown]
        augment = views.augment[kind] if through else None
        norms = update.lazily(
            self.every,
            update.draws.batch_size,
            lambda: squared_norms(update, images, views.labels(kind), augment),
        )
        return 0.5 * self.weight_at(update) * self.every * norms

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "on": self.on, "every": self.every}


@register_regularizer
class R1(_ZeroCentred):
    """Zero-centred gradient penalty on reals: weight / 2 · |∇D(x)|² (arXiv 1801.04406, eq. 9).

    Args:
        weight: γ; 10 in the paper's experiments, 0.1 in DiffAugment's StyleGAN2 on CIFAR.
        on: `"raw"`: the gradient with regard to x, through the augmentation where D's loss sees
            augmented reals, as in DiffAugment's low-shot code; `"augmented"`: with regard to the
            augmented reals, as in its CIFAR code. Where D's loss sees plain reals the two are the
            same.
        every: in one of so many of D's updates, so many times as strong: StyleGAN2's lazy
            regularization (arXiv 1912.04958, section 3.1), 16 there.
    """

    name = "r1"
    summary = "D's gradient is to be small on reals"
    term = "½ \\|∇D(x)\\|² on reals"
    source = "1801.04406, 1912.04958"
    kind = "real"


@register_regularizer
class R2(_ZeroCentred):
    """The same on fakes: weight / 2 · |∇D(G(z))|² (arXiv 1801.04406, eq. 10).

    The arguments are those of `R1`.
    """

    name = "r2"
    summary = "D's gradient is to be small on fakes"
    term = "½ \\|∇D(G(z))\\|² on fakes"
    source = "1801.04406"
    kind = "fake"


@register_regularizer
class WGANGP(Regularizer):
    """WGAN-GP: weight · (|∇D(x̂)| - 1)² between reals and fakes (arXiv 1704.00028, eq. 3).

    x̂ is ε·x + (1 - ε)·G(z) with ε ~ U(0, 1) drawn for each image, of what the adversarial loss
    shows D: augmented images where the loss sees those. Labels are the reals'.

    Args:
        weight: λ; 10 in the paper.
    """

    name = "wgan_gp"
    summary = "D's gradient is to have length 1 between reals and fakes"
    term = "(\\|∇D(x̂)\\| - 1)² between reals and fakes"
    source = "1704.00028"

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__(weight)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        real, fake = update.views[update.mode.d_real], update.views[update.mode.d_fake]
        share = update.draws.uniform((1, 1, 1), self.name, "share")
        between = share * real + (1.0 - share) * fake
        squares = squared_norms(update, between, update.views.labels("real"))
        return self.weight_at(update) * away_from_one(squares)
