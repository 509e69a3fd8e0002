"""Windows resized to the whole, place by place in NumPy."""

import math

import hypothesis
import numpy as np
import tensorflow as tf

SETTINGS = hypothesis.settings(max_examples=10)
PAD_MODES = {"constant": "constant", "reflect": "reflect", "nearest": "edge"}


def padded(image, fill, fill_value=0.0):
    """Pixel (y, x) of an image, also outside it, in float64."""
    height, width, _ = image.shape
    top, left = 3 * height + 4, 3 * width + 4
    extra = {"constant_values": fill_value} if fill == "constant" else {}
    pads = [(top, top), (left, left), (0, 0)]
    canvas = np.pad(image.astype("float64"), pads, PAD_MODES[fill], **extra)
    return lambda y, x: canvas[top + y, left + x]


def numpy_place(pixel, row, column, reach_y, reach_x):
    """The mean around one place, weighted by how near a pixel is."""
    value, total = 0.0, 0.0
    for y in range(math.floor(row - reach_y), math.ceil(row + reach_y) + 1):
        for x in range(math.floor(column - reach_x), math.ceil(column + reach_x) + 1):
            weight = max(0, 1 - abs(y - row) / reach_y) * max(0, 1 - abs(x - column) / reach_x)
            value = value + weight * pixel(y, x)
            total += weight
    return value / total


def numpy_window(images, top, left, height, width, fill, fill_value=0.0):
    """Each window, bilinear where it grows and averaged over its own places where it shrinks."""
    output = np.zeros(images.shape)
    _, rows, columns, _ = images.shape
    for n, image in enumerate(images):
        pixel = padded(image, fill, fill_value)
        for y in range(rows):
            for x in range(columns):
                row = top[n] * rows + (y + 0.5) * height[n] - 0.5
                column = left[n] * columns + (x + 0.5) * width[n] - 0.5
                reaches = max(height[n], 1.0), max(width[n], 1.0)
                output[n, y, x] = numpy_place(pixel, row, column, *reaches)
    return output


def tensors(*arrays):
    return [tf.constant(array, tf.float32) for array in arrays]


def draw_images(rng, height, width, channels=3, batch=3):
    return rng.normal(0, 2, (batch, height, width, channels)).astype("float32")
