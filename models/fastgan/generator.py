"""FastGAN's generator."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random as stateless
from tf_diffaug.layers import UpsampledConv2D
from tf_diffaug.models.base import check_positive
from tf_diffaug.models.fastgan.base import FastGANNetwork
from tf_diffaug.models.fastgan.blocks import GatedConv, SkipExcitation
from tf_diffaug.models.noise import noise

# Multiples of the width by the side of a map.
GENERATOR_WIDTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25, 1024: 0.125}
FIRST = 4
# Maps of these sides have a second convolution, and noise in both.
COMPOUND = (8, 32, 128, 512)
# The map of a sixteenth of the side weighs the channels of these.
EXCITED = (64, 128, 256, 512)


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class FastGANGenerator(FastGANNetwork):
    """Latents to images: gated convolutions that double the side, and skip-layer excitation.

    Args:
        resolution: height and width of the images: 32, 64, 128, 256, 512 or 1024.
        channels: channels of the images.
        width: channels at 128 px, 64 as published; `GENERATOR_WIDTHS` has the multiples.
        latent_dim: length of a latent vector, 256 as published.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: latents (batch, latent_dim).
        training: whether batch norm uses the batch's statistics (`BatchNorm`).
        seed: int32 (2,), of the noise. Without, the noise is the same for every image and call, and
            the outputs a function of inputs and weights.

    Returns images of shape (batch, resolution, resolution, channels) in [-1, 1], in float32 under
    mixed precision too.

    Under `tf.distribute` noise is drawn for the global batch: replicas together get what one would.

    Raises:
        ValueError: for another resolution, or a size below 1.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 64,
        *,
        latent_dim: int = 256,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(resolution, channels, width, seed, **kwargs)
        check_positive(latent_dim=latent_dim)
        self.latent_dim = latent_dim
        kind = keras.layers.Conv2DTranspose
        self._layer(GatedConv, self._filters_at(FIRST), kind, FIRST, name=f"up{FIRST}")
        for side in self._sides():
            filters, noisy = self._filters_at(side), side in COMPOUND
            self._layer(GatedConv, filters, UpsampledConv2D, 3, noisy=noisy, name=f"up{side}")
            if side in COMPOUND:
                kind, options = keras.layers.Conv2D, {"padding": "same"}
                self._layer(
                    GatedConv, filters, kind, 3, noisy=True, options=options, name=f"conv{side}"
                )
            if side in EXCITED:
                self._layer(SkipExcitation, filters, name=f"skip{side}")
        self.to_image = self._normalized(
            keras.layers.Conv2D, channels, 3, padding="same", name="to_image"
        )

    def _sides(self) -> list[int]:
        """The sides of the maps after the first one."""
        return [side for side in GENERATOR_WIDTHS if FIRST < side <= self.resolution]

    def _filters_at(self, side: int) -> int:
        return self._filters(GENERATOR_WIDTHS[side])

    def _convs_at(self, side: int) -> list[GatedConv]:
        names = [f"up{side}", *([f"conv{side}"] if side in COMPOUND else [])]
        return [getattr(self, name) for name in names]

    def _example_shape(self) -> tuple[int, ...]:
        return (self.latent_dim,)

    def build(self, input_shape: Any = None) -> None:
        shapes = {FIRST: self.up4.build_for((None, 1, 1, self.latent_dim))}
        shape = shapes[FIRST]
        for side in self._sides():
            for conv in self._convs_at(side):
                shape = conv.build_for(shape)
            if side in EXCITED:
                getattr(self, f"skip{side}").build_for(shapes[side // 16])
            shapes[side] = shape
        self.to_image.build(shape)
        self.built = True

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        batch = inputs.shape[0]
        sides = [side for side in self._sides() if side in COMPOUND for _ in range(2)]
        seed = None if seed is None else stateless.as_seed(seed)
        batch = tf.shape(inputs)[0] if batch is None else batch
        noises = iter(noise(sides, batch, seed, self.variable_dtype))
        hidden = self.up4(inputs[:, None, None, :], training=training)
        maps = {FIRST: hidden}
        for side in self._sides():
            for conv in self._convs_at(side):
                hidden = conv(hidden, next(noises) if conv.noisy else None, training=training)
            if side in EXCITED:
                hidden = getattr(self, f"skip{side}")(hidden, maps[side // 16])
            maps[side] = hidden
        return tf.tanh(tf.cast(self.to_image(hidden), self.variable_dtype))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (input_shape[0], self.resolution, self.resolution, self.channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latent_dim": self.latent_dim}
