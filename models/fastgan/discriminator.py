"""FastGAN's discriminator."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.models.fastgan.base import FastGANNetwork
from tf_diffaug.models.fastgan.blocks import LeakyConv, ResidualDown, SkipExcitation

# Multiples of the width by the side of a map, in the branch of the whole image and, from half of
# its side on, in that of the small one.
DISCRIMINATOR_WIDTHS = {512: 0.125, 256: 0.25, 128: 0.5, 64: 1, 32: 2, 16: 4, 8: 8}
SMALL_WIDTHS = {64: 0.5, 32: 1, 16: 2, 8: 4}
LOGITS_WIDTH = 16
# The first map of the whole image's branch, if the image is not smaller; each branch's last one.
FIRST, LAST = 256, 8
# The small image, if it is not half of the image.
SMALL = 128
# The map of eight times the side weighs the channels of these.
EXCITED = (32, 16, 8)


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class FastGANDiscriminator(FastGANNetwork):
    """Images to logits of patches: one branch judges the image, another a small version of it.

    The small version, of 128 px or, below 256 px, of half of the side, has every second, fourth or
    eighth pixel (the authors' `F.interpolate` to the nearest). Either branch ends in a map of 8 × 8
    and has 5 × 5 logits.

    Its batch norms look across the batch: a `GAN` has it judge views one by one.

    Args:
        resolution: height and width of the images: 32, 64, 128, 256, 512 or 1024.
        channels: channels of the images.
        width: channels of the map of 64 px, 64 as published; `DISCRIMINATOR_WIDTHS` and
            `SMALL_WIDTHS` have the multiples.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: float images (batch, resolution, resolution, channels), meant for [-1, 1].
        training: whether batch norm uses the batch's statistics (`BatchNorm`).
        return_features: whether to return a dict of `logits`, `features` (batch, 12 · width), the
            mean pixels of both branches' last maps, and `maps`, a dict of what decoders are to see:
            `image` and `small`, these two maps, and `part`, the 16 × 16 one before the first, whose
            quarters are of the image's quarters.

    Returns logits of shape (batch, 50), in float32 under mixed precision too.

    Raises:
        ValueError: for another resolution, or a size below 1.
    """

    _first_seed_index = 1000

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 64,
        *,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(resolution, channels, width, seed, **kwargs)
        first, *sides = self._sides()
        stride = 1 if resolution <= FIRST else 2
        size = 3 if stride == 1 else 4
        if resolution > 2 * FIRST:
            filters = self._filters(DISCRIMINATOR_WIDTHS[2 * FIRST])
            self._layer(LeakyConv, filters, size, stride, norm=False, name=f"down{2 * FIRST}")
        filters, norm = self._filters_at(first), resolution > 2 * FIRST
        self._layer(LeakyConv, filters, size, stride, norm=norm, name=f"down{first}")
        for side in sides:
            self._layer(ResidualDown, self._filters_at(side), name=f"down{side}")
            if self._is_excited(side):
                self._layer(SkipExcitation, self._filters_at(side), name=f"skip{side}")
        for index, side in enumerate(self._small_sides()):
            filters = self._filters(SMALL_WIDTHS[side])
            self._layer(LeakyConv, filters, 4, 2, norm=index > 0, name=f"small{side}")
        self._layer(LeakyConv, self._filters(LOGITS_WIDTH), 1, name="before_logits")
        self.to_logits = self._normalized(keras.layers.Conv2D, 1, 4, name="to_logits")
        self.to_small_logits = self._normalized(keras.layers.Conv2D, 1, 4, name="to_small_logits")

    def _sides(self) -> list[int]:
        """Of the maps of the image's branch, but one that is larger than 256 px."""
        return [side for side in DISCRIMINATOR_WIDTHS if side <= min(self.resolution, FIRST)]

    def _small_sides(self) -> list[int]:
        return [side for side in SMALL_WIDTHS if 2 * side <= self._small_resolution()]

    def _small_resolution(self) -> int:
        return min(self.resolution // 2, SMALL)

    def _filters_at(self, side: int) -> int:
        return self._filters(DISCRIMINATOR_WIDTHS[side])

    def _is_excited(self, side: int) -> bool:
        return side in EXCITED and 8 * side in self._sides()

    def _named(self, *names: str) -> tuple[keras.layers.Layer, ...]:
        return tuple(getattr(self, name) for name in names if hasattr(self, name))

    def blocks(self) -> list[tuple[keras.layers.Layer, ...]]:
        """What `freeze_blocks` counts, from the image: all that makes or weighs maps of a side."""
        sides = [side for side in DISCRIMINATOR_WIDTHS if hasattr(self, f"down{side}")]
        return [self._named(f"down{s}", f"skip{s}", f"small{s}") for s in sides]

    def _example_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def build(self, input_shape: Any = None) -> None:
        shape, shapes = (None, *self._example_shape()), {}
        for layer in self._named(f"down{2 * FIRST}"):
            shape = layer.build_for(shape)
        for side in self._sides():
            shape = shapes[side] = getattr(self, f"down{side}").build_for(shape)
            if self._is_excited(side):
                getattr(self, f"skip{side}").build_for(shapes[8 * side])
        self.to_logits.build(self.before_logits.build_for(shape))
        small = self._small_resolution()
        shape = (None, small, small, self.channels)
        for side in self._small_sides():
            shape = getattr(self, f"small{side}").build_for(shape)
        self.to_small_logits.build(shape)
        self.built = True

    def maps(self, images: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
        """What `return_features` returns as `maps`."""
        if not self.built:
            self.build()
        hidden, maps = images, {}
        for layer in self._named(f"down{2 * FIRST}"):
            hidden = layer(hidden, training=training)
        for side in self._sides():
            hidden = getattr(self, f"down{side}")(hidden, training=training)
            if self._is_excited(side):
                hidden = getattr(self, f"skip{side}")(hidden, maps[8 * side])
            maps[side] = hidden
        every = self.resolution // self._small_resolution()
        small = images[:, ::every, ::every]
        for side in self._small_sides():
            small = getattr(self, f"small{side}")(small, training=training)
        return {"image": maps[LAST], "part": maps[2 * LAST], "small": small}

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, return_features: bool = False
    ) -> tf.Tensor | dict[str, Any]:
        maps = self.maps(inputs, training)
        ends = [maps["image"], maps["small"]]
        patches = [
            self.to_logits(self.before_logits(ends[0], training=training)),
            self.to_small_logits(ends[1]),
        ]
        logits = tf.concat([tf.reshape(patch, (-1, 25)) for patch in patches], axis=1)
        logits = tf.cast(logits, self.variable_dtype)
        if not return_features:
            return logits
        means = [tf.reduce_mean(tf.cast(end, self.variable_dtype), (1, 2)) for end in ends]
        return {"logits": logits, "features": tf.concat(means, axis=1), "maps": maps}

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (input_shape[0], 50)
