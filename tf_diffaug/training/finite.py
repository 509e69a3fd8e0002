"""What is not finite, a loss or the weights, ends the run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf


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


def check_finite(tensors: dict[str, Sequence[tf.Tensor]], step: int) -> None:
    """Looks for numbers that are not finite; what is no float is passed over.

    Args:
        tensors: what to look at, tensors or variables by the name of their group.
        step: the step that has ended, for the message.

    Raises:
        NonFiniteLossError: naming the groups that hold such a number.
    """
    bad = {
        group: math.nan
        for group, values in tensors.items()
        if not all(
            bool(tf.reduce_all(tf.math.is_finite(value)))
            for value in values
            if value.dtype.is_floating
        )
    }
    if bad:
        raise NonFiniteLossError(step, bad)
