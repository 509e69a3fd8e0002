"""BigGAN's discriminator (Brock et al., 2019, arXiv 1809.11096, appendix B)."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.layers import ChainNorm, SpectralNormalization
from tf_diffaug.models.base import ConditionalDiscriminator, Normalization, chain_norm
from tf_diffaug.models.biggan.base import BigGANNetwork, Init, Layout
from tf_diffaug.models.biggan.blocks import DiscriminatorBlock

# Multiples of the width after each block, and how many blocks, from the first, halve the
# resolution. compare_gan's (architectures/resnet_biggan.py) has no residual connection where a
# block keeps the number of channels, a ReLU in the first block too, which takes images of [0, 1],
# and its embedding of labels starts from Glorot's normal numbers, whatever `init`.
DISCRIMINATOR_LAYOUTS = {
    "author": {
        32: ((4, 4, 4, 4), 2),
        64: ((1, 2, 4, 8, 16), 4),
        128: ((1, 2, 4, 8, 16, 16), 5),
        256: ((1, 2, 4, 8, 8, 16, 16), 6),
    },
    "compare_gan": {
        32: ((2, 2, 2, 2), 3),
        64: ((2, 4, 8, 16, 16), 4),
        128: ((1, 2, 4, 8, 16, 16), 5),
        256: ((1, 2, 4, 8, 8, 16, 16), 6),
    },
}


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class BigGANDiscriminator(ConditionalDiscriminator, BigGANNetwork):
    """Images, and labels if there are classes, to logits: residual blocks and a projection.

    The logit is a linear map of the sum-pooled features, and with classes their product with the
    label's embedding beside it (Miyato & Koyama, 2018, arXiv 1802.05637). All of it has spectral
    normalisation, whose state changes in `advance_power_iteration`; that of `ChainNorm` layers
    changes in each pass of training.

    Args:
        resolution: height and width of the images: 32, 64, 128 or 256.
        channels: channels of the images.
        width: base number of channels: 64 in the small one, 96 in the original and in compare_gan.
        num_classes: number of classes, or None for an unconditional discriminator.
        attention: resolution of the feature map that self-attention stands on (64 at 128 px in the
            original), or None for none.
        init: "normal", N(0, 0.02), or "orthogonal", the original's.
        layout: whose table of channels and of downsamplings, first block and first embedding of
            labels, one of `LAYOUTS`: "author" or "compare_gan".
        normalization: "chain" puts a `ChainNorm` behind every convolution of all blocks but the
            first, which takes the image; "none" as published.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: float images of shape (batch, resolution, resolution, channels), meant for [-1, 1],
            with `num_classes` a pair of them and integer labels of shape (batch,).
        training: as in `SpectralNormalization` and `ChainNorm`.
        return_features: whether to return a dict of `logits` and `features`.

    Returns logits of shape (batch, 1), in float32 under mixed precision too.

    Raises:
        ValueError: for another resolution, a size below 1, an attention where there is no feature
            map, or an unknown `init`, `layout` or `normalization`.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 64,
        *,
        num_classes: int | None = None,
        attention: int | None = None,
        init: Init = "normal",
        layout: Layout = "author",
        normalization: Normalization = "none",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            resolution=resolution,
            channels=channels,
            width=width,
            num_classes=num_classes,
            attention=attention,
            init=init,
            layout=layout,
            seed=seed,
            **kwargs,
        )
        multiples, downsamplings = DISCRIMINATOR_LAYOUTS[layout][resolution]
        sizes = [channels, *(multiple * width for multiple in multiples)]
        self.features_dim = sizes[-1]
        self.normalization = normalization
        # An attribute each: TensorFlow's checkpoints do not look into the lists of Keras 3.
        for index in range(len(multiples)):
            downsample = index < downsamplings
            block = DiscriminatorBlock(
                sizes[index + 1],
                make_conv=self._normalized,
                begins_with_relu=index > 0 or layout == "compare_gan",
                downsample=downsample,
                shortcut=self._shortcut(sizes[index] == sizes[index + 1], downsample),
                make_norm=functools.partial(self._block_norm, index),
                dtype=self.dtype_policy.name,
                name=f"block{index + 1}",
            )
            setattr(self, block.name, block)
        self.attention_block = self._attention([resolution >> i + 1 for i in range(downsamplings)])
        self.to_logit = self._normalized(keras.layers.Dense, 1, name="to_logit")
        if num_classes is not None:
            self.embedding = SpectralNormalization(
                keras.layers.Embedding(
                    num_classes,
                    self.features_dim,
                    embeddings_initializer=self._embedding_initializer(),
                    dtype=self.dtype_policy.name,
                ),
                seed=self._layer_seed() or 0,
                name="embedding",
            )

    def _block_norm(self, index: int, name: str) -> ChainNorm | None:
        place = f"block{index + 1}/{name}"
        return None if index == 0 else chain_norm(self.normalization, place, self.dtype_policy.name)

    def _embedding_initializer(self) -> keras.initializers.Initializer:
        if self.layout == "compare_gan":
            return keras.initializers.GlorotNormal(seed=self._layer_seed())
        return self._initializer()

    def _blocks(self) -> list[DiscriminatorBlock]:
        count = len(DISCRIMINATOR_LAYOUTS[self.layout][self.resolution][0])
        return [getattr(self, f"block{number}") for number in range(1, count + 1)]

    def blocks(self) -> list[tuple[keras.layers.Layer, ...]]:
        """What `freeze_blocks` counts, from the image: a residual block, attention with its own."""
        after = self._attention_after()
        return [
            (block, self.attention_block) if index == after else (block,)
            for index, block in enumerate(self._blocks())
        ]

    def _shortcut(self, keeps_channels: bool, downsamples: bool) -> str:
        if not keeps_channels:
            return "conv"
        if self.layout == "compare_gan":
            return "none"
        return "conv" if downsamples else "identity"

    def _example_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def build(self, input_shape: Any = None) -> None:
        shape = (None, *self._example_shape())
        for index, block in enumerate(self._blocks()):
            shape = block.build_for(shape)
            if index == self._attention_after():
                self.attention_block.build(shape)
        self.to_logit.build((None, self.features_dim))
        if self.num_classes is not None:
            self.embedding.build((None,))
        self.built = True

    def _attention_after(self) -> int | None:
        """The index of the block whose outputs attention takes: the first of that resolution."""
        if self.attention is None:
            return None
        return (self.resolution // self.attention).bit_length() - 2

    def features(self, inputs: tf.Tensor) -> tf.Tensor:
        """The last hidden representation of images alone, of shape (batch, features_dim)."""
        if not self.built:
            self.build()
        hidden = inputs * 0.5 + 0.5 if self.layout == "compare_gan" else inputs
        for index, block in enumerate(self._blocks()):
            hidden = block(hidden)
            if index == self._attention_after():
                hidden = self.attention_block(hidden)
        return tf.reduce_sum(tf.cast(tf.nn.relu(hidden), self.variable_dtype), (1, 2))

    def head(self, features: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """Logits of shape (batch, 1) from what `features` returned, and labels of (batch,).

        Raises:
            ValueError: if there are no labels where there are classes, or the other way round.
        """
        self._check_labels(labels)
        logits = tf.cast(self.to_logit(features), self.variable_dtype)
        if labels is None:
            return logits
        rows = tf.cast(self.embedding(labels), self.variable_dtype)
        return logits + tf.reduce_sum(rows * features, -1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "normalization": self.normalization}
