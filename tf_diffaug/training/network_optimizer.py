"""How one of the two networks is updated: its Keras optimizer, its loss scale, by XLA or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from tf_diffaug._keras import raw_variables, sublayers
from tf_diffaug.naming import unknown
from tf_diffaug.schedules import Schedule
from tf_diffaug.training.scheduled import ScheduledAdam
from tf_diffaug.training.strategy import num_replicas, replica_state, sum_over_replicas

Compiled = Literal["none", "generator", "discriminator", "both"]


class LossScale:
    """The factor that a float16 network's loss has, so that small gradients do not become 0.

    Micikevicius et al. (2018, arXiv 1710.03740), section 3.2: it is halved where a gradient is not
    finite, and that update is left out; it is doubled after `GROWTH_STEPS` updates in a row that
    were finite. The two constants are those of Keras' `LossScaleOptimizer`. That one is not taken:
    on Keras 3 one replica decides for all from its own gradients, and on Keras 2 the scale is not
    among the optimizer's variables, so that a resumed run would begin with another.
    """

    INITIAL = 2.0**15
    GROWTH_STEPS = 2000
    # Below it gradients are not finite for another reason.
    LEAST = 1.0

    def __init__(self, name: str) -> None:
        self.factor = replica_state(self.INITIAL, f"{name}_loss_scale")
        self._steps = replica_state(0, f"{name}_loss_scale_steps")
        self.variables = [self.factor, self._steps]

    def update(self, finite: tf.Tensor) -> None:
        """Learns whether all gradients of an update were finite."""
        steps = tf.where(finite, self._steps + 1, 0)
        is_grown = steps >= self.GROWTH_STEPS
        lowered = tf.maximum(self.factor / 2.0, self.LEAST)
        raised = tf.where(is_grown, self.factor * 2.0, self.factor)
        self.factor.assign(tf.where(finite, raised, lowered))
        self._steps.assign(tf.where(is_grown, 0, steps))


class NetworkOptimizer:
    """Applies a Keras optimizer to one network's gradients, in a step.

    Build it in the scope of the strategy.

    Args:
        optimizer: the Keras optimizer.
        variables: what it trains.
        scale: the loss scale, None where the gradient passes no layer in float16.
        jit: whether XLA compiles the network's update.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence,
        *,
        scale: LossScale | None = None,
        jit: bool = False,
    ) -> None:
        self.scale = scale
        self._optimizer = optimizer
        self._variables = list(variables)
        self._jit = jit
        self._is_scheduled = isinstance(optimizer, ScheduledAdam)
        optimizer.build(self._variables)

    def state(self) -> list[tf.Variable]:
        """What a checkpoint holds of it."""
        own = self._optimizer.state() if self._is_scheduled else []
        scale = [] if self.scale is None else self.scale.variables
        return [*raw_variables(self._optimizer), *own, *scale]

    @property
    def schedules(self) -> dict[str, Schedule]:
        """What of the optimizer follows a schedule, by `lr`, `beta1` and `beta2`."""
        return self._optimizer.schedules if self._is_scheduled else {}

    def run(self, update: Callable[[], dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
        """Runs the network's update, compiled if it is to be."""
        return tf.function(update, autograph=False, jit_compile=True)() if self._jit else update()

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss to take gradients of."""
        return loss if self.scale is None else loss * self.scale.factor

    def apply(self, tape: tf.GradientTape, loss: tf.Tensor, seen: tf.Tensor | int = 0) -> None:
        """Updates the weights by the gradients of a loss that `scaled` returned.

        Args:
            tape: what the loss was computed under.
            loss: a float32 scalar.
            seen: the images seen before this step, by which schedules go.
        """
        # Of a label that a batch repeats Keras 3 would square each share, not their sum.
        gradients = [
            tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
            for gradient in tape.gradient(loss, self._variables)
        ]
        finite = True if self.scale is None else _all_finite(gradients)
        if self._is_scheduled:
            self._optimizer.advance(seen, applied=finite)
        if self.scale is None:
            self._apply(gradients)
            return
        factor = tf.identity(self.scale.factor)
        self.scale.update(finite)
        unscaled = [None if value is None else value / factor for value in gradients]
        self._apply_if(finite, unscaled)

    def _apply(self, gradients: list[tf.Tensor | None]) -> None:
        # The optimizers sum gradients over the replicas, and `global_mean` has divided them.
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))

    def _apply_if(self, condition: tf.Tensor, gradients: list[tf.Tensor | None]) -> None:
        if num_replicas() == 1:
            _if(condition, lambda: self._apply(gradients))
            return

        def on_all(strategy: tf.distribute.Strategy, condition: Any, gradients: list) -> None:
            # Optimizers merge the replicas, which no branch of a single one may.
            each = strategy.extended.call_for_each_replica
            first = strategy.experimental_local_results(condition)[0]
            _if(first, lambda: each(self._apply, args=(gradients,)))

        tf.distribute.get_replica_context().merge_call(on_all, args=(condition, gradients))


def network_optimizers(
    generator: tuple[keras.Model, keras.optimizers.Optimizer, Sequence],
    discriminator: tuple[keras.Model, keras.optimizers.Optimizer, Sequence],
    *,
    jit_compile: bool | Compiled = False,
) -> tuple[NetworkOptimizer, NetworkOptimizer]:
    """G's and D's.

    Args:
        generator: G, built; its Keras optimizer; and the variables that this trains.
        discriminator: D's, likewise.
        jit_compile: whose update XLA compiles; True: both.

    Raises:
        ValueError: for an unknown `jit_compile`, or any under a strategy of several replicas.
    """
    choice = {True: "both", False: "none"}.get(jit_compile, jit_compile)
    if choice not in get_args(Compiled):
        raise ValueError(unknown("jit_compile", jit_compile, get_args(Compiled)))
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if choice != "none" and replicas > 1:
        raise ValueError(
            "XLA compiles the updates of one replica alone (a TPU's it compiles anyhow). "
            f"Received: jit_compile={jit_compile!r} with {replicas} replicas."
        )

    def made(name: str, passed: Sequence[keras.Model], trained: Sequence) -> NetworkOptimizer:
        scale = LossScale(name) if any(map(_has_float16, passed)) else None
        return NetworkOptimizer(*trained, scale=scale, jit=choice in (name, "both"))

    (g, *g_trained), (d, *d_trained) = generator, discriminator
    # G's gradient comes to it through D.
    return made("generator", (g, d), g_trained), made("discriminator", (d,), d_trained)


def _has_float16(network: keras.Model) -> bool:
    layers = sublayers(network, keras.layers.Layer)
    return any(layer.compute_dtype == "float16" for layer in layers)


def _all_finite(gradients: list[tf.Tensor | None]) -> tf.Tensor:
    """Whether all gradients are finite on all replicas."""
    found = [tf.reduce_all(tf.math.is_finite(value)) for value in gradients if value is not None]
    broken = tf.cast(~tf.reduce_all(tf.stack(found)), tf.float32)
    return sum_over_replicas({"broken": broken})["broken"] == 0.0


def _if(condition: tf.Tensor, action: Callable[[], Any]) -> None:
    def acted() -> tf.Tensor:
        action()
        return tf.constant(True)

    tf.cond(condition, acted, lambda: tf.constant(False))
