"""FastGAN's self-supervised discriminator: decoders make the reals anew from its maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import raw_variables
from tf_diffaug.layers import (
    BatchNorm,
    SpectralNormalization,
    UpsampledConv2D,
    advance_power_iteration,
)
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer, checked_whole, weights_seed
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update

MAPS = ("image", "part", "small")
# All from the authors' code (odegeasslbc/FastGAN-pytorch at 04524ef, `SimpleDecoder`): the side
# that a map is pooled to, the largest one that is decoded to, multiples of the width after each
# doubling, and the deviation of the initial kernels.
POOLED = 8
LARGEST = 128
MULTIPLES = (4, 2, 2, 1)
INIT_STDDEV = 0.02


@register_regularizer
class Reconstruction(Regularizer):
    """weight · the distances of three decoded images to what they are of (arXiv 2101.04775).

    D gives three maps by name. Decoders that are trained with D make images of min(128, side / 2)
    px of them: of `image` the whole image, of a quarter of `part` that quarter of the image, of
    `small` the image again, which is all that D's branch for small images has seen. Reals alone, as
    the adversarial loss shows them, augmented where that is. Which quarter is drawn anew for each
    update, one for the whole batch, as in the authors' code (odegeasslbc/FastGAN-pytorch, train.py
    at 04524ef); so are images made smaller: every second, fourth or eighth pixel is taken.

    The distance is the mean of the absolute differences over pixels and channels, in [-1, 1]. The
    authors' is LPIPS on VGG, whose weights this package cannot bring along. Absolute, not squared:
    a squared error's gradient fades with the error, and blurred edges would soon be good enough.

    With `features` there is added what LPIPS does to a layer: the squared distance of the features
    divided by their lengths. Those of the extractors here are of the whole image and do not say
    where in it something is, so that the pixels' distance stays.

    Args:
        weight: of the sum of the three distances. The authors add up an LPIPS over their batch of
            8: 8 times its mean.
        width: base number of channels of the decoders.
        features: the name of a feature extractor, for a run; in Python one itself, or any object
            with a `name` and a differentiable `embed(images)`, from images in [-1, 1] to features
            (batch, length). None for pixels alone.
    """

    name = "reconstruction"
    summary = "decoders are to make the reals anew from D's maps"
    term = (
        "mean \\|G'(f) - x\\| of what decoders of `width` channels make of D's maps f of reals: "
        "the image, a quarter, the small image; FastGAN's D"
    )
    source = "2101.04775"
    needs_maps = True

    def __init__(self, weight: float = 8.0, width: int = 32, features: Any = None) -> None:
        super().__init__(weight)
        self.width = checked_whole(self.name, "width", width, least=1)
        if not (features is None or isinstance(features, str) or hasattr(features, "embed")):
            raise ValueError(
                "features is the name of a feature extractor, or an object with `embed`. "
                f"Received: {self.name} features={features!r}."
            )
        named = features is None or isinstance(features, str)
        self.features = features if named else features.name
        self._extractor = None if named else features

    def load_features(self, load: Callable[[str], Any]) -> None:
        if self.features is not None and self._extractor is None:
            self._extractor = load(self.features)

    def build(self, networks: Networks) -> None:
        if self.features is not None:
            self._check_features(networks.image_shape[-1])
        shapes = _map_shapes(networks, self.name)
        height, width, channels = networks.image_shape
        self._target = target = min(height // 2, LARGEST)
        # Every so many pixels are taken of an image, and of a half of one.
        thins = target > 0 and height % (2 * target) == 0
        self._decoders = []
        for name in MAPS:
            parts = 2 if name == "part" else 1
            side, depth = shapes[name][1] // parts, shapes[name][-1]
            whole = thins and shapes[name][1] % parts == 0
            if height != width or not whole or not _decodes(side, target):
                raise ValueError(
                    f"{self.name} doubles D's maps to half of a square image, or to {LARGEST} px, "
                    "of which half of the image is a multiple. "
                    f"Received: images of height {height} and width {width}, and a map {name!r} of "
                    f"shape {shapes[name]}."
                )
            seed = weights_seed(networks, self.name, name)
            self._decoders.append(
                _Decoder(side, target, depth, self.width, channels=channels, seed=seed)
            )

    def discriminator_views(self, update: Update) -> tuple[str, ...]:
        for layer in self._layers():
            advance_power_iteration(layer)
        return ()

    def discriminator_term(self, update: Update) -> tf.Tensor:
        shown = update.mode.d_real
        images, maps = update.views[shown], update.outputs[shown].maps
        corner = random.integers([2], update.draws.stream(self.name, "part"), 0, 2) > 0
        part = quarter(images, corner)
        pairs = (
            (maps["image"], images),
            (quarter(maps["part"], corner), part),
            (maps["small"], images),
        )
        distances = [
            self._distance(decoder(hidden), thinned(wanted, self._target))
            for decoder, (hidden, wanted) in zip(self._decoders, pairs, strict=True)
        ]
        return self.weight_at(update) * tf.add_n(distances)

    def _distance(self, ones: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        pixels = tf.reduce_mean(tf.abs(ones - others), axis=(1, 2, 3))
        if self._extractor is None:
            return pixels
        ones, others = (
            tf.math.l2_normalize(self._extractor.embed(images), axis=1) for images in (ones, others)
        )
        return pixels + tf.reduce_sum((ones - others) ** 2, axis=1)

    def _check_features(self, channels: int) -> None:
        if self._extractor is None:
            raise ValueError(
                f"{self.name} has a feature extractor by name in a run alone; in Python give it "
                "itself: Reconstruction(features=load_extractor('emoji-cnn')). "
                f"Received: features={self.features!r}."
            )
        images = tf.zeros([1, 32, 32, channels])
        with tf.GradientTape() as tape:
            tape.watch(images)
            found = self._extractor.embed(images)
        if tape.gradient(found, images) is None:
            raise ValueError(
                f"{self.name} needs features with a gradient. Received: features="
                f"{self.features!r}, which has none."
            )

    @property
    def trainable_variables(self) -> list:
        return [v for layer in self._layers() for v in layer.trainable_variables]

    @property
    def variables(self) -> list:
        return [v for layer in self._layers() for v in raw_variables(layer)]

    def _layers(self) -> list[keras.layers.Layer]:
        return [layer for decoder in self._decoders for layer in decoder.layers]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "features": self.features}


class _Decoder:
    """A map to an image: upsampling convolutions with batch norm and gates, and tanh; float32.

    Args:
        side: of the map; it is pooled to 8 first if it is larger.
        target: of the image.
        depth: channels of the map.
        width: base number of the decoder's own.
        channels: of the image.
        seed: of the initial weights.
    """

    def __init__(
        self, side: int, target: int, depth: int, width: int, *, channels: int, seed: int
    ) -> None:
        self._pool = max(side // POOLED, 1)
        side //= self._pool
        self.layers: list[keras.layers.Layer] = []
        while side < target:
            doublings = len(self.layers) // 2
            filters = MULTIPLES[min(doublings, len(MULTIPLES) - 1)] * width
            conv = _normalized(UpsampledConv2D, 2 * filters, seed + doublings)
            norm = BatchNorm(dtype="float32")
            conv.build((None, side, side, depth))
            side, depth = 2 * side, filters
            norm.build((None, side, side, 2 * filters))
            self.layers += [conv, norm]
        conv = _normalized(keras.layers.Conv2D, channels, seed + len(self.layers) // 2)
        conv.build((None, side, side, depth))
        self.layers.append(conv)

    def __call__(self, hidden: tf.Tensor) -> tf.Tensor:
        hidden = tf.cast(hidden, tf.float32)
        if self._pool > 1:
            hidden = tf.nn.avg_pool2d(hidden, self._pool, self._pool, "VALID")
        *doublings, last = self.layers
        for conv, norm in zip(doublings[::2], doublings[1::2], strict=True):
            values, gates = tf.split(norm(conv(hidden), training=True), 2, axis=-1)
            hidden = values * tf.sigmoid(gates)
        return tf.tanh(last(hidden))


def _normalized(kind: type, filters: int, seed: int) -> SpectralNormalization:
    initializer = keras.initializers.RandomNormal(stddev=INIT_STDDEV, seed=seed)
    options = {"kernel_initializer": initializer, "dtype": "float32"}
    layer = kind(filters, 3, padding="same", use_bias=False, **options)
    return SpectralNormalization(layer, seed=seed)


def _map_shapes(networks: Networks, name: str) -> dict[str, tuple[int, ...]]:
    labels = None if networks.num_classes is None else tf.zeros([2], tf.int32)
    images = tf.zeros([2, *networks.image_shape])
    outputs = call_discriminator(
        networks.discriminator, images, labels, training=False, features=True
    )
    shapes = {key: tuple(value.shape) for key, value in (outputs.maps or {}).items()}
    if not set(MAPS) <= {key for key, shape in shapes.items() if len(shape) == 4}:
        raise ValueError(
            f"{name} needs a discriminator that returns a dict of `logits` and `maps`, itself a "
            f"dict of {', '.join(MAPS)} (batch, height, width, channels), as FastGAN's does. "
            f"Received: {networks.discriminator.name!r} with maps {shapes or 'none'}."
        )
    return shapes


def _decodes(side: int, target: int) -> bool:
    """Whether doublings lead from the side of a map, pooled to 8 if it is larger, to an image's."""
    start = max(min(side, POOLED), 1)
    return side % start == 0 and target > start and target in [start << n for n in range(9)]


def quarter(images: tf.Tensor, corner: tf.Tensor) -> tf.Tensor:
    """The quarter of square images or maps that is below, and right, of the middle as told.

    Args:
        images: (batch, side, side, channels).
        corner: bool (2,).
    """
    half = images.shape[1] // 2
    rows = tf.where(corner[0], images[:, half:], images[:, :half])
    return tf.where(corner[1], rows[:, :, half:], rows[:, :, :half])


def thinned(images: tf.Tensor, side: int) -> tf.Tensor:
    """Square images of a smaller side: every so many pixels, the first one kept."""
    every = images.shape[1] // side
    return images[:, ::every, ::every]
