"""Extra terms of G's loss."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug._keras import sublayers
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer, checked_whole, is_number
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import global_mean, replica_state, sum_over_replicas


@register_regularizer
class Orthogonal(Regularizer):
    """BigGAN's orthogonal regularization: weight · Σ |WᵀW ⊙ (1 - I)|² (arXiv 1809.11096, eq. 3).

    W is the kernel of a dense or convolutional layer as a matrix of (everything else, output
    channels), those that make a batch norm's gain and bias included, where a class has a row of its
    own too: the author's code takes those rows for W's columns. What G calls its `class_embedding`
    is left out, as in the author's code, and so is any `Embedding`. That code adds half of the
    gradient: 1e-4 of it is 5e-5 here.

    Args:
        weight: β; 1e-4 in the paper.
    """

    name = "orthogonal"
    summary = "the columns of each kernel of G are to be orthogonal"
    of = "G"
    term = "\\|WᵀW ⊙ (1 - I)\\|² of every kernel"
    source = "1809.11096"

    def __init__(self, weight: float = 1e-4) -> None:
        super().__init__(weight)

    def generator_term(self, update: Update) -> tf.Tensor:
        terms = [_off_diagonal(layer) for layer in _linear_layers(update.networks.generator)]
        return self.weight_at(update) * tf.add_n(terms)

    def build(self, networks: Networks) -> None:
        if not _linear_layers(networks.generator):
            raise ValueError(
                "Orthogonal regularization needs dense or convolutional layers. "
                f"Received: generator={networks.generator.name!r}, which has none."
            )


def _linear_layers(network: keras.Model) -> list:
    kinds = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    layers = {id(layer): layer for kind in kinds for layer in sublayers(network, kind)}
    layers.pop(id(getattr(network, "class_embedding", None)), None)
    return list(layers.values())


def _off_diagonal(layer: keras.layers.Layer) -> tf.Tensor:
    kernel = tf.cast(tf.convert_to_tensor(layer.kernel), tf.float32)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        kernel = tf.linalg.matrix_transpose(kernel)  # (h, w, out, in)
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    rows, columns = matrix.shape
    if columns <= 2 * rows:
        products = tf.matmul(matrix, matrix, transpose_a=True)
        return tf.reduce_sum(tf.linalg.set_diag(products, tf.zeros([columns])) ** 2)
    # |WᵀW| = |WWᵀ|, which is far smaller; so wide a matrix is never near orthogonal, where the
    # difference would lose its digits.
    products = tf.matmul(matrix, matrix, transpose_b=True)
    lengths = tf.reduce_sum(matrix**2, axis=0)
    return tf.reduce_sum(products**2) - tf.reduce_sum(lengths**2)


@register_regularizer
class PathLength(Regularizer):
    """Path length regularization: weight · (|Jᵀy| - a)² (arXiv 1912.04958, section 3.2).

    J is the Jacobian of the image with regard to the styles, y normal noise of the image's shape
    divided by the square root of its pixels, a the running mean of the lengths, this update's
    included. G must have `mapping`, `synthesis` and `num_layers`, as `models.StyleGAN2Generator`
    has. The styles are not mixed here, and a gets no gradient: in the published code the share of
    this update's lengths in it, 1 - decay, has one.

    Args:
        weight: 2 in the published code.
        every: in one of so many of G's updates, so many times as strong; 4 there.
        shrink: lengths are taken on one of so many latents; 2 there.
        decay: of the running mean; 0.99 there.
    """

    name = "path_length"
    summary = "a step of the styles is to change G's images by the same length everywhere"
    of = "G"
    term = "(\\|Jᵀy\\| - a)²"
    source = "1912.04958"
    needs_styles = True

    def __init__(
        self, weight: float = 2.0, every: int = 4, shrink: int = 2, decay: float = 0.99
    ) -> None:
        super().__init__(weight)
        self.every = checked_whole(self.name, "every", every, least=1)
        if not (is_number(decay) and 0 <= decay < 1):
            raise ValueError(f"A decay is in [0, 1). Received: path_length decay={decay!r}.")
        self.shrink = checked_whole(self.name, "shrink", shrink, least=1)
        self.decay = float(decay)

    def build(self, networks: Networks) -> None:
        for part in ("mapping", "synthesis", "num_layers"):
            if not hasattr(networks.generator, part):
                raise ValueError(
                    "Path length regularization needs a generator with styles, such as StyleGAN2. "
                    f"Received: generator={networks.generator.name!r} without `{part}`."
                )
        self._mean = replica_state(0.0, "path_length_mean")

    @property
    def variables(self) -> list:
        return [self._mean]

    def generator_term(self, update: Update) -> tf.Tensor:
        networks, draws = update.networks, update.draws
        generator = networks.generator
        latents = draws.normal([networks.latent_dim], self.name, "latents")[:: self.shrink]
        labels = draws.labels(networks.label_frequencies)
        labels = None if labels is None else labels[:: self.shrink]
        height, width, _ = networks.image_shape
        noise = draws.normal(networks.image_shape, self.name, "noise")[:: self.shrink]
        noise /= math.sqrt(height * width)
        seed = draws.stream(self.name, "synthesis")

        def lengths() -> tf.Tensor:
            style = generator.mapping(latents, labels)
            styles = tf.tile(style[:, None], (1, generator.num_layers, 1))
            with tf.GradientTape() as tape:
                tape.watch(styles)
                images = tf.cast(generator.synthesis(styles, seed=seed), tf.float32)
                projection = tf.reduce_sum(images * noise)
            gradient = tf.cast(tape.gradient(projection, styles), tf.float32)
            squares = tf.reduce_mean(tf.reduce_sum(gradient**2, axis=2), axis=1)
            return tf.sqrt(squares + 1e-12)  # a length of 0 has no gradient

        rows = -(-draws.batch_size // self.shrink)
        found = update.lazily(self.every, rows, lengths)
        due = update.is_due(self.every)
        mean = self._moved_mean(tf.stop_gradient(found), due)
        penalty = tf.where(due, tf.square(found - mean), 0.0)
        return self.weight_at(update) * self.every * penalty

    def _moved_mean(self, lengths: tf.Tensor, due: tf.Tensor) -> tf.Tensor:
        # Outside of the condition: replicas can't sum inside one.
        now = sum_over_replicas({"length": global_mean(lengths)})["length"]
        old = tf.convert_to_tensor(self._mean)
        mean = tf.where(due, old + (1.0 - self.decay) * (now - old), old)
        self._mean.assign(mean)
        return mean

    def get_config(self) -> dict[str, Any]:
        return {
            "weight": self.weight,
            "every": self.every,
            "shrink": self.shrink,
            "decay": self.decay,
        }
