"""A loss that is not finite ends the run."""

from __future__ import annotations

import math

import keras


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
