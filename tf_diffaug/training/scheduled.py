"""Schedules in a training step: their values, and an Adam that follows them."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.schedules import Schedule, as_schedule, ends
from tf_diffaug.training.strategy import replica_state

# How the logs name Adam's arguments.
_NAMES = {"learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2"}


def value_at(value: float | Schedule, seen: tf.Tensor | int) -> float | tf.Tensor:
    """A schedule's value, a float32 scalar; a constant is itself.

    Args:
        value: either.
        seen: how many images were seen.
    """
    if not isinstance(value, Schedule):
        return value
    share = tf.minimum(tf.cast(seen, tf.float32) / value.images, 1.0)
    if value.kind == "cosine":
        share = 0.5 - 0.5 * tf.cos(math.pi * share)
    # So written it has both ends to the last bit.
    return value.start * (1.0 - share) + value.end * share


class _Held(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that Keras reads where its own schedules compute one of the optimizer's updates."""

    def __init__(self, rate: tf.Variable) -> None:
        self._rate = rate

    def __call__(self, step: Any) -> tf.Tensor:
        del step
        return tf.convert_to_tensor(self._rate)

    def get_config(self) -> dict[str, Any]:
        return {}


class ScheduledAdam(keras.optimizers.Adam):
    """Keras' Adam whose learning rate and betas may follow schedules of the images seen.

    Where a beta changes, the moments are divided by the weight that they have given to gradients so
    far, w := beta · w + (1 - beta) from 0 on, which is 1 - beta^t where beta is constant. (PyTorch,
    and so R3GAN's code, divides by 1 - beta^t with the present beta, which is that only for a
    constant one.) Under a `tf.distribute` strategy, make it in the strategy's scope.

    Args:
        learning_rate: a number, a `Schedule` or the text of one; 0 or more.
        beta_1: of the mean gradient, likewise, in [0, 1).
        beta_2: of the mean square, likewise.
        epsilon: Keras'; 1e-8 in Adam's paper.
        kwargs: what else Keras' Adam takes.

    Raises:
        ValueError: if a value is out of its range.
    """

    def __init__(
        self,
        learning_rate: float | str | Schedule = 2e-4,
        beta_1: float | str | Schedule = 0.5,
        beta_2: float | str | Schedule = 0.999,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        given = {"learning_rate": learning_rate, "beta_1": beta_1, "beta_2": beta_2}
        values = {name: as_schedule(value, name) for name, value in given.items()}
        for name, value in values.items():
            least, greatest = ends(value)
            if least < 0 or (name != "learning_rate" and greatest >= 1):
                bounds = "0 or more" if name == "learning_rate" else "in [0, 1)"
                raise ValueError(f"{name} is {bounds}. Received: {name}={given[name]!r}.")
        betas = {
            name: replica_state(float(value.start), name)
            for name, value in values.items()
            if isinstance(value, Schedule) and name != "learning_rate"
        }
        rate = replica_state(0.0, "learning_rate")
        super().__init__(
            **{**values, **betas, "learning_rate": _Held(rate)}, epsilon=epsilon, **kwargs
        )
        self._values, self._rate, self._betas = values, rate, betas
        self._given = {name: replica_state(0.0, f"{name}_given") for name in betas}

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Those that it follows, by `lr`, `beta1` and `beta2`."""
        values = self._values.items()
        return {_NAMES[name]: value for name, value in values if isinstance(value, Schedule)}

    def state(self) -> list[tf.Variable]:
        """The variables besides Keras' own: what the last update had, and the moments' weights."""
        return [self._rate, *self._betas.values(), *self._given.values()]

    def advance(self, seen: tf.Tensor | int, *, applied: tf.Tensor | bool = True) -> None:
        """Sets the values of the update that follows; inside a replica.

        Args:
            seen: the images seen before this step.
            applied: whether there is one: a loss scale may leave it out.
        """
        rate = value_at(self._values["learning_rate"], seen)
        count = tf.cast(tf.convert_to_tensor(self.iterations), tf.float32) + 1.0
        for name, variable in self._betas.items():
            beta, before = value_at(self._values[name], seen), self._given[name]
            variable.assign(beta)
            given = before + (1.0 - beta) * (1.0 - before)
            # Keras divides the moments by 1 - beta^t: what is amiss is a factor of the rate.
            ratio = (1.0 - tf.pow(beta, count)) / given
            rate *= ratio if name == "beta_1" else tf.sqrt(1.0 / ratio)
            before.assign(tf.where(applied, given, before))
        self._rate.assign(rate)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this optimizer again."""
        values = self._values.items()
        given = {name: str(v) if isinstance(v, Schedule) else v for name, v in values}
        return {**super().get_config(), **given}
