"""Looking up places between pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import tensorflow as tf

from tf_diffaug.augment.borders import INSIDE, check_fill
from tf_diffaug.augment.look_up import Tap, look_up, summed
from tf_diffaug.augment.maps import Size, image_shape

Places = Callable[[], Iterator[tuple[tf.Tensor, tf.Tensor]]]


@tf.autograph.experimental.do_not_convert  # which knows no generators
def sample_bilinear(
    images: tf.Tensor, places: Places, *, fill: str = "constant", fill_value: float = 0.0
) -> tf.Tensor:
    """Adds up looks at places between pixels, each the average of the four pixels around.

    Args:
        images: float32 or float64 tensor (N, H, W, C).
        places: yields, anew at each call, where to look: rows and columns in pixels, float32
            (N, H, W).
        fill: what is outside the image: `constant`, `reflect` (mirrored, the edge pixel not
            repeated) or `nearest` (the edge pixel).
        fill_value: the constant, which goes to the sum in the share that looked outside.

    Raises:
        ValueError: if `fill` is none of these.
    """
    check_fill(fill)
    batch, height, width, channels = shape = image_shape(images)
    fold = INSIDE.get(fill, INSIDE["nearest"])

    def taps() -> Iterator[Tap]:
        first = (tf.range(batch) * (height * width))[:, None, None]
        for rows, columns in places():
            for row, row_weight in _neighbours(rows, height, fill):
                for column, column_weight in _neighbours(columns, width, fill):
                    place = first + fold(row, height) * width + fold(column, width)
                    weight = tf.cast(row_weight * column_weight, images.dtype)
                    yield tf.reshape(place, [-1]), tf.reshape(weight, [-1])

    output = look_up(tf.reshape(images, [-1, channels]), taps)
    if fill == "constant" and fill_value:
        looks = sum(1 for _ in places())
        inside = summed(taps, lambda tap: tap[1])
        output += fill_value * (looks - inside)[:, None]
    return tf.reshape(output, shape)


def _neighbours(places: tf.Tensor, size: Size, fill: str) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """The two pixels (N, H, W) around places along one axis, and their weights."""
    first = tf.floor(places)
    beyond = places - first
    index = tf.cast(first, tf.int32)
    for pixel, weight in ((index, 1.0 - beyond), (index + 1, beyond)):
        here = (pixel >= 0) & (pixel < size)
        yield pixel, tf.where(here, weight, 0.0) if fill == "constant" else weight
