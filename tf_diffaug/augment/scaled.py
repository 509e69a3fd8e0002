"""What an op did to each image, as numbers that a network can be asked for."""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.augment.op import Op, Params


class ScaledParams:
    """An op's parameters, each from 0 at one end of the op's range to 1 at the other.

    The ends are `params_at(0)` and `params_at(1)`, so that brightness, a shift or a box's centre is
    the uniform number that it was drawn from; what goes past an end, as the saturation of an image
    that `color_jitter` makes grey, is at the end. Left out is what an image does not show: the op's
    `unseen_in`, what does not differ between the ends, and what is not one number an image, such as
    a seed.

    Args:
        op: the op.
        image_shape: (height, width, channels).
    """

    def __init__(self, op: Op, image_shape: tuple[int, int, int]) -> None:
        self._op = op
        self._shape = (1, *image_shape)
        with tf.init_scope():
            low, high = (op.params_at(quantile, self._shape) for quantile in (0.0, 1.0))
            unseen = op.unseen_in(self._shape)
            single = [key for key in low if low[key].shape.rank == 1 and key not in unseen]
            ends = {key: (float(low[key][0]), float(high[key][0])) for key in single}
        self._ends = {key: (first, last) for key, (first, last) in ends.items() if first != last}

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of their numbers."""
        return tuple(self._ends)

    def __call__(self, params: Params, applied: tf.Tensor | None = None) -> tf.Tensor:
        """The numbers of drawn parameters, float32 (batch, number of names).

        Args:
            params: the op's, of a batch.
            applied: bool (batch,), which images the op was applied to, None for all; the others
                have the op's `neutral_params`.
        """
        numbers = self._scale(params)
        if applied is None:
            return numbers
        neutral = self._scale(self._op.neutral_params(self._shape))
        return tf.where(applied[:, None], numbers, neutral)

    def _scale(self, params: Params) -> tf.Tensor:
        columns = [
            (tf.cast(params[key], tf.float32) - first) / (last - first)
            for key, (first, last) in self._ends.items()
        ]
        return tf.clip_by_value(tf.stack(columns, axis=1), 0.0, 1.0)
