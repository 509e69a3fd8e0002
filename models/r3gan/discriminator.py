"""R3GAN's discriminator."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.labels import class_weights
from tf_diffaug.layers.resample import downsample
from tf_diffaug.models.base import ConditionalDiscriminator
from tf_diffaug.models.r3gan.base import SIDE, R3GANNetwork
from tf_diffaug.models.r3gan.blocks import DiscriminativeBasis


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class R3GANDiscriminator(ConditionalDiscriminator, R3GANNetwork):
    """Images to logits: the generator's stages in reverse, then a 4 × 4 basis and a linear map.

    With classes the linear map has `width` outputs, and the logit is their product with the label's
    embedding. There is no other path for the image, thus no logit without a label.

    Args:
        resolution: height and width of the images, a power of two from 4.
        channels: channels of the images.
        width: channels of the maps up to `full_width_until`; 768 in the presets of CIFAR-10 and
            FFHQ, 1536 in those of ImageNet.
        num_classes: number of classes, or None for an unconditional network.
        cardinality: groups of the 3 × 3 convolutions at full width; narrower maps have
            proportionally fewer. None for groups of 16 channels, as for CIFAR-10 and FFHQ.
        depth: residual blocks of each stage; 2 as published.
        expansion: how much wider a block is inside; 2 as published.
        full_width_until: side up to which maps keep the full width, halved at each doubling after
            it; 32, in ImageNet's preset at 64 px 64.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: float images (batch, resolution, resolution, channels), meant for [-1, 1], or with
            classes a pair of these and int labels (batch,).
        training: changes nothing.
        return_features: whether to return a dict of `logits` and `features`.

    Returns logits of shape (batch, 1), in float32 under mixed precision too.

    Raises:
        ValueError: for a side that is no power of two, a size below 1, or channels that do not
            divide into groups.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 768,
        *,
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
        self.from_image = self._pointwise(
            channels,
            self._channels_at(resolution),
            dtype=self._dtype_at(resolution),
            name="from_image",
        )
        for side in reversed(self.sides):
            self._add_blocks(side)
            if side > SIDE and self._changes_channels(side):
                name, before = f"widen{side}", self._channels_at(side)
                after = self._channels_at(side // 2)
                setattr(self, name, self._pointwise(before, after, name=name))
        full = self._channels_at(SIDE)
        precise = {"dtype": self.variable_dtype}
        self.basis = DiscriminativeBasis(seed=self._layer_seed(), **precise, name="basis")
        self.to_logit = self._linear(
            keras.layers.Dense,
            1 if num_classes is None else full,
            fan_in=full,
            **precise,
            name="to_logit",
        )
        if num_classes is not None:
            # On one-hot rows: an embedding whose gradient is not sparse.
            self.embedding = self._linear(
                keras.layers.Dense,
                full,
                fan_in=num_classes,
                gain=1.0 / math.sqrt(full),
                **precise,
                name="embedding",
            )

    def blocks(self) -> list[tuple[keras.layers.Layer, ...]]:
        """What `freeze_blocks` counts, from the image: all layers of one resolution.

        The first has `from_image`, the last is that of 4 px with its basis.
        """
        found = []
        for side in reversed(self.sides):
            widen = getattr(self, f"widen{side}", None)
            found.append((*self._blocks_at(side), *([] if widen is None else [widen])))
        found[0] = (self.from_image, *found[0])
        found[-1] = (*found[-1], self.basis)
        return found

    def _example_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def build(self, input_shape: Any = None) -> None:
        self.from_image.build((None, *self._example_shape()))
        for side in reversed(self.sides):
            shape = (None, side, side, self._channels_at(side))
            for block in self._blocks_at(side):
                block.build(shape)
            if (widen := getattr(self, f"widen{side}", None)) is not None:
                widen.build((None, side // 2, side // 2, shape[-1]))
        self.basis.build(shape)
        self.to_logit.build((None, shape[-1]))
        if self.num_classes is not None:
            self.embedding.build((None, self.num_classes))
        self.built = True

    def features(self, inputs: tf.Tensor) -> tf.Tensor:
        """The last hidden representation of images, of shape (batch, width)."""
        if not self.built:
            self.build()
        hidden = self.from_image(tf.cast(inputs, self.from_image.compute_dtype))
        for side in reversed(self.sides):
            for block in self._blocks_at(side):
                hidden = block(hidden)
            if side > SIDE:
                hidden = downsample(hidden)
                if (widen := getattr(self, f"widen{side}", None)) is not None:
                    hidden = widen(hidden)
            if side == 2 * SIDE:
                hidden = tf.cast(hidden, self.variable_dtype)
        return self.basis(hidden)

    def head(self, features: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """Logits of shape (batch, 1) from what `features` returned, and labels of (batch,).

        Raises:
            ValueError: if there are no labels where there are classes, or the other way round.
        """
        self._check_labels(labels)
        outputs = self.to_logit(features)
        if labels is None:
            return outputs
        embedded = self.embedding(class_weights(labels, self.num_classes, dtype=outputs.dtype))
        return tf.reduce_sum(outputs * embedded, axis=1, keepdims=True)
