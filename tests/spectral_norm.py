"""Layers of each kind with spectral normalisation, and their kernels."""

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug.layers import SpectralNormalization

# Keras 3 hands TensorFlow's variables to NumPy 2 when it saves them.
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"
IMAGE = (None, 7, 6, 3)
KINDS = {
    "dense": (lambda **k: keras.layers.Dense(5, **k), (None, 8)),
    "dense_rank_3": (lambda **k: keras.layers.Dense(5, activation="tanh", **k), (None, 4, 8)),
    "conv1d": (lambda **k: keras.layers.Conv1D(4, 3, padding="same", **k), (None, 9, 3)),
    "conv2d": (lambda **k: keras.layers.Conv2D(4, 3, strides=2, padding="same", **k), IMAGE),
    "conv2d_valid": (
        lambda **k: keras.layers.Conv2D(4, 3, dilation_rate=2, use_bias=False, **k),
        IMAGE,
    ),
    "transposed": (
        lambda **k: keras.layers.Conv2DTranspose(5, 4, strides=2, padding="same", **k),
        IMAGE,
    ),
    "transposed_valid": (
        lambda **k: keras.layers.Conv2DTranspose(2, (3, 2), strides=(2, 3), **k),
        IMAGE,
    ),
    "embedding": (lambda **k: keras.layers.Embedding(6, 4, **k), (None,)),
}


def make(kind, **kwargs):
    factory, shape = KINDS[kind]
    layer = SpectralNormalization(factory(**kwargs))
    layer.build(shape)
    return layer


def inputs_for(kind, batch=3, dtype=np.float32):
    rng = np.random.default_rng(0)
    shape = (batch, *KINDS[kind][1][1:])
    if kind == "embedding":
        return tf.constant(rng.integers(0, 6, batch))
    return tf.constant(rng.normal(size=shape).astype(dtype))


def kernel_of(layer):
    return layer.layer.embeddings if hasattr(layer.layer, "embeddings") else layer.layer.kernel


def matrix_of(layer):
    """Output channels last, all else in the rows."""
    kernel = kernel_of(layer).numpy()
    if isinstance(layer.layer, keras.layers.Conv2DTranspose):
        kernel = np.moveaxis(kernel, 2, 3)
    return kernel.reshape(-1, kernel.shape[-1])


def set_random_kernel(layer, seed=1):
    kernel = kernel_of(layer)
    kernel.assign(np.random.default_rng(seed).normal(size=kernel.shape).astype(np.float32))
