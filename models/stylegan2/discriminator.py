"""StyleGAN2's discriminator."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from tf_diffaug.layers import EqualizedConv2D, EqualizedDense, MinibatchStddev
from tf_diffaug.models.base import ConditionalDiscriminator
from tf_diffaug.models.stylegan2.base import StyleGAN2Network

Architecture = Literal["resnet", "orig"]


@keras.saving.register_keras_serializable(package="tf_diffaug_models")
class StyleGAN2Discriminator(ConditionalDiscriminator, StyleGAN2Network):
    """Images to logits: convolutions, minibatch standard deviation, two dense layers.

    With classes the last layer has one output for each and the label picks one, as in NVIDIA's code
    (after Mescheder et al., 2018, arXiv 1801.04406).

    Args:
        resolution: height and width of the images, a power of two from 4.
        channels: channels of the images.
        width: channels of the layers at full resolution.
        num_classes: number of classes, or None for an unconditional network.
        architecture: "resnet" as published, or "orig", without the residual branches (ADA's CIFAR
            setup).
        max_channels: most channels of a layer; 512 as published.
        group_size: images that the minibatch standard deviation compares, 4 as published. Groups
            are contiguous (`MinibatchStddev`): to keep reals and fakes of one batch apart, put in
            multiples of it. 1 compares nothing.
        seed: seed of the initial weights. None draws anew each time; 0 is a seed.

    Call arguments:
        inputs: float images (batch, resolution, resolution, channels), meant for [-1, 1], or with
            classes a pair of these and int labels (batch,).
        training: changes nothing.
        return_features: whether to return a dict of `logits` and `features`.

    Returns logits of shape (batch, 1), in float32 under mixed precision too.

    Raises:
        ValueError: for a resolution that is no power of two, or a size below 1.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 128,
        *,
        num_classes: int | None = None,
        architecture: Architecture = "resnet",
        max_channels: int = 512,
        group_size: int = 4,
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
        self.group_size = group_size
        self._conv("from_image", self._channels_at(resolution), 1)
        for size in self._sizes():
            self._add_block(size)
        self.minibatch_stddev = MinibatchStddev(
            group_size, dtype=self.dtype_policy.name, name="minibatch_stddev"
        )
        self._conv("conv4", self._channels_at(4), 3)
        self._layer(EqualizedDense, self._channels_at(2), activate=True, name="dense")
        outputs = 1 if num_classes is None else num_classes
        self._layer(EqualizedDense, outputs, dtype=self.variable_dtype, name="to_logit")

    def _sizes(self) -> list[int]:
        """The resolutions that are halved, the first one first."""
        return [2**power for power in range(self.resolution.bit_length() - 1, 2, -1)]

    def _conv(self, name: str, filters: int, size: int, **kwargs: Any) -> None:
        self._layer(EqualizedConv2D, filters, size, name=name, **{"activate": True, **kwargs})

    def _add_block(self, size: int) -> None:
        """A convolution, one that halves the size and, with residuals, a shortcut that does."""
        is_residual = self.architecture == "resnet"
        filters = self._channels_at(size // 2)
        # The sum of two branches keeps the variance of one.
        gain = math.sqrt(0.5) if is_residual else 1.0
        self._conv(f"conv{size}", self._channels_at(size), 3)
        self._conv(f"down{size}", filters, 3, down=True, gain=gain)
        if is_residual:
            linear = {"activate": False, "use_bias": False}
            self._conv(f"shortcut{size}", filters, 1, down=True, gain=gain, **linear)

    def _block(self, size: int) -> tuple[EqualizedConv2D, EqualizedConv2D, EqualizedConv2D | None]:
        shortcut = getattr(self, f"shortcut{size}", None)
        return getattr(self, f"conv{size}"), getattr(self, f"down{size}"), shortcut

    def blocks(self) -> list[tuple[keras.layers.Layer, ...]]:
        """What `freeze_blocks` counts, from the image: all layers of one resolution.

        The first has `from_image`, the last is that of 4 px up to the logit's own layer.
        """
        halving = [tuple(filter(None, self._block(size))) for size in self._sizes()]
        first, *rest = [*halving, (self.conv4, self.dense)]
        return [(self.from_image, *first), *rest]

    def _example_shape(self) -> tuple[int, ...]:
        return (self.resolution, self.resolution, self.channels)

    def build(self, input_shape: Any = None) -> None:
        shape = (None, *self._example_shape())
        self.from_image.build(shape)
        shape = self.from_image.compute_output_shape(shape)
        for size in self._sizes():
            conv, down, shortcut = self._block(size)
            if shortcut is not None:
                shortcut.build(shape)
            for layer in (conv, down):
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
        self.minibatch_stddev.build(shape)
        self.conv4.build(self.minibatch_stddev.compute_output_shape(shape))
        self.dense.build((None, 4 * 4 * self.conv4.filters))
        self.to_logit.build((None, self.dense.units))
        self.built = True

    def features(self, inputs: tf.Tensor) -> tf.Tensor:
        """The last hidden representation of images, of shape (batch, channels).

        There are min(width · resolution / 2, max_channels) channels.
        """
        if not self.built:
            self.build()
        hidden = self.from_image(inputs)
        for size in self._sizes():
            conv, down, shortcut = self._block(size)
            outputs = down(conv(hidden))
            hidden = outputs if shortcut is None else outputs + shortcut(hidden)
        hidden = self.conv4(self.minibatch_stddev(hidden))
        return self.dense(tf.reshape(hidden, (-1, 4 * 4 * self.conv4.filters)))

    def head(self, features: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """Logits of shape (batch, 1) from what `features` returned, and labels of (batch,).

        Raises:
            ValueError: if there are no labels where there are classes, or the other way round.
        """
        self._check_labels(labels)
        logits = self.to_logit(features)
        if labels is None:
            return logits
        one_hot = tf.one_hot(tf.cast(labels, tf.int32), self.num_classes, dtype=logits.dtype)
        return tf.reduce_sum(logits * one_hot, axis=1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group_size": self.group_size}
