"""What the reference networks share: sizes, seeds of the initial weights, dtype, inputs."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from tf_diffaug.layers import ChainNorm
from tf_diffaug.naming import unknown
from tf_diffaug.random import derive_int, name_index

# N(0, 0.02): compare_gan's SNDCGAN and the DiffAugment paper's BigGAN ("N02") alike.
INIT_STDDEV = 0.02
# What a discriminator may have behind its convolutions.
Normalization = Literal["none", "chain"]


class Network(keras.Model):
    """A generator or a discriminator.

    Subclasses are called with one positional input: latents or images, or with `num_classes` a pair
    of these and labels (batch,). They state `_example_shape()`, the shape of one example.

    Args:
        resolution: height and width of the images.
        channels: channels of the images.
        width: base number of channels; the family says of which layers.
        num_classes: number of classes, or None for an unconditional network.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Raises:
        ValueError: for a size below 1.
    """

    # Generator and discriminator of one seed must not share their initial weights' streams.
    _first_seed_index = 0

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        width: int,
        num_classes: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive(
            resolution=resolution, channels=channels, width=width, num_classes=num_classes
        )
        self.resolution = resolution
        self.channels = channels
        self.width = width
        self.num_classes = num_classes
        self.seed = seed
        self._seeds_taken = 0

    def _layer_seed(self) -> int | None:
        if self.seed is None:
            return None
        self._seeds_taken += 1
        return derive_int(self.seed, "init", index=self._first_seed_index + self._seeds_taken)

    def _initializer(self) -> keras.initializers.Initializer:
        """The next layer's; each has a seed of its own."""
        return keras.initializers.RandomNormal(stddev=INIT_STDDEV, seed=self._layer_seed())

    def _new(self, kind: type, *args: Any, **kwargs: Any) -> keras.layers.Layer:
        """A Keras layer with this network's initializer and dtype policy."""
        dtype = self.dtype_policy.name
        return kind(*args, kernel_initializer=self._initializer(), dtype=dtype, **kwargs)

    def _example_shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _split(self, inputs: Any) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The latents or images, and the labels if the network takes any.

        Raises:
            ValueError: if there are no labels where it takes them, or the other way round.
        """
        paired = isinstance(inputs, (tuple, list))
        if paired == (self.num_classes is None):
            expected = "no labels" if paired else "a pair of inputs and labels"
            raise ValueError(
                f"{type(self).__name__} with num_classes={self.num_classes} takes {expected}. "
                f"Received: inputs={inputs}."
            )
        return tuple(inputs) if paired else (inputs, None)

    def get_build_config(self) -> dict[str, Any]:
        # Keras 2 rebuilds a loaded subclassed model from this alone.
        shape = (None, *self._example_shape())
        return {"input_shape": shape if self.num_classes is None else (shape, (None,))}

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype_policy.name,
            "resolution": self.resolution,
            "channels": self.channels,
            "width": self.width,
            "num_classes": self.num_classes,
            "seed": self.seed,
        }


def chain_norm(normalization: Normalization, place: str, dtype: str) -> ChainNorm | None:
    """The layer behind one of a discriminator's convolutions, None if there is none.

    Args:
        normalization: the discriminator's.
        place: the path of the layer in the network, which ends in its name.
        dtype: the network's dtype policy.

    Raises:
        ValueError: for an unknown normalization.
    """
    if normalization not in get_args(Normalization):
        raise ValueError(unknown("normalization", normalization, get_args(Normalization)))
    if normalization == "none":
        return None
    return ChainNorm(seed=name_index(place), dtype=dtype, name=place.rsplit("/", 1)[-1])


class ConditionalDiscriminator:
    """Mixin, before a `Network`: the pass through `features` and `head`, with labels or without."""

    _first_seed_index = 1000

    def _check_labels(self, labels: tf.Tensor | None) -> None:
        if (labels is None) != (self.num_classes is None):
            raise ValueError(
                f"A head with num_classes={self.num_classes} takes "
                f"{'labels' if labels is None else 'no labels'}. Received: labels={labels}."
            )

    def call(
        self, inputs: Any, training: bool | None = None, return_features: bool = False
    ) -> tf.Tensor | dict[str, tf.Tensor]:
        del training
        images, labels = self._split(inputs)
        features = self.features(images)
        return judged(self.head(features, labels), features, return_features)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (batch_of(input_shape), 1)


def freeze_blocks(discriminator: Network, count: int) -> None:
    """Keeps the first blocks of a discriminator as they are: nothing trains their weights.

    FreezeD (Mo, Cho & Shin, 2020, arXiv 2002.10964), for fine-tuning. What a block is says each
    discriminator's `blocks`. Give it to a `GAN` afterwards, whose steps hold the spectral norms of
    such layers still too.

    Args:
        discriminator: one of this package's.
        count: how many blocks, counted from the image.

    Raises:
        ValueError: if there are fewer.
    """
    blocks = discriminator.blocks()
    if not 0 <= count <= len(blocks):
        raise ValueError(
            f"{type(discriminator).__name__} at {discriminator.resolution} px has {len(blocks)} "
            f"blocks that may be frozen. Received: freeze_d={count}."
        )
    if count and not discriminator.built:
        # A layer that is made while another is built would not hear of it.
        discriminator.build()
    for block in blocks[:count]:
        for layer in block:
            layer.trainable = False


def judged(
    logits: tf.Tensor, features: tf.Tensor, return_features: bool
) -> tf.Tensor | dict[str, tf.Tensor]:
    """What a discriminator's call returns: logits, with the features if they are asked for."""
    return {"logits": logits, "features": features} if return_features else logits


def check_positive(**sizes: int | None) -> None:
    """Raises ValueError for a size below 1; None is none."""
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}.")


def batch_of(input_shape: Any) -> int | None:
    """The batch size in a shape of inputs, or of a pair of inputs and labels."""
    first = input_shape[0]
    return first[0] if isinstance(first, (tuple, list)) else first
