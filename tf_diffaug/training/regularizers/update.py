"""One update of one network: what a regularizer may look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_diffaug.augment.placement import traced_for_xla
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.views import Mode, Views


@dataclasses.dataclass(frozen=True)
class Update:
    """One update of one network, as a regularizer sees it.

    Args:
        networks: the two networks, and what does not change of them.
        draws: the update's random numbers.
        views: its images by name.
        outputs: D's outputs for the views that the losses and the regularizers asked for.
        mode: the views that the adversarial losses look at.
        index: int64 scalar, number of this update of this network.
        seen: int64 scalar, the images that were seen before this step: where schedules are.
    """

    networks: Networks
    draws: Draws
    views: Views
    outputs: dict[str, Outputs]
    mode: Mode
    index: tf.Tensor
    seen: tf.Tensor | int = 0

    def is_due(self, every: int) -> tf.Tensor:
        """Whether this update is one of every so many."""
        return self.index % every == 0

    def lazily(
        self, every: int, rows: int | tf.Tensor, compute: Callable[[], tf.Tensor]
    ) -> tf.Tensor:
        """What `compute` returns, float32 (rows,), if this update is due, else zeros.

        Zeros cost nothing, but where replicas have to exchange something inside `compute`, such as
        a synchronised batch norm's statistics: then it runs in every update.

        Args:
            every: one of so many updates is due.
            rows: of what `compute` returns.
            compute: makes the values. The gradient is that of the variables it reads, not of
                tensors made outside of it, such as `outputs`: XLA has only the first.
        """
        if every == 1:
            return compute()
        due = self.is_due(every)
        choose = _choose_under_xla if traced_for_xla() else _choose
        try:
            return choose(due, compute, rows)
        except RuntimeError as error:
            # There is no public way to ask whether a network's layers exchange anything.
            if "merge_call" not in str(error):
                raise
            return tf.where(due, compute(), 0.0)


def _choose(due: tf.Tensor, compute: Callable[[], tf.Tensor], rows: int | tf.Tensor) -> tf.Tensor:
    return tf.cond(due, compute, lambda: tf.zeros([rows]))


def _choose_under_xla(
    due: tf.Tensor, compute: Callable[[], tf.Tensor], rows: int | tf.Tensor
) -> tf.Tensor:
    """The same with the gradient taken inside a condition of its own, at one more `compute`.

    XLA compiles the gradient of a condition for both of its branches, and fails where the one not
    taken leaves a shape at 0, as it does in a network that calls `tf.repeat`.
    """

    @tf.custom_gradient
    def chosen() -> tuple[tf.Tensor, Callable]:
        def backward(upstream: tf.Tensor, variables: list | None = None) -> tuple[list, list]:
            variables = variables or []

            def gradients() -> list[tf.Tensor]:
                with tf.GradientTape() as tape:
                    values = compute()
                found = tape.gradient(
                    values,
                    variables,
                    output_gradients=upstream,
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                return [tf.convert_to_tensor(gradient) for gradient in found]

            def zeros() -> list[tf.Tensor]:
                return [tf.zeros(variable.shape, variable.dtype) for variable in variables]

            return [], tf.cond(due, gradients, zeros)

        return _choose(due, compute, rows), backward

    return chosen()
