"""Slim StyleGAN2s for the tests, and what goes into them."""

import numpy as np
import tensorflow as tf

from tf_diffaug.models import StyleGAN2Discriminator, StyleGAN2Generator


def generator(resolution=8, width=4, seed=0, **kwargs):
    sizes = {"latent_dim": 6, "w_dim": 5, "mapping_layers": 2, "max_channels": 6}
    network = StyleGAN2Generator(resolution, 3, width, seed=seed, **{**sizes, **kwargs})
    network.build()
    return network


def discriminator(resolution=8, width=4, seed=0, **kwargs):
    network = StyleGAN2Discriminator(
        resolution, 3, width, seed=seed, **{"max_channels": 6, **kwargs}
    )
    network.build()
    return network


def shaken(network, scale=0.3):
    """The network with no weight at its initial value, as the noise's strengths are 0."""
    rng = np.random.default_rng(5)
    for weight in network.trainable_weights:
        noise = rng.normal(size=weight.shape) * scale
        weight.assign(weight.numpy() + np.asarray(noise, weight.numpy().dtype))
    return network


def latents_of(count, dim=6, dtype="float32"):
    return tf.random.stateless_normal((count, dim), seed=(0, 1), dtype=dtype)


def images_of(count, size=8, dtype="float32"):
    return tf.random.stateless_uniform((count, size, size, 3), (0, 2), -1.0, 1.0, dtype)
