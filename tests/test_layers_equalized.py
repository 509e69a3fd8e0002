import math

import numpy as np
import pytest
import tensorflow as tf

from tests.test_layers_resample import upfirdn
from tf_diffaug.layers import EqualizedConv2D, EqualizedDense


def randomized(layer, shape):
    """A layer whose bias is not 0."""
    layer.build(shape)
    rng = np.random.default_rng(3)
    for weight in layer.trainable_weights:
        weight.assign(weight.numpy() + rng.normal(size=weight.shape))
    return layer


def activated(values):
    return np.where(values > 0.0, values, 0.2 * values) * math.sqrt(2.0)


def convolve(images, kernel, stride=1):
    """A convolution without padding, in float64."""
    height, width = (length - len(kernel) + 1 for length in images.shape[1:3])
    return sum(
        images[:, y : y + height : stride, x : x + width : stride] @ kernel[y, x]
        for y in range(len(kernel))
        for x in range(len(kernel))
    )


@pytest.mark.parametrize("activate", [False, True])
@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_dense(activate, multiplier):
    layer = EqualizedDense(
        5, activate=activate, gain=0.7, lr_multiplier=multiplier, seed=0, dtype="float64"
    )
    randomized(layer, (None, 3))
    inputs = np.random.default_rng(0).normal(size=(4, 3))
    kernel, bias = (weight.numpy() * multiplier for weight in layer.trainable_weights)
    expected = inputs @ kernel / math.sqrt(3) + bias
    expected = 0.7 * (activated(expected) if activate else expected)
    np.testing.assert_allclose(layer(tf.constant(inputs)), expected, atol=1e-10)
    assert layer.compute_output_shape((None, 3)) == (None, 5)


def test_initial_weights():
    layer = EqualizedDense(200, lr_multiplier=0.01, bias_init=0.5, seed=0)
    layer.build((None, 200))
    np.testing.assert_allclose(layer.kernel.numpy().std(), 100.0, rtol=0.02)
    np.testing.assert_allclose(layer.bias.numpy(), 50.0)
    # As the outputs see it: variance 1 and the bias.
    outputs = layer(tf.random.stateless_normal((500, 200), (0, 1))).numpy()
    np.testing.assert_allclose(outputs.std(), 1.0, rtol=0.03)
    np.testing.assert_allclose(outputs.mean(), 0.5, atol=0.02)
    conv = EqualizedConv2D(64, 3, seed=0)
    conv.build((None, 8, 8, 64))
    np.testing.assert_allclose(conv.kernel.numpy().std(), 1.0, rtol=0.02)
    np.testing.assert_array_equal(conv.bias.numpy(), 0.0)
    other = EqualizedConv2D(64, 3, seed=1)
    other.build((None, 8, 8, 64))
    assert np.all(other.kernel.numpy() != conv.kernel.numpy())


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("activate", [False, True])
def test_convolution(size, down, activate):
    layer = EqualizedConv2D(
        4, size, down=down, activate=activate, gain=0.7, seed=0, dtype="float64"
    )
    randomized(layer, (None, 6, 8, 3))
    images = np.random.default_rng(0).normal(size=(2, 6, 8, 3))
    if down:
        # `conv_downsample_2d`: the padding of filter and kernel at once, then both.
        pad = (4 - 2) + (size - 1)
        padded = upfirdn(images, 1, 1, (pad + 1) // 2, pad // 2, 1.0)
    else:
        side = size // 2
        padded = np.pad(images, ((0, 0), (side, side), (side, side), (0, 0)))
    kernel = layer.kernel.numpy() / math.sqrt(size * size * 3)
    expected = convolve(padded, kernel, 2 if down else 1) + layer.bias.numpy()
    expected = 0.7 * (activated(expected) if activate else expected)
    outputs = layer(tf.constant(images))
    np.testing.assert_allclose(outputs, expected, atol=1e-10)
    assert layer.compute_output_shape((2, 6, 8, 3)) == outputs.shape


def test_without_a_bias():
    layer = EqualizedConv2D(4, 1, use_bias=False)
    layer.build((None, 6, 6, 3))
    assert len(layer.trainable_weights) == 1


@pytest.mark.parametrize(
    "layer",
    [
        EqualizedDense(5, activate=True, gain=0.5, lr_multiplier=0.1, bias_init=1.0, seed=3),
        EqualizedConv2D(5, 3, down=True, activate=True, gain=0.5, use_bias=False, seed=3),
    ],
    ids=["dense", "conv"],
)
def test_config_round_trip(layer):
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    shape = (2, 3) if isinstance(layer, EqualizedDense) else (2, 4, 4, 3)
    np.testing.assert_array_equal(copy(tf.ones(shape)), layer(tf.ones(shape)))


def test_mixed_precision():
    layer = EqualizedConv2D(4, 3, down=True, activate=True, seed=0, dtype="mixed_bfloat16")
    precise = EqualizedConv2D(4, 3, down=True, activate=True, seed=0)
    images = tf.random.stateless_normal((2, 8, 8, 3), (0, 1))
    outputs, expected = layer(images), precise(images)
    assert outputs.dtype == tf.bfloat16
    assert layer.kernel.dtype in (tf.float32, "float32")
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, atol=0.03)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: EqualizedDense(0), "units=0"),
        (lambda: EqualizedDense(1, lr_multiplier=0.0), "lr_multiplier=0.0"),
        (lambda: EqualizedConv2D(0, 3), "filters=0"),
        (lambda: EqualizedConv2D(1, 2), "kernel_size=2"),
        (lambda: EqualizedConv2D(1, -1), "kernel_size=-1"),
    ],
)
def test_wrong_arguments_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
