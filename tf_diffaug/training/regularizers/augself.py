"""AugSelf: D's features tell how an image was augmented, and G is to make images that show it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.augment.scaled import ScaledParams
from tf_diffaug.naming import unknown
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer, is_number
from tf_diffaug.training.regularizers.classifier import Head
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update


@register_regularizer
class AugSelf(Regularizer):
    """D tells w, what T did, from how T(x) differs from x; of fakes -w (arXiv 2205.15677).

    q, what D tells, is a linear layer for each op of the run's policy on φ(T(x)) - φ(x), the
    difference of D's features. w are the op's parameters scaled to [0, 1] (`ScaledParams`), as in
    the authors' code, so that the sign of q says real or fake. D's term is weight · (|q - w|² of
    reals + |q + w|² of fakes), G's generator_weight · (|q - w|² - |q + w|²) of fakes: the squares'
    mean over an op's numbers, their sum over the ops.

    T(x) and w are of the update's own draw: with `augment="both"`, AugSelf's method and what it is
    unless said, the T(x) that the adversarial losses see. An op that ADA's coins did not apply to
    an image has its neutral parameters; the authors' code has no coins. Ops without a parameter
    that an image shows, such as `instance_noise`, have no layer.

    AugSelf+ is a stronger policy, `color,translation:0.25,cutout:0.75`, in the authors' scripts for
    BigGAN on CIFAR.

    Args:
        weight: of D's term; 1 in the scripts of their BigGAN on CIFAR and of their StyleGAN2, 0.1
            on 100-shot grumpy cat and AnimalFace-cat.
        generator_weight: of G's term; 1 in the scripts of their BigGAN and on 100-shot Obama, panda
            and AnimalFace-dog, 0.1 on grumpy cat and AnimalFace-cat, 0.2 on FFHQ and LSUN-cat. 0:
            G has none.
        ops: names of the policy's ops that are told, by commas; None for all. Their 100-shot runs
            have `"color"`.

    Raises:
        ValueError: if an argument is out of its range, or, when built, D has no features or none of
            the ops has parameters that an image shows.
    """

    name = "augself"
    summary = (
        "D's features are to tell how an image was augmented, with the other sign of a fake; G is "
        "to make images of which it is told as of reals"
    )
    of = "D, G"
    term = (
        "D: \\|q - w\\|² on reals + \\|q + w\\|² on fakes; G: `generator_weight` · (\\|q - w\\|² - "
        "\\|q + w\\|²), logged as `g_augself`; w what T did, q = Q(φ(T(x)) - φ(x))"
    )
    source = "2205.15677"
    uses_policy = True
    beside_losses = True
    needs_features = True
    views = ("real", "real_aug", "fake", "fake_aug")

    def __init__(
        self, weight: float = 1.0, generator_weight: float = 1.0, ops: str | None = None
    ) -> None:
        super().__init__(weight)
        if not (is_number(generator_weight) and generator_weight >= 0):
            raise ValueError(
                f"A weight is 0 or more. Received: augself generator_weight={generator_weight!r}."
            )
        if ops is not None and not isinstance(ops, str):
            raise ValueError(
                f"ops are names of ops, in quotes, such as 'color'. Received: augself ops={ops!r}."
            )
        self.generator_weight = float(generator_weight)
        self.ops = ops

    @property
    def generator_name(self) -> str:
        return "g_augself"

    def build(self, networks: Networks) -> None:
        policy = networks.augmenter.policy
        scales = [ScaledParams(op, networks.image_shape) for op in policy.ops]
        known = {op.name: None for op, s in zip(policy.ops, scales, strict=True) if s.names}
        if not known:
            raise ValueError(
                "augself tells what the policy did to an image, and no op of this one has a "
                "parameter that an image shows: take one such as 'color,translation,cutout'. "
                f"Received: policy={str(policy)!r}."
            )
        told = [*known] if self.ops is None else [name.strip() for name in self.ops.split(",")]
        for name in told:
            if name not in known:
                raise ValueError(unknown("op", name, known, received=f"augself ops={self.ops!r}"))
        self._told = {
            index: (scaled, Head(networks, self.name, len(scaled.names), f"head{index}"))
            for index, (op, scaled) in enumerate(zip(policy.ops, scales, strict=True))
            if scaled.names and op.name in told
        }

    def discriminator_views(self, update: Update) -> tuple[str, ...]:
        del update
        for _, head in self._told.values():
            head.advance()
        return self.views

    def discriminator_term(self, update: Update) -> tf.Tensor:
        real, fake = (self._error(update, *of) for of in (("real", 1.0), ("fake", -1.0)))
        return self.weight_at(update) * (real + fake)

    def generator_views(self, update: Update) -> tuple[str, ...]:
        del update
        return ("fake", "fake_aug") if self.generator_weight else ()

    def generator_term(self, update: Update) -> tf.Tensor | None:
        if not self.generator_weight:
            return None
        as_real, as_fake = (self._error(update, "fake", sign) for sign in (1.0, -1.0))
        return self.generator_weight * (as_real - as_fake)

    def _error(self, update: Update, kind: str, sign: float) -> tf.Tensor:
        """|q - sign · w|² of reals or fakes, float32 (batch,)."""
        plain, augmented = (
            tf.cast(update.outputs[name].features, tf.float32) for name in (kind, f"{kind}_aug")
        )
        params, applied = update.views.augment[kind].params(update.views[kind])
        errors = []
        for index, (scaled, head) in self._told.items():
            coins = None if applied is None else applied[:, index]
            guess, done = head(augmented - plain), scaled(params[index], coins)
            errors.append(tf.reduce_mean(tf.square(guess - sign * done), axis=1))
        return tf.add_n(errors)

    @property
    def trainable_variables(self) -> list:
        return [v for _, head in self._told.values() for v in head.trainable_variables]

    @property
    def variables(self) -> list:
        return [v for _, head in self._told.values() for v in head.variables]

    def get_config(self) -> dict[str, Any]:
        own = {"generator_weight": self.generator_weight, "ops": self.ops}
        return {"weight": self.weight, **own}
