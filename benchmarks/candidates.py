"""What `train_step.py` times in TensorFlow: a model's step, matrix products, convolutions."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import Candidate
from tf_diffaug import models
from tf_diffaug.training import GAN, get_loss

NETWORKS = {
    "sndcgan": (models.SNDCGANGenerator, models.SNDCGANDiscriminator),
    "biggan": (models.BigGANGenerator, models.BigGANDiscriminator),
    "stylegan2": (models.StyleGAN2Generator, models.StyleGAN2Discriminator),
    "fastgan": (models.FastGANGenerator, models.FastGANDiscriminator),
}
RESOLUTION = 32
# The work of one run of a reference: long enough to average over what else the machine does.
REFERENCE_GFLOP = 70.0
# A convolution such as the middle layers of these networks have.
SIDE, CHANNELS = 16, 256


def parameters(network: keras.Model) -> int:
    """How many numbers are trained."""
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def make_gan(recipe: Mapping[str, Any], precision: str) -> GAN:
    """The networks of a recipe as training has them, compiled.

    Args:
        recipe: model, width, latent_dim, num_classes, policy, perhaps loss, regularizers, augment
            and D's normalization.
        precision: float32, or bfloat16 between float32 weights and float32 outputs.
    """
    dtype = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    generator, discriminator = NETWORKS[recipe["model"]]
    common = {"width": recipe["width"], "seed": 0, "dtype": dtype}
    if recipe["num_classes"] is not None:
        common["num_classes"] = recipe["num_classes"]
    options = {key: recipe[key] for key in ("loss", "regularizers", "augment") if key in recipe}
    of_d = {key: recipe[key] for key in ("normalization",) if key in recipe}
    gan = GAN(
        generator(RESOLUTION, latent_dim=recipe["latent_dim"], **common),
        discriminator(RESOLUTION, **common, **of_d),
        policy=recipe["policy"],
        **options,
    )
    gan.compile(jit_compile=False)
    return gan


def images_and_labels(recipe: Mapping[str, Any], count: int) -> tuple[np.ndarray, ...]:
    """Random uint8 images, and their labels for a conditional recipe."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, RESOLUTION, RESOLUTION, 3), np.uint8)
    if recipe["num_classes"] is None:
        return (images,)
    return images, rng.integers(0, recipe["num_classes"], count, np.int32)


class Step:
    """A GAN's D and G step on one fixed batch, as a graph."""

    def __init__(self, recipe: Mapping[str, Any], precision: str) -> None:
        gan = make_gan(recipe, precision)
        self.batch_size = recipe["batch_size"]
        self.networks = gan.generator, gan.discriminator
        # A paired loss has reals for G's update too.
        batches = get_loss(recipe.get("loss", "hinge")).batches(1)
        data = images_and_labels(recipe, batches * self.batch_size)
        self._data = [tf.constant(part) for part in data]
        # Held, or nothing else would keep the networks alive.
        self._gan = gan

        @tf.function(autograph=False)
        def step(*data: tf.Tensor) -> dict[str, tf.Tensor]:
            return gan.train_step(data if len(data) > 1 else data[0])

        self._run = step.get_concrete_function(*self._data)

    @property
    def graph(self) -> tf.Graph:
        """As traced, with all sizes known."""
        return self._run.graph

    def __call__(self) -> None:
        """Takes a step and waits for its end."""
        for loss in self._run(*self._data).values():
            loss.numpy()

    def seconds(self, clock: Callable[[], float] = time.perf_counter, steps: int = 1) -> Candidate:
        """A candidate that takes one step, or the mean of so many."""
        all_of_them = _repeated(self, steps, clock)
        return lambda: all_of_them() / steps


def largest_step(recipe: Mapping[str, Any], precision: str, longest: float) -> Step:
    """The step of the recipe's batch, halved until it takes less than `longest` seconds."""
    batch_size = recipe["batch_size"]
    while True:
        step = Step({**recipe, "batch_size": batch_size}, precision)
        step()
        if batch_size < 2 or step.seconds()() < longest:
            return step
        batch_size //= 2


def references(
    arguments: argparse.Namespace, batch_size: int, clock: Callable[[], float]
) -> dict[str, tuple[Candidate, float]]:
    """Bare products: candidates, and the GFLOP of a run of each."""
    dtype = tf.bfloat16 if arguments.precision == "bfloat16" else tf.float32
    found = {f"matrix {n}": _matrix(n, dtype, clock) for n in arguments.matrix_sizes}
    found["convolution"] = _convolution(batch_size, dtype, clock)
    found["gradients"] = _convolution(batch_size, dtype, clock, gradients=True)
    if dtype != tf.float32:
        found["convolution in float32"] = _convolution(batch_size, tf.float32, clock)
    return found


def _matrix(size: int, dtype: tf.DType, clock: Callable[[], float]) -> tuple[Candidate, float]:
    left, right = (_noise((size, size), index, dtype) for index in range(2))
    times = _times(2 * size**3 / 1e9)
    return _repeated(lambda: tf.matmul(left, right), times, clock), times * 2 * size**3 / 1e9


def _convolution(
    batch_size: int, dtype: tf.DType, clock: Callable[[], float], *, gradients: bool = False
) -> tuple[Candidate, float]:
    images = _noise((batch_size, SIDE, SIDE, CHANNELS), 0, dtype)
    kernel = _noise((3, 3, CHANNELS, CHANNELS), 1, dtype)

    @tf.function(autograph=False)
    def run(images: tf.Tensor, kernel: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            outputs = tf.nn.conv2d(images, kernel, 1, "SAME")
        if not gradients:
            return outputs
        # The outputs as their own upstream gradient: no further array to read.
        return outputs, tape.gradient(outputs, [images, kernel], output_gradients=outputs)

    gflop = 2 * 9 * CHANNELS**2 * SIDE**2 * batch_size * (3 if gradients else 1) / 1e9
    times = _times(gflop)
    return _repeated(lambda: run(images, kernel), times, clock), times * gflop


def _noise(shape: tuple[int, ...], index: int, dtype: tf.DType) -> tf.Tensor:
    # Of a size that products of products stay finite.
    return tf.cast(0.01 * tf.random.stateless_normal(shape, [0, index]), dtype)


def _times(gflop: float) -> int:
    return max(1, min(64, round(REFERENCE_GFLOP / gflop)))


def _repeated(run: Callable[[], Any], times: int, clock: Callable[[], float]) -> Candidate:
    def all_of_them() -> None:
        for _ in range(times):
            run()

    return _timed(all_of_them, clock)


def _timed(run: Callable[[], None], clock: Callable[[], float]) -> Candidate:
    def seconds() -> float:
        start = clock()
        run()
        return clock() - start

    return seconds
