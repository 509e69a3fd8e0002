"""A generator as functions of tensors that hold their weights: what other programs load."""

from __future__ import annotations

import contextlib

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import raw_variables
from tf_diffaug.images import to_uint8
from tf_diffaug.layers.resample import dense_upsampling
from tf_diffaug.runs.generate.source import ImageSource
from tf_diffaug.training.calls import call_generator

FROM_LATENTS = "serving_default"
FROM_SEED = "from_seed"


class ServedGenerator(tf.Module):
    """Latents, or a seed, to the images of an `ImageSource`, uint8.

    `from_latents(latents, labels)` takes float32 (n, latent_dim) and, of a conditional generator,
    int32 (n,). `from_seed(seed, count)` makes images 0 to count - 1 of an int64 seed, an int32
    count, as many at once as the source does, so that they are its images to the bit. Both return
    `{"images": ...}`, uint8 (n, height, width, channels), and the second also `"labels"`.

    Args:
        source: whose images they are.
        portable: whether to use only ops that TensorFlow Lite and ONNX know, which may round
            otherwise.
    """

    def __init__(self, source: ImageSource, *, portable: bool = False) -> None:
        super().__init__()
        network = source.sampler.network()
        # The layers themselves need this package to be loaded; their variables do not.
        self.weights = raw_variables(network)
        self.input_signature = input_signature(source)
        context = dense_upsampling if portable else contextlib.nullcontext

        def from_latents(latents: tf.Tensor, labels: tf.Tensor | None = None) -> dict:
            with context():
                return {"images": to_uint8(call(source, network, latents, labels))}

        def from_seed(seed: tf.Tensor, count: tf.Tensor) -> dict:
            return _first(source, from_latents, seed, count)

        self.from_latents = tf.function(
            from_latents, input_signature=self.input_signature, autograph=False
        )
        self.from_seed = tf.function(
            from_seed,
            input_signature=[
                tf.TensorSpec((), tf.int64, "seed"),
                tf.TensorSpec((), tf.int32, "count"),
            ],
            autograph=False,
        )


def input_signature(source: ImageSource) -> list[tf.TensorSpec]:
    """What the generator takes: latents, and labels if it is conditional."""
    signature = [tf.TensorSpec((None, source.run.gan.latent_dim), tf.float32, "latents")]
    if source.num_classes is not None:
        signature.append(tf.TensorSpec((None,), tf.int32, "labels"))
    return signature


def psi_of(source: ImageSource) -> float | None:
    """How far styles keep from their mean; None for a generator without styles, or all the way."""
    return source.truncation if source.sampler.has_styles else None


def call(
    source: ImageSource, network: keras.Model, latents: tf.Tensor, labels: tf.Tensor | None
) -> tf.Tensor:
    """Images in [-1, 1] of a network, as the source makes them of its own."""
    return call_generator(network, latents, labels, training=False, truncation_psi=psi_of(source))


def _first(source: ImageSource, from_latents, seed: tf.Tensor, count: tf.Tensor) -> dict:
    """Images 0 to count - 1 of a seed, a chunk of the source's size at a time."""
    chunk, config = source.chunk, source.run.config
    is_conditional = source.num_classes is not None

    def draw(number: tf.Tensor) -> dict[str, tf.Tensor]:
        own = random.derive(seed, "image", step=number)
        drawn = {"latents": source.sampler.latents(1, own)[0]}
        if is_conditional:
            drawn["labels"] = source.run.gan.networks.labels(1, random.fold_in(own, 1))[0]
        return drawn

    kinds = {"latents": tf.float32} | ({"labels": tf.int32} if is_conditional else {})

    def make(index: tf.Tensor) -> dict[str, tf.Tensor]:
        numbers = tf.cast(index * chunk + tf.range(chunk), tf.int64)
        drawn = tf.map_fn(draw, numbers, fn_output_signature=kinds)
        latents = drawn.pop("latents")
        latents.set_shape((chunk, source.run.gan.latent_dim))
        return from_latents(latents, drawn.get("labels")) | drawn

    channels = source.run.facts["channels"]
    shape = (chunk, config.resolution, config.resolution, channels)
    specs = {"images": tf.TensorSpec(shape, tf.uint8)}
    if is_conditional:
        specs["labels"] = tf.TensorSpec((chunk,), tf.int32)
    chunks = tf.range((count + chunk - 1) // chunk)
    made = tf.map_fn(make, chunks, fn_output_signature=specs, parallel_iterations=1)
    return {
        name: tf.reshape(value, (-1, *specs[name].shape[1:]))[:count]
        for name, value in made.items()
    }
