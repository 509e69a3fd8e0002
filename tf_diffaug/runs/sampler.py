"""Samples of a GAN, made the way an evaluation protocol says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import sublayers
from tf_diffaug.layers import BatchNorm, batch_statistics, standing_statistics
from tf_diffaug.naming import unknown
from tf_diffaug.training.calls import (
    call_generator,
    draw_latents,
    has_uniform_latents,
    takes,
)
from tf_diffaug.training.ema import clone_network, copy_weights

if TYPE_CHECKING:
    from tf_diffaug.training.gan import GAN

BATCH_NORM = ("moving", "batch", "standing")


class Sampler:
    """Makes images of a GAN as it is at the time, and changes nothing of it.

    Args:
        gan: the GAN.
        ema: whether the averaged generator makes them, where there is one.
        batch_norm: what G's batch norms divide by: `"moving"`, the averages kept in training;
            `"batch"`, the statistics of the samples made together (DiffAugment's BigGAN);
            `"standing"`, those of `standing_batches` batches of fakes, measured on a copy of G
            whenever the GAN has trained on (BigGAN, arXiv 1809.11096, section 4.1).
        truncation: for a generator with styles psi, in [0, 1]: how far a style is from the mean
            style (StyleGAN2); for any other the bound of its latents, above 0 (BigGAN's truncation
            trick). None for neither.
        standing_batches: how many batches; the BigGAN paper speaks of 100.
        standing_batch_size: images in one.

    Raises:
        ValueError: if a value is out of its range, or G holds Keras' own batch norm, whose batch
            statistics can't be had without moving its averages.
    """

    def __init__(
        self,
        gan: GAN,
        *,
        ema: bool = True,
        batch_norm: str = "moving",
        truncation: float | None = None,
        standing_batches: int = 100,
        standing_batch_size: int = 64,
    ) -> None:
        if batch_norm not in BATCH_NORM:
            raise ValueError(unknown("batch_norm", batch_norm, BATCH_NORM))
        if batch_norm != "moving" and sublayers(gan.generator, keras.layers.BatchNormalization):
            raise ValueError(
                "Keras' batch norm can't take a batch's statistics without moving its averages: "
                f"use tf_diffaug.BatchNorm. Received: batch_norm={batch_norm!r}."
            )
        self._has_styles = takes(gan.generator, "truncation_psi")
        if truncation is not None and not (
            0 <= truncation <= 1 if self._has_styles else truncation > 0
        ):
            bounds = "in [0, 1] with styles" if self._has_styles else "above 0 without styles"
            raise ValueError(f"truncation is {bounds}. Received: truncation={truncation}.")
        if truncation is not None and has_uniform_latents(gan.generator):
            raise ValueError(
                "Truncation is of normal latents, and this generator's are uniform in [-1, 1): "
                f"leave it out. Received: truncation={truncation}."
            )
        self.gan = gan
        self._batch_norm = batch_norm
        self._truncation = truncation
        self._standing_batches = standing_batches
        self._standing_batch_size = standing_batch_size
        self._source = gan.ema_generator if ema and gan.ema_generator is not None else gan.generator
        self._network = self._source
        self._is_copy = batch_norm == "standing" and bool(sublayers(self._source, BatchNorm))
        if self._is_copy:
            self._network = clone_network(self._source)
            self._network(gan.networks.example_inputs(), training=False)
        self._measured_at: int | None = None
        # The choice of statistics is made while a graph is traced.
        self._run = tf.function(self._generate, autograph=False)
        self._observe = tf.function(self._observe_batch, autograph=False)

    def __call__(
        self, count: int, seed: tf.Tensor, *, labels: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Images (count, height, width, channels), float32 in [-1, 1].

        Args:
            count: how many.
            seed: int32 (2,): the latents, labels and noise are a function of it.
            labels: int32 (count,); by default drawn as in training.
        """
        latents = self.latents(count, seed)
        if labels is None:
            labels = self.gan.networks.labels(count, random.fold_in(seed, 1))
        return self.generate(latents, labels, seed=random.fold_in(seed, 2))

    def latents(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Latents (count, latent_dim), truncated if that is this sampler's way."""
        shape = [count, self.gan.latent_dim]
        if self._truncation is None or self._has_styles:
            return draw_latents(self.gan.generator, shape, seed)
        return random.truncated_normal(shape, seed, self._truncation)

    @property
    def has_styles(self) -> bool:
        """Whether the generator has styles, whose distance from their mean psi is."""
        return self._has_styles

    def network(self) -> keras.Model:
        """The generator that makes the images, with the statistics that its batch norms use."""
        if self._is_copy:
            self._take_statistics()
        return self._network

    def generate(
        self,
        latents: tf.Tensor,
        labels: tf.Tensor | None = None,
        *,
        seed: tf.Tensor | None,
    ) -> tf.Tensor:
        """Images of given latents.

        Args:
            latents: float32 (count, latent_dim).
            labels: int32 (count,), or floats (count, num_classes), the weight of each class, for a
                generator that takes such.
            seed: int32 (2,), for what the generator draws itself; None leaves that to it.
        """
        if self._is_copy:
            self._take_statistics()
        latents = tf.convert_to_tensor(latents)
        labels = None if labels is None else tf.convert_to_tensor(labels)
        # The traced function itself: TensorFlow warns of samplers that look alike.
        run = self._run.get_concrete_function(latents, labels, seed)
        return run(latents, labels, seed)

    def _generate(
        self, latents: tf.Tensor, labels: tf.Tensor | None, seed: tf.Tensor | None
    ) -> tf.Tensor:
        psi = self._truncation if self._has_styles else None
        batch = self._batch_norm == "batch"
        with batch_statistics(self._network) if batch else contextlib.nullcontext():
            return call_generator(
                self._network, latents, labels, training=False, seed=seed, truncation_psi=psi
            )

    def _take_statistics(self) -> None:
        step = int(self.gan.step.numpy())
        if step == self._measured_at:
            return
        copy_weights(self._network, self._source)
        for index in range(self._standing_batches):
            seed = random.derive(self.gan.seed, "standing", step=index)
            self._observe(tf.constant(index), seed)
        self._measured_at = step

    def _observe_batch(self, index: tf.Tensor, seed: tf.Tensor) -> None:
        count = self._standing_batch_size
        labels = self.gan.networks.labels(count, random.fold_in(seed, 1))
        with standing_statistics(self._network, index):
            call_generator(self._network, self.latents(count, seed), labels, training=True)
