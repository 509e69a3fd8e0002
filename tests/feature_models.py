"""Images, and models of their features as users save them."""

import warnings

import keras
import numpy as np


def some_images(count=6, size=32, channels=3, seed=0):
    shape = (count, size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def make_model(size=24, channels=3):
    inputs = keras.Input((size, size, channels))
    outputs = keras.layers.Conv2D(5, 3, activation="relu")(inputs)
    return keras.Model(inputs, outputs)


def save(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras 3 with NumPy 2 warns of its own conversion
        model.save(path)
