"""SNDCGAN, the networks of Miyato et al. (2018, arXiv 1802.05957) as compare_gan has them.

At 32 px, 64 base channels and 128-d latents: 3,828,739 trainable parameters in the generator and
5,860,865 in the discriminator. As in compare_gan a larger image keeps the three up- and
downsamplings and starts from a larger map: resolution / 8 on each side.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from tf_diffaug.layers import BatchNorm, ChainNorm, SpectralNormalization
from tf_diffaug.models.base import Network, Normalization, chain_norm, check_positive, judged
from tf_diffaug.naming import unknown

# compare_gan, architectures/sndcgan.py.
LEAK = 0.1
Latents = Literal["normal", "uniform"]


class _SNDCGAN(Network):
    def __init__(
        self, resolution: int, channels: int, width: int, seed: int | None, **kwargs: Any
    ) -> None:
        if resolution < 8 or resolution % 8:
            raise ValueError(
                "SNDCGAN makes resolutions that are multiples of 8 (8, 16, 24, 32, 64, 128, ...). "
                f"Received: resolution={resolution}."
            )
        super().__init__(resolution=resolution, channels=channels, width=width, seed=seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["num_classes"]
        return config


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class SNDCGANGenerator(_SNDCGAN):
    """Latents to images: a dense layer and four transposed convolutions, with batch norm.

    Args:
        resolution: height and width of the images, a multiple of 8.
        channels: channels of the images.
        width: channels before the last layer, 64 as published; the others are 2, 4, 8 times that.
        latent_dim: length of a latent vector.
        latents: what latents are drawn from where it is trained and sampled, "normal" or
            "uniform": the numbers of [-1, 1), compare_gan's default.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: latents of shape (batch, latent_dim).
        training: whether batch norm uses the batch's statistics (`BatchNorm`).

    Returns images of shape (batch, resolution, resolution, channels) in [-1, 1], in float32 under
    mixed precision too.

    Raises:
        ValueError: for a resolution that is not a multiple of 8, a size below 1, or unknown
            `latents`.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 64,
        *,
        latent_dim: int = 128,
        latents: Latents = "normal",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(resolution, channels, width, seed, **kwargs)
        check_positive(latent_dim=latent_dim)
        if latents not in get_args(Latents):
            raise ValueError(unknown("latents", latents, get_args(Latents)))
        self.latent_dim = latent_dim
        self.latent_distribution = latents
        side = resolution // 8
        dtype = self.dtype_policy.name
        self.dense = self._new(keras.layers.Dense, side * side * 8 * width, name="dense")
        self.norm1 = BatchNorm(dtype=dtype, name="norm1")
        self.up1 = self._up(4 * width, "up1")
        self.norm2 = BatchNorm(dtype=dtype, name="norm2")
        self.up2 = self._up(2 * width, "up2")
        self.norm3 = BatchNorm(dtype=dtype, name="norm3")
        self.up3 = self._up(width, "up3")
        self.norm4 = BatchNorm(dtype=dtype, name="norm4")
        self.to_image = self._new(
            keras.layers.Conv2DTranspose, channels, 3, padding="same", name="to_image"
        )

    def _up(self, filters: int, name: str) -> keras.layers.Layer:
        return self._new(
            keras.layers.Conv2DTranspose, filters, 4, strides=2, padding="same", name=name
        )

    def _example_shape(self) -> tuple[int, ...]:
        return (self.latent_dim,)

    def build(self, input_shape: Any = None) -> None:
        side, width = self.resolution // 8, self.width
        self.dense.build((None, *self._example_shape()))
        self.norm1.build((None, side * side * 8 * width))
        shape = (None, side, side, 8 * width)
        for up, norm in ((self.up1, self.norm2), (self.up2, self.norm3), (self.up3, self.norm4)):
            up.build(shape)
            shape = (None, 2 * shape[1], 2 * shape[2], up.filters)
            norm.build(shape)
        self.to_image.build(shape)
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        side = self.resolution // 8
        hidden = tf.nn.relu(self.norm1(self.dense(inputs), training=training))
        hidden = tf.reshape(hidden, (-1, side, side, 8 * self.width))
        hidden = tf.nn.relu(self.norm2(self.up1(hidden), training=training))
        hidden = tf.nn.relu(self.norm3(self.up2(hidden), training=training))
        hidden = tf.nn.relu(self.norm4(self.up3(hidden), training=training))
        return tf.tanh(tf.cast(self.to_image(hidden), self.variable_dtype))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (input_shape[0], self.resolution, self.resolution, self.channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "latents": self.latent_distribution,
        }


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class SNDCGANDiscriminator(_SNDCGAN):
    """Images to logits: seven spectrally normalised convolutions and a dense layer.

    The spectral norms' state changes in `advance_power_iteration`; that of `ChainNorm` layers in
    each pass of training.

    Args:
        resolution: height and width of the images, a multiple of 8.
        channels: channels of the images.
        width: channels of the first layer, 64 as published; the others are 2, 4, 8 times that.
        normalization: "chain" puts a `ChainNorm` behind every convolution but the first, whose
            input is the image; "none" as published.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: float images of shape (batch, resolution, resolution, channels), meant for [-1, 1].
        training: as in `SpectralNormalization` and `ChainNorm`.
        return_features: whether to return a dict of `logits` and `features`.

    Returns logits of shape (batch, 1), in float32 under mixed precision too.

    Raises:
        ValueError: for a resolution that is not a multiple of 8, a size below 1, or an unknown
            `normalization`.
    """

    _first_seed_index = 1000

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 64,
        *,
        normalization: Normalization = "none",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(resolution, channels, width, seed, **kwargs)
        self.normalization = normalization
        self.conv1 = self._conv(width, 1, "conv1")
        self.down1 = self._conv(2 * width, 2, "down1")
        self.conv2 = self._conv(2 * width, 1, "conv2")
        self.down2 = self._conv(4 * width, 2, "down2")
        self.conv3 = self._conv(4 * width, 1, "conv3")
        self.down3 = self._conv(8 * width, 2, "down3")
        self.conv4 = self._conv(8 * width, 1, "conv4")
        self.to_logit = self._normalized(keras.layers.Dense, 1, name="to_logit")
        for conv in self._convs()[1:]:
            name = f"norm_{conv.name}"
            setattr(self, name, chain_norm(normalization, name, self.dtype_policy.name))

    def _conv(self, filters: int, stride: int, name: str) -> SpectralNormalization:
        size = 4 if stride == 2 else 3
        kind = keras.layers.Conv2D
        return self._normalized(kind, filters, size, strides=stride, padding="same", name=name)

    def _normalized(self, kind: type, *args: Any, name: str, **kwargs: Any) -> Any:
        return SpectralNormalization(
            self._new(kind, *args, **kwargs), seed=self._layer_seed() or 0, name=name
        )

    def _convs(self) -> tuple[SpectralNormalization, ...]:
        return (
            self.conv1,
            self.down1,
            self.conv2,
            self.down2,
            self.conv3,
            self.down3,
            self.conv4,
        )

    def _norm(self, conv: keras.layers.Layer) -> ChainNorm | None:
        return getattr(self, f"norm_{conv.name}", None)

    def blocks(self) -> list[tuple[keras.layers.Layer, ...]]:
        """What `freeze_blocks` counts, from the image: the seven convolutions, each with its norm.

        The running averages of the norms go on."""
        pairs = [(conv, self._norm(conv)) for conv in self._convs()]
        return [pair if pair[1] is not None else pair[:1] for pair in pairs]

    def _example_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def build(self, input_shape: Any = None) -> None:
        shape = (None, *self._example_shape())
        for conv in self._convs():
            conv.build(shape)
            shape = tuple(conv.compute_output_shape(shape))
            if self._norm(conv) is not None:
                self._norm(conv).build(shape)
        self.to_logit.build((None, shape[1] * shape[2] * shape[3]))
        self.built = True

    def features(self, inputs: tf.Tensor) -> tf.Tensor:
        """The last hidden representation, of shape (batch, (resolution / 8)² · 8 · width)."""
        if not self.built:
            self.build()
        hidden = inputs
        for conv in self._convs():
            hidden, norm = conv(hidden), self._norm(conv)
            hidden = tf.nn.leaky_relu(hidden if norm is None else norm(hidden), LEAK)
        return tf.reshape(hidden, (-1, (self.resolution // 8) ** 2 * 8 * self.width))

    def head(self, features: tf.Tensor) -> tf.Tensor:
        """Logits of shape (batch, 1) from what `features` returned."""
        return tf.cast(self.to_logit(features), self.variable_dtype)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, return_features: bool = False
    ) -> tf.Tensor | dict[str, tf.Tensor]:
        del training
        features = self.features(inputs)
        return judged(self.head(features), features, return_features)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (input_shape[0], 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "normalization": self.normalization}
