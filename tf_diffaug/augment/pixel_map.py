"""Shifts and boxes as one look-up by index."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tf_diffaug.augment import placement
from tf_diffaug.augment.maps import Map, Size, image_shape

# Past the border of any image, with room to move in.
_FAR = 2**30


@dataclasses.dataclass(frozen=True)
class Window:
    """Rows top <= y < bottom, columns left <= x < right; int32 tensors of shape (N,)."""

    top: tf.Tensor
    bottom: tf.Tensor
    left: tf.Tensor
    right: tf.Tensor

    def moved(self, dy: tf.Tensor, dx: tf.Tensor) -> Window:
        return Window(self.top + dy, self.bottom + dy, self.left + dx, self.right + dx)

    def only(self, applied: tf.Tensor, *, low: int, high: int) -> Window:
        """This window where `applied`, bool (N,), elsewhere from `low` to `high` on both axes."""
        top, left = (tf.where(applied, start, low) for start in (self.top, self.left))
        bottom, right = (tf.where(applied, end, high) for end in (self.bottom, self.right))
        return Window(top, bottom, left, right)

    def overlap(self, other: Window) -> Window:
        return Window(
            tf.maximum(self.top, other.top),
            tf.minimum(self.bottom, other.bottom),
            tf.maximum(self.left, other.left),
            tf.minimum(self.right, other.right),
        )

    def along_axes(self, rows: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Which of the rows (H,) and which of the columns (V,) lie inside: (N, H) and (N, V)."""
        inside_y = (rows >= self.top[:, None]) & (rows < self.bottom[:, None])
        inside_x = (columns >= self.left[:, None]) & (columns < self.right[:, None])
        return inside_y, inside_x

    def contains(self, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """Which places of the grid lie inside: (N, H, V)."""
        inside_y, inside_x = self.along_axes(rows, columns)
        return inside_y[:, :, None] & inside_x[:, None, :]


@dataclasses.dataclass(frozen=True)
class PixelMap:
    """Moves each image by whole pixels, keeps a window and cuts holes; the rest is `fill`.

    The windows are places of the output. `shift` is (dy, dx), int32 tensors of shape (N,), positive
    down and to the right; it comes with a window to keep, that of the pixels that have a source.
    """

    shift: tuple[tf.Tensor, tf.Tensor] | None = None
    keep: Window | None = None
    holes: tuple[Window, ...] = ()
    fill: float = 0.0

    @classmethod
    def translation(
        cls, dy: tf.Tensor, dx: tf.Tensor, height: Size, width: Size, fill: float = 0.0
    ) -> PixelMap:
        """Content moves by (dy, dx); what it uncovers is filled."""
        return cls((dy, dx), Window(dy, dy + height, dx, dx + width), (), fill)

    def then(self, following: Map) -> Map | None:
        if not isinstance(following, PixelMap) or following.fill != self.fill:
            return None
        if following.shift is None:
            return dataclasses.replace(self, holes=self.holes + following.holes)
        dy, dx = following.shift
        moved = self.moved(dy, dx)
        return dataclasses.replace(
            moved,
            shift=(dy, dx) if self.shift is None else (self.shift[0] + dy, self.shift[1] + dx),
            keep=following.keep if moved.keep is None else moved.keep.overlap(following.keep),
            holes=moved.holes + following.holes,
        )

    def only(self, applied: tf.Tensor) -> Map:
        shift, keep = self.shift, self.keep
        return dataclasses.replace(
            self,
            shift=None if shift is None else tuple(tf.where(applied, s, 0) for s in shift),
            keep=None if keep is None else keep.only(applied, low=-_FAR, high=_FAR),
            holes=tuple(hole.only(applied, low=0, high=0) for hole in self.holes),
        )

    def moved(self, dy: tf.Tensor, dx: tf.Tensor) -> PixelMap:
        """The same map with its windows moved."""
        return dataclasses.replace(
            self,
            keep=None if self.keep is None else self.keep.moved(dy, dx),
            holes=tuple(hole.moved(dy, dx) for hole in self.holes),
        )

    def adjoint(self, height: Size, width: Size) -> PixelMap:
        """The transposed map: what goes into the gradient with respect to the images."""
        if self.shift is None:
            return dataclasses.replace(self, fill=0.0)
        dy, dx = -self.shift[0], -self.shift[1]
        back = PixelMap.translation(dy, dx, height, width)
        moved = self.moved(dy, dx)
        return dataclasses.replace(back, keep=back.keep.overlap(moved.keep), holes=moved.holes)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        _, height, width, _ = image_shape(images)

        @tf.custom_gradient
        def run(images):
            output = _mask(self, images) if self.shift is None else _look_up(self, images)
            return output, lambda upstream: self.adjoint(height, width)(upstream)

        return run(images)


def _mask(pixels: PixelMap, images: tf.Tensor) -> tf.Tensor:
    batch, height, width, channels = image_shape(images)
    rows, columns = tf.range(height), tf.range(width * channels) // channels
    output = tf.reshape(images, [batch, height, width * channels])
    for hole in pixels.holes:
        output = tf.where(hole.contains(rows, columns), tf.cast(pixels.fill, images.dtype), output)
    return tf.reshape(output, image_shape(images))


def _select(pixels: PixelMap, images: tf.Tensor) -> tf.Tensor:
    """`_look_up` for XLA, which fuses the choice between the fill and a pixel with the rest."""
    _, height, width, _ = image_shape(images)
    rows, columns = tf.range(height), tf.range(width)
    dy, dx = (shift[:, None] for shift in pixels.shift)
    output = tf.gather(images, tf.clip_by_value(rows - dy, 0, height - 1), batch_dims=1)
    source = tf.clip_by_value(columns - dx, 0, width - 1)
    output = tf.gather(output, source, axis=2, batch_dims=1)
    covered = pixels.keep.contains(rows, columns)
    for hole in pixels.holes:
        covered &= ~hole.contains(rows, columns)
    return tf.where(covered[..., None], output, tf.cast(pixels.fill, images.dtype))


def _look_up(pixels: PixelMap, images: tf.Tensor) -> tf.Tensor:
    if placement.traced_for_xla():
        return _select(pixels, images)
    batch, height, width, channels = image_shape(images)
    rows, columns = tf.range(height), tf.range(width)
    dy, dx = (shift[:, None] for shift in pixels.shift)
    # One pixel past the last holds the fill, so that filling costs no pass of its own.
    past = batch * height * width
    keep_rows, keep_columns = pixels.keep.along_axes(rows, columns)
    starts = (tf.range(batch) * height)[:, None] + rows - dy
    starts = tf.where(keep_rows, starts * width, past)[:, :, None]
    offsets = tf.where(keep_columns, columns - dx, past)[:, None, :]
    source = tf.minimum(starts + offsets, past)
    for hole in pixels.holes:
        # Minimum is "and" here, maximum "or": selecting pixel by pixel takes longer.
        inside_y, inside_x = (
            tf.where(inside, past, 0) for inside in hole.along_axes(rows, columns)
        )
        source = tf.maximum(source, tf.minimum(inside_y[:, :, None], inside_x[:, None, :]))
    flat = tf.reshape(images, [-1, channels])
    padded = tf.concat([flat, tf.fill([1, channels], tf.cast(pixels.fill, images.dtype))], axis=0)
    return tf.reshape(tf.gather_nd(padded, tf.reshape(source, [-1, 1])), image_shape(images))
