"""R3GAN's generator."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.labels import class_weights
from tf_diffaug.layers.resample import upsample
from tf_diffaug.models.base import batch_of, check_positive
from tf_diffaug.models.r3gan.base import SIDE, R3GANNetwork
from tf_diffaug.models.r3gan.blocks import GenerativeBasis


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class R3GANGenerator(R3GANNetwork):
    """Latents, and labels if there are classes, to images: a 4 × 4 basis, then residual stages.

    Labels are embedded in as many numbers as a latent has and stand beside it. Between two stages a
    1 × 1 convolution changes the channels, where they change, and the map is upsampled through the
    filter [1, 3, 3, 1].

    Args:
        resolution: height and width of the images, a power of two from 4.
        channels: channels of the images.
        width: channels of the maps up to `full_width_until`; 768 in the presets of CIFAR-10 and
            FFHQ, 1536 in those of ImageNet.
        latent_dim: length of a latent vector; 64 as published.
        num_classes: number of classes, or None for an unconditional network.
        cardinality: groups of the 3 × 3 convolutions at full width; narrower maps have
            proportionally fewer. None for groups of 16 channels, as for CIFAR-10 and FFHQ.
        depth: residual blocks of each stage; 2 as published.
        expansion: how much wider a block is inside; 2 as published.
        full_width_until: side up to which maps keep the full width, halved at each doubling after
            it; 32, in ImageNet's preset at 64 px 64.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: latents (batch, latent_dim), or with classes a pair of these and int labels
            (batch,), or floats (batch, num_classes), the weight of each class.
        training: changes nothing.

    Returns images of shape (batch, resolution, resolution, channels), in float32 under mixed
    precision too. There is no tanh: they are meant for [-1, 1] and may leave it.

    Raises:
        ValueError: for a side that is no power of two, a size below 1, or channels that do not
            divide into groups.
    """

    # Labels may be floats, the weight of each class: classes can be mixed.
    takes_class_weights = True

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 768,
        *,
        latent_dim: int = 64,
        num_classes: int | None = None,
        cardinality: int | None = None,
        depth: int = 2,
        expansion: int = 2,
        full_width_until: int = 32,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            resolution,
            channels,
            width,
            num_classes=num_classes,
            cardinality=cardinality,
            depth=depth,
            expansion=expansion,
            full_width_until=full_width_until,
            seed=seed,
            **kwargs,
        )
        check_positive(latent_dim=latent_dim)
        self.latent_dim = latent_dim
        if num_classes is not None:
            # On one-hot rows: an embedding whose gradient is not sparse.
            self.embedding = self._linear(
                keras.layers.Dense,
                latent_dim,
                fan_in=num_classes,
                dtype=self.variable_dtype,
                name="embedding",
            )
        self.basis = GenerativeBasis(
            self._channels_at(SIDE),
            SIDE,
            seeds=(self._layer_seed(), self._layer_seed()),
            dtype=self._dtype_at(SIDE),
            name="basis",
        )
        for side in self.sides:
            if side > SIDE and self._changes_channels(side):
                name, before = f"narrow{side}", self._channels_at(side // 2)
                setattr(self, name, self._pointwise(before, self._channels_at(side), name=name))
            self._add_blocks(side)
        self.to_image = self._pointwise(self._channels_at(resolution), channels, name="to_image")

    def _example_shape(self) -> tuple[int, ...]:
        return (self.latent_dim,)

    def build(self, input_shape: Any = None) -> None:
        length = self.latent_dim
        if self.num_classes is not None:
            self.embedding.build((None, self.num_classes))
            length *= 2
        self.basis.build((None, length))
        for side in self.sides:
            channels = self._channels_at(side)
            if (narrow := getattr(self, f"narrow{side}", None)) is not None:
                narrow.build((None, side // 2, side // 2, self._channels_at(side // 2)))
            for block in self._blocks_at(side):
                block.build((None, side, side, channels))
        self.to_image.build((None, self.resolution, self.resolution, channels))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        del training
        latents, labels = self._split(inputs)
        latents = tf.cast(latents, self.variable_dtype)
        if labels is not None:
            weights = class_weights(labels, self.num_classes, dtype=latents.dtype)
            latents = tf.concat([latents, self.embedding(weights)], axis=1)
        hidden = self.basis(latents)
        for side in self.sides:
            if side > SIDE:
                hidden = tf.cast(hidden, self.compute_dtype)
                narrow = getattr(self, f"narrow{side}", None)
                hidden = upsample(hidden if narrow is None else narrow(hidden))
            for block in self._blocks_at(side):
                hidden = block(hidden)
        return tf.cast(self.to_image(hidden), self.variable_dtype)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (batch_of(input_shape), self.resolution, self.resolution, self.channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latent_dim": self.latent_dim}
