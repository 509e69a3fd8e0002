"""How much of the augmentation shows in plain samples: a small probe tells one from the other.

An augmentation leaks when G learns to make augmented images. The probe learns from plain reals,
augmented reals, and what is neither: noise and scrambled reals. The share of samples that it takes
for augmented is then read against the shares of held-out plain and augmented reals, so that 0 means
"as rarely as plain reals" and 1 "as often as augmented ones". Samples of a G that has hardly learnt
are neither: the probe takes them for noise, or their texture is no real's; and of these it says
nothing.
"""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment
from tf_diffaug.evaluation.texture import Textures, texture_statistics
from tf_diffaug.images import to_float, to_uint8

_BATCH = 64
# Standard errors past which the share of samples is no longer that of plain reals.
_Z = 3.0
# What a probe must tell apart of augmented and plain reals to be worth reading: the shares'
# difference.
_SEPARATION = 0.25
# What the probe takes an image for.
_PLAIN, _AUGMENTED, _NEITHER = range(3)
# The share of images like neither past which those that are left say nothing of them all.
_MOST = 0.5
# Draws of each kind of reals that their textures are learnt and calibrated from.
_DRAWS = 512


@dataclasses.dataclass(frozen=True)
class Leak:
    """What the probe says of samples.

    Args:
        share: (q - q0) / (q1 - q0) within [0, 1], where q, q0 and q1 are the shares of samples,
            of plain and of augmented held-out reals that the probe takes for augmented, of those
            it takes for a real of either kind. None if most samples are like neither: whether the
            augmentation shows in them cannot be told.
        threshold: the share that plain reals, as many as the samples, would hardly exceed: three
            standard errors of q0. None as well.
        neither: the share of samples like neither plain nor augmented reals, of which about a fifth
            of held-out reals are themselves.
    """

    share: float | None
    threshold: float | None
    neither: float

    @property
    def is_leaking(self) -> bool:
        """Whether there is a share, and it is past the threshold."""
        return self.share is not None and self.share > self.threshold

    @property
    def verdict(self) -> str:
        """The same in words; samples like neither kind of reals are "not yet like the images"."""
        if self.share is None:
            return "not yet like the images"
        return "leaks" if self.is_leaking else "no leak seen"


