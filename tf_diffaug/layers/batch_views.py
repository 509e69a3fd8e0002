"""Which rows of a batch belong together, for layers that look across the batch.

A discriminator may be shown several batches in one pass: reals, fakes, augmented ones. A layer that
measures a batch must then measure each of these views by itself. Who calls the network knows where
they are, and says so around the call; the network's own code does not change.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

import tensorflow as tf

from tf_diffaug.naming import unknown

KINDS = ("real", "fake")
Of = Literal["D", "G"]
_PASS: contextvars.ContextVar[BatchViews | None] = contextvars.ContextVar("pass", default=None)


@dataclasses.dataclass(frozen=True)
class BatchViews:
    """What `batch_views` says of the calls inside it, and what the layers tell in turn.

    Args:
        kinds: as of `batch_views`; empty where a batch is not known to be of any kind.
        seed: of the layers' draws, int32 (2,); None: each layer's own.
        of: whose update the gradient is for.
        loss_scale: what the loss is multiplied with, None for 1.
        squared_means: of each layer that has a term for it, in training: the sum over channels of
            the squared mean of each view, float32 (views,).
    """

    kinds: Mapping[str, str]
    seed: tf.Tensor | None
    of: Of
    loss_scale: tf.Tensor | None
    squared_means: list[tf.Tensor]


@contextlib.contextmanager
def batch_views(
    kinds: Mapping[str, str] | None = None,
    *,
    seed: tf.Tensor | None = None,
    of: Of | None = None,
    loss_scale: tf.Tensor | None = None,
) -> Iterator[BatchViews]:
    """Inside, a batch given to a network is these views one after the other, of equal size.

    What is left out is that of the context around it. As with `batch_statistics`, the choice is
    made when a graph is traced: enter the context inside a `tf.function`, not around it, and inside
    a replica.

    Args:
        kinds: the kind of each view, "real" or "fake", by its name, in the order of the batch.
            Layers draw for a view by its name. Without any, a batch is one, of no known kind.
        seed: int32 (2,), of what layers draw in the call; None: each draws by its own count of
            calls.
        of: whose update the gradient is for, "D" (unless said otherwise) or "G".
        loss_scale: what a float16 network's loss is multiplied with.

    Raises:
        ValueError: for another kind, or another network.

    Example:

    >>> import keras, tensorflow as tf
    >>> from tf_diffaug.layers import ChainNorm
    >>> network = keras.Sequential([keras.Input((3,)), ChainNorm()])
    >>> with batch_views({"real": "real", "fake": "fake"}) as views:
    ...     outputs = network(tf.ones((8, 3)), training=True)  # four of each
    >>> tf.add_n(views.squared_means)  # of the reals, of the fakes
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([3., 3.], dtype=float32)>
    """
    for kind in (kinds or {}).values():
        if kind not in KINDS:
            raise ValueError(unknown("kind", kind, KINDS))
    if of is not None and of not in get_args(Of):
        raise ValueError(unknown("of", of, get_args(Of)))
    outer = _PASS.get() or BatchViews({}, None, "D", None, [])
    views = BatchViews(
        kinds=outer.kinds if kinds is None else dict(kinds),
        seed=outer.seed if seed is None else seed,
        of=outer.of if of is None else of,
        loss_scale=outer.loss_scale if loss_scale is None else loss_scale,
        squared_means=[],
    )
    # A context variable: replicas are threads that take turns in the middle of a layer.
    token = _PASS.set(views)
    try:
        yield views
    finally:
        _PASS.reset(token)


def current_views() -> BatchViews:
    """What the innermost `batch_views` around the call says; outside of any, nothing is known."""
    return _PASS.get() or BatchViews({}, None, "D", None, [])
