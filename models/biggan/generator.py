"""BigGAN's generator (Brock et al., 2019, arXiv 1809.11096, appendix B)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug.labels import class_weights
from tf_diffaug.layers import BatchNorm, ConditionalBatchNorm
from tf_diffaug.models.base import batch_of, check_positive
from tf_diffaug.models.biggan.base import BigGANNetwork, Init, Layout
from tf_diffaug.models.biggan.blocks import GeneratorBlock

# Side of the first feature map.
SIDE = 4
# Multiples of the width: of the first map and after each block. The author's code
# (ajbrock/BigGAN-PyTorch) and compare_gan's resnet_biggan.py have the same.
GENERATOR_WIDTHS = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class BigGANGenerator(BigGANNetwork):
    """Latents, and labels if there are classes, to images: a dense layer and upsampling blocks.

    The batch norms' gain and bias come, per block, from the label (`num_classes` alone), from an
    embedding of the label that all blocks share (`shared_dim`), from a chunk of the latents
    (`hierarchical`), or from both side by side; without classes and chunks they are plain weights.
    Each has spectral normalisation but embeddings and tables of labels.

    Args:
        resolution: height and width of the images: 32, 64, 128 or 256.
        channels: channels of the images.
        width: base number of channels: 64 in the small one, 96 in the original.
            `GENERATOR_WIDTHS` has the multiples.
        latent_dim: length of a latent vector; with `hierarchical` a multiple of the number of
            chunks, one more than the blocks: 4, 5, 6, 7 at 32, 64, 128, 256 px.
        num_classes: number of classes, or None for an unconditional generator.
        shared_dim: length of the shared class embedding (128 in the original), or None for none.
        hierarchical: whether each block has a chunk of the latents, the dense layer the first one.
        attention: resolution of the feature map that self-attention stands on (64 at 128 px in the
            original), or None for none.
        init: "normal", N(0, 0.02), or "orthogonal", the original's.
        layout: whose upsampling, one of `LAYOUTS`: "author" repeats pixels, "compare_gan" puts
            zeros between them. The weights have the same shapes.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: latents of shape (batch, latent_dim), with `num_classes` a pair of them and integer
            labels of shape (batch,), or floats (batch, num_classes), the weight of each class.
        training: whether batch norm uses the batch's statistics (`BatchNorm`).

    Returns images of shape (batch, resolution, resolution, channels) in [-1, 1], in float32 under
    mixed precision too.

    Raises:
        ValueError: for another resolution, a size below 1, an attention where there is no feature
            map, `shared_dim` without classes, latents that do not divide, or an unknown `init`
            or `layout`.
    """

    # Labels may be floats, the weight of each class: classes can be mixed.
    takes_class_weights = True

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 64,
        *,
        latent_dim: int = 128,
        num_classes: int | None = None,
        shared_dim: int | None = None,
        hierarchical: bool = False,
        attention: int | None = None,
        init: Init = "normal",
        layout: Layout = "author",
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
        self.latent_dim = latent_dim
        self.shared_dim = shared_dim
        self.hierarchical = hierarchical
        first, *rest = (multiple * width for multiple in GENERATOR_WIDTHS[resolution])
        self._check(len(rest) + 1)
        self.dense = self._normalized(keras.layers.Dense, SIDE * SIDE * first, name="dense")
        if shared_dim is not None:
            # On one-hot rows: an embedding whose gradient is not sparse.
            self.shared = self._new(keras.layers.Dense, shared_dim, use_bias=False, name="shared")
        # An attribute each: TensorFlow's checkpoints do not look into the lists of Keras 3.
        for number, filters in enumerate(rest, 1):
            block = GeneratorBlock(
                filters,
                make_conv=self._normalized,
                make_norm=self._norm,
                upsampling="zeros" if layout == "compare_gan" else "nearest",
                dtype=self.dtype_policy.name,
                name=f"block{number}",
            )
            setattr(self, block.name, block)
        self.attention_block = self._attention([2 * SIDE << i for i in range(len(rest))])
        self.norm = BatchNorm(dtype=self.dtype_policy.name, name="norm")
        self.to_image = self._normalized(
            keras.layers.Conv2D, channels, 3, padding="same", name="to_image"
        )

    def _check(self, chunks: int) -> None:
        check_positive(latent_dim=self.latent_dim, shared_dim=self.shared_dim)
        if self.shared_dim is not None and self.num_classes is None:
            raise ValueError(
                "`shared_dim` is the length of a class embedding, and needs classes: "
                "`num_classes`, or --conditional on the command line. "
                f"Received: shared_dim={self.shared_dim}."
            )
        if self.hierarchical and self.latent_dim % chunks:
            raise ValueError(
                f"At {self.resolution} px hierarchical latents have {chunks} chunks, so that "
                f"`latent_dim` must be a multiple of {chunks}. "
                f"Received: latent_dim={self.latent_dim}."
            )

    @property
    def class_embedding(self) -> keras.layers.Layer | None:
        """The embedding that all blocks share, or None; orthogonal regularisation leaves it out."""
        return None if self.shared_dim is None else self.shared

    def _blocks(self) -> list[GeneratorBlock]:
        count = len(GENERATOR_WIDTHS[self.resolution]) - 1
        return [getattr(self, f"block{number}") for number in range(1, count + 1)]

    @property
    def _takes_labels_in_norms(self) -> bool:
        return self.num_classes is not None and self.shared_dim is None and not self.hierarchical

    def _norm(self, name: str) -> keras.layers.Layer:
        if self.num_classes is None and not self.hierarchical:
            return BatchNorm(dtype=self.dtype_policy.name, name=name)
        classes = self.num_classes if self._takes_labels_in_norms else None
        return self._new(ConditionalBatchNorm, classes, seed=self._layer_seed(), name=name)

    def _chunk(self) -> int:
        return (
            self.latent_dim // (len(self._blocks()) + 1) if self.hierarchical else self.latent_dim
        )

    def _condition_shape(self) -> tuple[int | None, ...] | None:
        if self._takes_labels_in_norms:
            return (None,)
        features = self._chunk() if self.hierarchical else 0
        if self.num_classes is not None:
            features += self.num_classes if self.shared_dim is None else self.shared_dim
        return (None, features) if features else None

    def _conditions(self, chunks: list[tf.Tensor], labels: tf.Tensor | None) -> list:
        """What the norms of each block take beside the activations, or None."""
        if self._takes_labels_in_norms or (labels is None and not chunks):
            return [labels] * len(self._blocks())
        shared = []
        if labels is not None:
            vector = class_weights(labels, self.num_classes)
            shared = [vector if self.shared_dim is None else self.shared(vector)]
        if not chunks:
            return shared * len(self._blocks())
        shared = [tf.cast(vector, chunks[0].dtype) for vector in shared]
        return [tf.concat([chunk, *shared], -1) for chunk in chunks]

    def _example_shape(self) -> tuple[int, ...]:
        return (self.latent_dim,)

    def build(self, input_shape: Any = None) -> None:
        self.dense.build((None, self._chunk()))
        if self.shared_dim is not None:
            self.shared.build((None, self.num_classes))
        shape = (None, SIDE, SIDE, GENERATOR_WIDTHS[self.resolution][0] * self.width)
        for block in self._blocks():
            shape = block.build_for(shape, self._condition_shape())
            if shape[1] == self.attention:
                self.attention_block.build(shape)
        self.norm.build(shape)
        self.to_image.build(shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        latents, labels = self._split(inputs)
        chunks = []
        if self.hierarchical:
            latents, *chunks = tf.split(latents, len(self._blocks()) + 1, axis=-1)
        conditions = self._conditions(chunks, labels)
        first = GENERATOR_WIDTHS[self.resolution][0] * self.width
        hidden = tf.reshape(self.dense(latents), (-1, SIDE, SIDE, first))
        for block, condition in zip(self._blocks(), conditions, strict=True):
            hidden = block(hidden, condition, training=training)
            if hidden.shape[1] == self.attention:
                hidden = self.attention_block(hidden)
        hidden = tf.nn.relu(self.norm(hidden, training=training))
        return tf.tanh(tf.cast(self.to_image(hidden), self.variable_dtype))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (batch_of(input_shape), self.resolution, self.resolution, self.channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "shared_dim": self.shared_dim,
            "hierarchical": self.hierarchical,
        }
