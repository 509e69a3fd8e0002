"""What is not finite, a loss or the weights, ends the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np
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
        losses = {name: np.reshape(value, [1]) for name, value in (logs or {}).items()}
        refuse_non_finite(losses, int(self.model.step.numpy()))


def refuse_non_finite(losses: Mapping[str, np.ndarray], first: int) -> None:
    """Looks for the first step with a term that is not finite.

    Args:
        losses: the terms of some steps in a row, (steps,) by name.
        first: the number of the first of these steps.

    Raises:
        NonFiniteLossError: naming that step and its terms.
    """
    bad = ~np.isfinite(list(losses.values()))
    if bad.any():
        index = int(bad.any(axis=0).argmax())
        terms = {name: float(values[index]) for name, values in losses.items()}
        raise NonFiniteLossError(
            first + index, {name: v for name, v in terms.items() if not math.isfinite(v)}
        )


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
