"""Flips, turns, zooms, crops and shifts by parts of a pixel: one affine map, one interpolation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import tensorflow as tf

from tf_diffaug.augment.bilinear import sample_bilinear
from tf_diffaug.augment.borders import check_fill
from tf_diffaug.augment.maps import Map, Size, chosen
from tf_diffaug.augment.mirror import mirror_columns
from tf_diffaug.augment.resample_map import ResampleMap, pixels_across, sampling

Part = tf.Tensor | float


@dataclasses.dataclass(frozen=True)
class AffineMap:
    """Looks each place up at another, an affine function of it: (y, x) at matrix·(y, x) + shift.

    Places are in pixels from the image's centre. One map after the other is their product, so that
    the image is interpolated once, and is seen through by what comes later: a zoom out after a zoom
    in shows what the image has there. A part is a float32 tensor of shape (N,) or a Python float.

    Attributes:
        matrix: ((yy, yx), (xy, xx)).
        shift: (y, x).
        size: the images' (H, W) in pixels.
        border: what is outside the image: `constant`, `reflect`, `nearest`; None where the map
            looks at nothing outside, so that any suits it.
        fill: the constant.
        shrink: the largest factor that the image can shrink by; an average is over as many pixels.
        mirrored: of a flip alone, bool (N,): it stays an exact look-up.
        applied: bool (N,), which images any part of the map changes; None: all. The others stay to
            the bit.
    """

    matrix: tuple[tuple[Part, Part], tuple[Part, Part]] = ((1.0, 0.0), (0.0, 1.0))
    shift: tuple[Part, Part] = (0.0, 0.0)
    size: tuple[Size, Size] = (1, 1)
    border: str | None = None
    fill: float = 0.0
    shrink: float = 1.0
    mirrored: tf.Tensor | None = None
    applied: tf.Tensor | None = None

    @classmethod
    def window(
        cls,
        top: tf.Tensor | None,
        left: tf.Tensor | None,
        height: Part,
        width: Part,
        size: tuple[Size, Size],
        *,
        border: str | None = None,
        fill: float = 0.0,
        shrink: float = 1.0,
    ) -> AffineMap:
        """Resizes a window of each image to the whole.

        Args:
            top: the window's upper end as a fraction of the height, float32 (N,); below 0 or past 1
                is outside the image. None leaves the rows as they are.
            left: its left end as a fraction of the width, likewise.
            height: its height as a fraction of the image's, a number or (N,).
            width: its width, likewise.
            size: the images' (H, W) in pixels.
            border: what is outside the image; None if the window lies inside.
            fill: the constant.
            shrink: the largest height or width that is given.

        Raises:
            ValueError: if `border` is none of its choices.
        """
        check_fill(border or "nearest")
        parts = []
        for start, extent, side in zip((top, left), (height, width), size, strict=True):
            if start is None:
                parts.append((1.0, 0.0))
            else:
                parts.append((extent, tf.cast(side, tf.float32) * (start + extent / 2 - 0.5)))
        (yy, y), (xx, x) = parts
        return cls(((yy, 0.0), (0.0, xx)), (y, x), size, border, fill, shrink)

    @classmethod
    def flip(cls, mirrored: tf.Tensor, size: tuple[Size, Size]) -> AffineMap:
        """Mirrors left and right the images for which `mirrored`, bool (N,), is true."""
        sign = 1.0 - 2.0 * tf.cast(mirrored, tf.float32)
        return cls(((1.0, 0.0), (0.0, sign)), size=size, mirrored=mirrored)

    @classmethod
    def rotation(
        cls, angle: tf.Tensor, size: tuple[Size, Size], *, border: str, fill: float = 0.0
    ) -> AffineMap:
        """Turns each image about its centre, counter-clockwise, by an angle (N,) in radians."""
        check_fill(border)
        sin, cos = tf.sin(angle), tf.cos(angle)
        return cls(((cos, sin), (-sin, cos)), size=size, border=border, fill=fill)

    def then(self, following: Map) -> Map | None:
        if not isinstance(following, AffineMap):
            return None
        a, b = self, following
        if None not in (a.border, b.border) and (a.border, a.fill) != (b.border, b.fill):
            return None
        outer = a if b.border is None else b
        matrix = tuple(
            tuple(_dot(row, (b.matrix[0][k], b.matrix[1][k])) for k in range(2)) for row in a.matrix
        )
        shift = tuple(
            _add(_dot(row, b.shift), own) for row, own in zip(a.matrix, a.shift, strict=True)
        )
        flips = None not in (a.mirrored, b.mirrored)
        some = None not in (a.applied, b.applied)
        return dataclasses.replace(
            outer,
            matrix=matrix,
            shift=shift,
            shrink=a.shrink * b.shrink,
            mirrored=tf.not_equal(a.mirrored, b.mirrored) if flips else None,
            applied=a.applied | b.applied if some else None,
        )

    def only(self, applied: tf.Tensor) -> Map:
        """The same map with the identity's parts for the other images: it still composes."""

        def part(value: Part, neutral: float) -> Part:
            known = isinstance(value, float) and value == neutral
            return value if known else tf.where(applied, value, neutral)

        (yy, yx), (xy, xx) = self.matrix
        return dataclasses.replace(
            self,
            matrix=((part(yy, 1.0), part(yx, 0.0)), (part(xy, 0.0), part(xx, 1.0))),
            shift=tuple(part(value, 0.0) for value in self.shift),
            mirrored=None if self.mirrored is None else self.mirrored & applied,
            applied=applied if self.applied is None else self.applied & applied,
        )

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        if self.mirrored is not None:
            return mirror_columns(images, self.mirrored)
        if self.applied is not None:
            # The identity's own products some accelerators round.
            return chosen(dataclasses.replace(self, applied=None), self.applied)(images)
        if all(isinstance(self.matrix[i][1 - i], float) for i in range(2)):
            return self._along_axes()(images)
        return self._anywhere(images)

    def _along_axes(self) -> ResampleMap:
        """The map along each axis: nothing is turned."""
        averages = []
        for axis, side in enumerate(self.size):
            extent, shift = self.matrix[axis][axis], self.shift[axis]
            if isinstance(extent, float) and isinstance(shift, float):
                averages.append(None)
                continue
            extent, shift = _column(extent), _column(shift)
            centers = _centered(side) * extent + shift + _center(side)
            border = self.border or "nearest"
            averages.append(sampling(centers, extent, side, border, self.shrink))
        return ResampleMap(*averages, self.fill if self.border == "constant" else None)

    @tf.autograph.experimental.do_not_convert  # which knows no generators
    def _anywhere(self, images: tf.Tensor) -> tf.Tensor:
        """Bilinear, between any four pixels.

        Where the image shrinks it is the mean of some looks, spread over what of a step between two
        places a pixel does not cover; where it does not they all fall together.
        """
        dtype, looks = images.dtype, pixels_across(self.shrink)
        images = images if dtype == tf.float64 else tf.cast(images, tf.float32)
        (yy, yx), (xy, xx) = (
            tuple(tf.stop_gradient(_grid(part)) for part in row) for row in self.matrix
        )
        shift_y, shift_x = (tf.stop_gradient(_grid(part)) for part in self.shift)
        height, width = self.size
        y, x = _centered(height)[:, None], _centered(width)
        spread_y, spread_x = (
            1.0 - 1.0 / tf.maximum(tf.sqrt(a**2 + b**2), 1.0) for a, b in ((yy, xy), (yx, xx))
        )
        offsets = [(i + 0.5) / looks - 0.5 for i in range(looks)]
        # Not a square of looks but as many as its side, in each row and each column one.
        across = [*offsets[1::2], *offsets[::2]]

        def places() -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
            for offset_y, offset_x in zip(offsets, across, strict=True):
                at_y, at_x = y + offset_y * spread_y, x + offset_x * spread_x
                rows = at_y * yy + at_x * yx + shift_y + _center(height)
                columns = at_y * xy + at_x * xx + shift_x + _center(width)
                yield rows, columns

        border = self.border or "nearest"
        total = sample_bilinear(images, places, fill=border, fill_value=self.fill)
        return tf.cast(total / looks if looks > 1 else total, dtype)


def _dot(row: tuple[Part, Part], column: tuple[Part, Part]) -> Part:
    return _add(*(_mul(a, b) for a, b in zip(row, column, strict=True)))


def _add(a: Part, b: Part) -> Part:
    """The sum; a part that is known to be 0 stays out of the graph, and known."""
    if isinstance(a, float) and a == 0.0:
        return b
    return a if isinstance(b, float) and b == 0.0 else a + b


def _mul(a: Part, b: Part) -> Part:
    return 0.0 if any(isinstance(p, float) and p == 0.0 for p in (a, b)) else a * b


def _column(part: Part) -> tf.Tensor:
    """A part against the places (side,) of an axis."""
    return tf.stop_gradient(tf.convert_to_tensor(part, tf.float32))[..., None]


def _grid(part: Part) -> tf.Tensor:
    return tf.convert_to_tensor(part, tf.float32)[..., None, None]


def _center(side: Size) -> tf.Tensor:
    return tf.cast(side - 1, tf.float32) / 2.0


def _centered(side: Size) -> tf.Tensor:
    """The places of an axis, in pixels from the centre."""
    return tf.cast(tf.range(side), tf.float32) - _center(side)
