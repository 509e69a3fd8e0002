"""What is not finite, a loss or the weights, ends the run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from tf_diffaug import random

if TYPE_CHECKING:
    from tf_diffaug.training.gan import GAN


class NonFiniteLossError(ArithmeticError):
    """A loss became infinite or not a number.

    Args:
        step: the step it happened in, 1 the first.
        terms: the terms that are not finite, by name.
    """

    def __init__(self, step: int, terms: dict[str, float]) -> None:
        named = ", ".join(f"{name} is {value}" for name, value in terms.items())
        super().__init__(f"Training failed in step {step}: {named}.")
        self.step = step
        self.terms = terms


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises `NonFiniteLossError` after the first step with a term that is not finite."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        terms = {k: float(v) for k, v in (logs or {}).items() if not math.isfinite(v)}
        if terms:
            raise NonFiniteLossError(int(self.model.step.numpy()), terms)


def check_finite(gan: GAN) -> None:
    """Looks for weights that are not finite, or that make images which are not.

    A loss shows them a step late: by then they may have been saved.

    Raises:
        NonFiniteLossError: naming what is not finite.
    """
    tensors = {
        group: [v for v in variables if v.dtype.is_floating]
        for group, variables in gan.state().items()
    }
    seed = random.derive(gan.seed, "sample")
    inputs = random.normal([2, gan.latent_dim], seed), gan.labels(2, seed)
    tensors["samples"] = [gan.generate(*inputs), gan.generate(*inputs, ema=False)]
    bad = {
        group: math.nan
        for group, values in tensors.items()
        if not all(bool(tf.reduce_all(tf.math.is_finite(value))) for value in values)
    }
    if bad:
        raise NonFiniteLossError(int(gan.step.numpy()), bad)
