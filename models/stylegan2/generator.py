"""StyleGAN2's generator."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from tf_diffaug import _keras
from tf_diffaug import random as stateless
from tf_diffaug.models.base import batch_of, check_positive
from tf_diffaug.models.noise import noise
from tf_diffaug.models.stylegan2.base import StyleGAN2Network
from tf_diffaug.models.stylegan2.blocks import Mapping, StyledConv, ToImage

Architecture = Literal["skip", "orig"]


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class StyleGAN2Generator(StyleGAN2Network):
    """Latents to images: a mapping network, and a synthesis network that w modulates.

    `generator(latents, seed=seed)` is `synthesis(styles(latents, seed=seed), seed=seed)`.
    Path-length regularisation differentiates `synthesis` with respect to what `styles` returns.

    Args:
        resolution: height and width of the images, a power of two from 4.
        channels: channels of the images.
        width: channels of the layers at full resolution.
        latent_dim: length of a latent vector.
        num_classes: number of classes, or None for an unconditional network.
        w_dim: length of w, and of the mapping network's hidden layers.
        mapping_layers: dense layers of the mapping network; 8 as published.
        max_channels: most channels of a layer; 512 as published.
        style_mixing: probability that an image in training takes its later layers' w from another
            latent; 0.9 as published (and left on in DiffAugment's CIFAR setup, off in ADA's).
        architecture: "skip" sums images of all resolutions, "orig" makes one at the last.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: latents (batch, latent_dim), or with classes a pair of these and int labels
            (batch,), or floats (batch, num_classes), the weight of each class.
        training: whether `mapping.w_avg` moves and, given a seed, styles are mixed.
        seed: int32 (2,), of the noise and of style mixing. Without, the noise is the same for every
            image and call, and the outputs a function of inputs and weights.
        truncation_psi: w is replaced by w_avg + psi · (w - w_avg), in training too.

    Returns images of shape (batch, resolution, resolution, channels), in float32 under mixed
    precision too. There is no tanh: they are meant for [-1, 1] and may leave it.

    Under `tf.distribute` noise and mixing are drawn for the global batch, and replicas together get
    what one would.

    Raises:
        ValueError: for a resolution that is no power of two, a size below 1, or a probability
            outside [0, 1].
    """

    # Labels may be floats, the weight of each class: classes can be mixed.
    takes_class_weights = True

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 128,
        *,
        latent_dim: int = 512,
        num_classes: int | None = None,
        w_dim: int = 512,
        mapping_layers: int = 8,
        max_channels: int = 512,
        style_mixing: float = 0.9,
        architecture: Architecture = "skip",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            resolution,
            channels,
            width,
            num_classes=num_classes,
            max_channels=max_channels,
            architecture=architecture,
            architectures=get_args(Architecture),
            seed=seed,
            **kwargs,
        )
        check_positive(latent_dim=latent_dim, w_dim=w_dim, mapping_layers=mapping_layers)
        if not 0.0 <= style_mixing <= 1.0:
            raise ValueError(
                f"`style_mixing` must be in [0, 1]. Received: style_mixing={style_mixing}."
            )
        self.latent_dim = latent_dim
        self.w_dim = w_dim
        self.mapping_layers = mapping_layers
        self.style_mixing = style_mixing
        self.resolutions = tuple(2**power for power in range(2, resolution.bit_length()))
        # Two w a resolution: its `to_image` and the next `up` share one.
        self.num_layers = 2 * len(self.resolutions)
        self._constant_seed = self._layer_seed()
        self.mapping = Mapping(
            w_dim,
            mapping_layers,
            num_classes=num_classes,
            seeds=[self._layer_seed() for _ in range(mapping_layers + 1)],
            dtype=self.variable_dtype,
            name="mapping",
        )
        for size in self.resolutions:
            filters = self._channels_at(size)
            if size > 4:
                self._layer(StyledConv, filters, up=True, name=f"up{size}")
            self._layer(StyledConv, filters, name=f"conv{size}")
            if architecture == "skip" or size == resolution:
                self._layer(ToImage, channels, name=f"to_image{size}")

    def _layers_at(self, size: int) -> tuple[list[StyledConv], ToImage | None]:
        """What makes features of a resolution, in order, and what makes images of them, if any."""
        names = [f"up{size}", f"conv{size}"] if size > 4 else [f"conv{size}"]
        convs = [getattr(self, name) for name in names]
        return convs, getattr(self, f"to_image{size}", None)

    def _example_shape(self) -> tuple[int, ...]:
        return (self.latent_dim,)

    def build(self, input_shape: Any = None) -> None:
        self.mapping.build((None, self.latent_dim))
        shape, w_shape = (None, 4, 4, self._channels_at(4)), (None, self.w_dim)
        self.constant = _keras.add_weight(
            self,
            "constant",
            (1, *shape[1:]),
            dtype=self.variable_dtype,
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self._constant_seed),
        )
        for size in self.resolutions:
            convs, to_image = self._layers_at(size)
            for conv in convs:
                conv.build((shape, w_shape, None))
                shape = conv.conv.compute_output_shape((shape, w_shape))
            if to_image is not None:
                to_image.build((shape, w_shape))
        self.built = True

    def styles(
        self,
        inputs: Any,
        training: bool | None = None,
        seed: tf.Tensor | None = None,
        truncation_psi: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        """What each layer is modulated by: w of shape (batch, num_layers, w_dim).

        In training, with a seed, an image is mixed with probability `style_mixing`: its layers from
        a cutoff on, uniform over 1 to num_layers - 1, take the w of another latent of its class.
        NVIDIA's code draws one cutoff for the whole batch; here as in DiffAugment's each image has
        its own.

        The arguments are those of a call.
        """
        if not self.built:
            self.build()
        latents, labels = self._split(inputs)
        w = self.mapping(latents, labels, training=training)[:, None, :]
        w = tf.tile(w, (1, self.num_layers, 1))
        if training and seed is not None and self.style_mixing > 0.0:
            others, cutoffs = self._mixing_draws(_batch_size(w), stateless.as_seed(seed), w.dtype)
            other_w = self.mapping(others, labels, training=False)[:, None, :]
            w = tf.where((tf.range(self.num_layers) < cutoffs[:, None])[:, :, None], w, other_w)
        if isinstance(truncation_psi, tf.Tensor) or truncation_psi != 1.0:
            average = tf.convert_to_tensor(self.mapping.w_avg)
            w = average + tf.cast(truncation_psi, w.dtype) * (w - average)
        return w

    def _mixing_draws(
        self, batch_size: int | tf.Tensor, seed: tf.Tensor, dtype: tf.DType
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Other latents, and from which layer on each image takes theirs."""
        seeds = [stateless.fold_in(seed, index) for index in (1, 2, 3)]

        def draw(rows: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            others = stateless.normal((rows, self.latent_dim), seeds[0], dtype)
            mixed = stateless.uniform((rows,), seeds[1]) < self.style_mixing
            cutoffs = stateless.integers((rows,), seeds[2], 1, self.num_layers)
            return others, tf.where(mixed, cutoffs, self.num_layers)

        return stateless.global_rows(draw, batch_size)

    def synthesis(self, w: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Images from w of shape (batch, num_layers, w_dim), the noise drawn from `seed`."""
        if not self.built:
            self.build()
        batch = _batch_size(w)
        sizes = [4, *(size for size in self.resolutions[1:] for _ in range(2))]
        seed = None if seed is None else stateless.fold_in(stateless.as_seed(seed), 0)
        noises = iter(noise(sizes, batch, seed, self.variable_dtype))
        hidden = tf.cast(tf.convert_to_tensor(self.constant), self.compute_dtype)
        hidden = tf.broadcast_to(hidden, (batch, *hidden.shape[1:]))
        images, index = None, 0
        for size in self.resolutions:
            convs, to_image = self._layers_at(size)
            for conv in convs:
                hidden = conv((hidden, w[:, index], next(noises)))
                index += 1
            if to_image is not None:
                images = to_image((hidden, w[:, index]), images)
        return images

    def call(
        self,
        inputs: Any,
        training: bool | None = None,
        seed: tf.Tensor | None = None,
        truncation_psi: float | tf.Tensor = 1.0,
    ) -> tf.Tensor:
        w = self.styles(inputs, training, seed, truncation_psi)
        return self.synthesis(w, seed)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (batch_of(input_shape), self.resolution, self.resolution, self.channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "w_dim": self.w_dim,
            "mapping_layers": self.mapping_layers,
            "style_mixing": self.style_mixing,
        }


def _batch_size(values: tf.Tensor) -> int | tf.Tensor:
    """A number where it is known, as a TPU needs for what is drawn."""
    known = values.shape[0]
    return tf.shape(values)[0] if known is None else known