class LeakGauge:
    """Trains the probe once, in seconds, and then reads samples.

    Args:
        images: reals, uint8 (n, height, width, channels). Of at most 8,192, drawn at random, a
            quarter calibrates the probe that the others train.
        augmenter: the augmentation.
        seed: of the probe's weights, batches and draws.
        steps: of training, on 64 images each.

    Raises:
        ValueError: if there are fewer than 8 images.
    """

    def __init__(
        self, images: np.ndarray, augmenter: DiffAugment, *, seed: int, steps: int = 200
    ) -> None:
        if len(images) < 8:
            raise ValueError(f"A probe needs 8 images. Received: {len(images)} images.")
        self._augmenter = augmenter
        self._seed = seed
        self._probe = _make_probe(images.shape[1:], random.derive_int(seed, "probe"))
        order = np.random.default_rng(random.derive_int(seed, "probe", index=1))
        order = order.permutation(len(images))[:8_192]
        held_out = max(4, len(order) // 4)
        seen, unseen = (images.take(o, axis=0) for o in (order[held_out:], order[:held_out]))
        self._fit(seen, steps)
        self._textures = self._know_textures(seen, unseen)
        self._calibrate(unseen)

    @property
    def is_usable(self) -> bool:
        """Whether the probe knows the two kinds of reals: some augmentations leave no trace."""
        return self._augmented - self._plain > _SEPARATION and self._most_neither <= _MOST

    def __call__(self, samples: tf.Tensor) -> Leak:
        """Reads samples, float (n, height, width, channels) in [-1, 1].

        Raises:
            ValueError: if the probe is not usable.
        """
        if not self.is_usable:
            raise ValueError(
                "The probe cannot tell augmented from plain reals. Received: policy="
                f"{str(self._augmenter.policy)!r}."
            )
        counts = self._counts(_as_shown(samples))
        neither = float(counts[_NEITHER] / counts.sum())
        if neither > _MOST:
            return Leak(share=None, threshold=None, neither=neither)
        known = counts[_PLAIN] + counts[_AUGMENTED]
        found = counts[_AUGMENTED] / known
        span = self._augmented - self._plain
        count = 1.0 / known + 1.0 / self._calibrated_on
        error = math.sqrt(self._plain * (1.0 - self._plain) * count)
        share = min(max((found - self._plain) / span, 0.0), 1.0)
        return Leak(share=share, threshold=min(_Z * error / span, 1.0), neither=neither)

    def _fit(self, images: np.ndarray, steps: int) -> None:
        optimizer = keras.optimizers.Adam(2e-3)
        optimizer.build(self._probe.trainable_variables)
        seed = random.derive(self._seed, "probe")
        half, quarter = _BATCH // 2, _BATCH // 4
        labels = tf.repeat([_PLAIN, _AUGMENTED, _NEITHER], [half, half, quarter])

        @tf.function
        def step(reals: tf.Tensor, index: tf.Tensor) -> None:
            seeds = [random.fold_in(random.fold_in(seed, index), k) for k in range(4)]
            plain, other = tf.split(_softened(to_float(reals), seeds[0]), 2)
            augmented = self._augmenter(other, seed=seeds[1])
            noise, scrambled = tf.split(plain[:quarter], 2)
            neither = [_noise_like(noise, seeds[2]), _scrambled(scrambled, seeds[3])]
            shown = _as_shown(tf.concat([plain, augmented, *neither], axis=0))
            with tf.GradientTape() as tape:
                logits = self._probe(shown, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            variables = self._probe.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

        rng = np.random.default_rng(random.derive_int(self._seed, "probe", index=2))
        for index in range(steps):
            step(images[rng.integers(0, len(images), _BATCH)], tf.constant(index))

    def _know_textures(self, images: np.ndarray, held_out: np.ndarray) -> Textures:
        """Learns the textures of plain reals and of what a leak may look like.

        A leak need not be sharp, nor whole: so there are augmented reals, softened ones, and ones
        blended with their plain selves.
        """

        @tf.function
        def draw(reals: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
            seeds = [random.fold_in(seed, k) for k in range(4)]
            plain = _softened(to_float(reals), seeds[0])
            augmented = self._augmenter(plain, seed=seeds[1])
            share = random.uniform([_BATCH, 1, 1, 1], seeds[3])
            blended = plain + share * (augmented - plain)
            kinds = (plain, augmented, _softened(augmented, seeds[2]), blended)
            return [texture_statistics(_as_shown(kind)) for kind in kinds]

        def of(reals: np.ndarray, index: int) -> list[np.ndarray]:
            rng = np.random.default_rng(random.derive_int(self._seed, "probe", index=index))
            seed = random.fold_in(random.derive(self._seed, "probe"), -index)
            draws = [
                draw(reals[rng.integers(0, len(reals), _BATCH)], random.fold_in(seed, number))
                for number in range(_DRAWS // _BATCH)
            ]
            kinds = zip(*draws, strict=True)
            return [np.concatenate(batches).astype(np.float64) for batches in kinds]

        return Textures(of(images, 3), np.concatenate(of(held_out, 4)))

    def _calibrate(self, images: np.ndarray) -> None:
        seed = random.fold_in(random.derive(self._seed, "probe"), -1)
        counts = np.zeros([2, 3])
        for start in range(0, len(images), _BATCH):
            reals = to_float(tf.constant(images[start : start + _BATCH]))
            augmented = self._augmenter(reals, seed=random.fold_in(seed, start))
            counts += self._counts(reals), self._counts(_as_shown(augmented))
        known = counts[:, _PLAIN] + counts[:, _AUGMENTED]
        # Laplace's rule: that none of a few was taken for augmented does not mean none ever is.
        self._plain, self._augmented = (counts[:, _AUGMENTED] + 1.0) / (known + 2.0)
        self._calibrated_on = max(known[0], 1.0)
        self._most_neither = counts[:, _NEITHER].max() / len(images)

    def _counts(self, images: tf.Tensor) -> np.ndarray:
        """How many the probe takes for what, shape (3,)."""
        kinds = self._probe.predict(images, batch_size=_BATCH, verbose=0).argmax(axis=-1)
        batches = (images[k : k + _BATCH] for k in range(0, len(images), _BATCH))
        statistics = np.concatenate([texture_statistics(batch) for batch in batches])
        kinds[self._textures.are_unlike(statistics.astype(np.float64))] = _NEITHER
        return np.bincount(kinds, minlength=3)


def _as_shown(images: tf.Tensor) -> tf.Tensor:
    """Images as a file would hold them: whole values of 0 to 255, which give nothing away."""
    return to_float(to_uint8(images))


def _softened(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Images blended with a blurred copy and noise, each its own share: a G is not sharp.

    Otherwise the probe could take any image that is not quite like a photograph for augmented.
    """
    size = images.shape[1:3]
    small = tf.image.resize(images, [-(-side // 2) for side in size], antialias=True)
    blurred = tf.image.resize(small, size)
    draws = random.uniform([2, tf.shape(images)[0], 1, 1, 1], seed)
    noise = random.normal(tf.shape(images), random.fold_in(seed, 0))
    return images + draws[0] * (blurred - images) + 0.05 * draws[1] * noise


def _noise_like(reals: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """What a G makes that has learnt little: noise as coarse, strong and coloured as it may be.

    Half of the images have some of a real in them, up to as much as of the noise.
    """
    count, height, width, channels = reals.shape
    seeds = [random.fold_in(seed, k) for k in range(6)]
    octaves = []
    for index, step in enumerate((1, 2, 4, 8, 16)):
        size = [count, -(-height // step), -(-width // step), channels]
        noise = random.normal(size, random.fold_in(seeds[0], index))
        octaves.append(tf.image.resize(noise, [height, width]))
    # To the fourth power, so that one octave often outweighs the others.
    shares = random.uniform([len(octaves), count, 1, 1, 1], seeds[1]) ** 4
    noise = tf.reduce_sum(shares * tf.stack(octaves), 0) / tf.reduce_sum(shares, 0)
    contrast = 10.0 ** random.uniform([count, 1, 1, 1], seeds[2], -2.0, 0.0)
    color = random.uniform([count, 1, 1, channels], seeds[3], -1.0, 1.0)
    color *= random.uniform([count, 1, 1, 1], seeds[4])
    noise = tf.clip_by_value(color + contrast * noise, -1.0, 1.0)
    part = tf.nn.relu(random.uniform([count, 1, 1, 1], seeds[5], -0.5, 0.5))
    return noise + part * (reals - noise)


def _scrambled(reals: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Reals of which only mean, spectrum and the colours' correlation are left: blobs, no shapes.

    Each frequency is turned by a random phase, the same in all channels.
    """
    count, height, width, _ = reals.shape
    mean = tf.reduce_mean(reals, axis=(1, 2), keepdims=True)
    channels_first = tf.transpose(reals - mean, [0, 3, 1, 2])
    noise = random.normal([count, 1, height, width], seed)
    phase = tf.math.angle(tf.signal.fft2d(tf.cast(noise, tf.complex64)))
    turned = tf.signal.fft2d(tf.cast(channels_first, tf.complex64))
    turned *= tf.complex(tf.cos(phase), tf.sin(phase))
    blobs = tf.transpose(tf.math.real(tf.signal.ifft2d(turned)), [0, 2, 3, 1])
    return tf.clip_by_value(mean + blobs, -1.0, 1.0)


def _make_probe(shape: tuple[int, ...], seed: int) -> keras.Model:
    inputs = hidden = keras.Input(shape)
    side = min(shape[:2])
    for number, filters in enumerate((16, 32, 64)):
        # Large images are looked at from further off: half of the time goes there otherwise.
        stride = 4 if number == 0 and side >= 128 else 2
        hidden = keras.layers.Conv2D(
            filters,
            2 * stride - 1,
            stride,
            "same",
            kernel_initializer=keras.initializers.HeNormal(seed=seed + number),
        )(hidden)
        hidden = keras.layers.LeakyReLU()(hidden)
    pooled = keras.layers.Concatenate()(
        [keras.layers.GlobalAveragePooling2D()(hidden), keras.layers.GlobalMaxPooling2D()(hidden)]
    )
    initializer = keras.initializers.GlorotNormal(seed=seed + 3)
    return keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=initializer)(pooled))
