"""Weighted sums of looked-up rows, and their transpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tf_diffaug.augment.maps import Size

# Which row of the values each row of the output looks at, int32 (P,), and its weight, float (P,).
Tap = tuple[tf.Tensor, tf.Tensor]
Taps = Callable[[], Iterator[Tap]]

# Numbers from which on memory counts more than that two cores take two looks at once.
LARGE = 2**24

# Numbers a row from which on it takes a CPU less time to add rows in place, which also holds one
# tensor less, than to sum segments: 3072 took two thirds as long, 3 more than twice as long.
WIDE = 64


@tf.autograph.experimental.do_not_convert  # which knows no generators
def look_up(values: tf.Tensor, taps: Taps) -> tf.Tensor:
    """The sum over taps of weight·values[index].

    The gradient adds each row of the upstream to those that it was looked up from, and the gradient
    of that is the look-up: both are linear, so that gradients of any order are these two. None goes
    to the taps.

    Args:
        values: floating tensor (M, D).
        taps: yields the taps, anew at each call: the gradient makes them again, which takes less
            than to keep them. Of many numbers the looks come one after the other, since each is as
            large as the output.

    Returns:
        The sums, (P, D).
    """
    count = values.shape[0] if values.shape[0] is not None else tf.shape(values)[0]
    size = values.shape.num_elements()
    in_turns = size is None or size >= LARGE
    wide = (values.shape[1] or 0) >= WIDE

    @tf.custom_gradient
    def look(values: tf.Tensor) -> Any:
        def term(tap: Tap) -> tf.Tensor:
            return tf.gather(values, tap[0]) * tap[1][:, None]

        return summed(taps, term, in_turns=in_turns), give

    @tf.custom_gradient
    def give(upstream: tf.Tensor) -> Any:
        if wide:
            return _added_in_place(upstream, taps, count), look

        def term(tap: Tap) -> tf.Tensor:
            return tf.math.unsorted_segment_sum(upstream * tap[1][:, None], tap[0], count)

        return summed(taps, term, in_turns=in_turns), look

    return look(values)


def summed(taps: Taps, term: Callable[[Tap], tf.Tensor], *, in_turns: bool = True) -> tf.Tensor:
    """The sum of a term of each tap; in turns the next is made once the last has been added."""
    total, left = None, taps()
    while True:
        with tf.control_dependencies([total] if in_turns and total is not None else []):
            tap = next(left, None)
            if tap is None:
                return total
            found = term(tap)
            total = found if total is None else total + found


def _added_in_place(upstream: tf.Tensor, taps: Taps, count: Size) -> tf.Tensor:
    """What each of `count` rows was looked up for."""
    total = tf.zeros([count, upstream.shape[1]], upstream.dtype)
    for index, weight in taps():
        with tf.control_dependencies([total]):
            share = upstream * weight[:, None]
        total = tf.tensor_scatter_nd_add(total, index[:, None], share)
    return total
