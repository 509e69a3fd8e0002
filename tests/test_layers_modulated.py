import math

import numpy as np
import pytest
import tensorflow as tf

from tests.test_layers_equalized import convolve, randomized
from tests.test_layers_resample import upfirdn
from tf_diffaug.layers import ModulatedConv2D


def direct(layer, images, styles):
    """Each image convolved with a kernel of its own."""
    affine = layer.affine
    scales = styles @ affine.kernel.numpy() / math.sqrt(styles.shape[1]) + affine.bias.numpy()
    kernel = layer.kernel.numpy().astype(np.float64)
    if layer.up:
        # Of a transposed convolution: turned, and with the channels the other way round.
        kernel = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    kernel = kernel / math.sqrt(np.prod(kernel.shape[:3]))
    outputs = []
    for image, scale in zip(images, scales, strict=True):
        own = kernel * scale[:, None]
        if layer.demodulate:
            own = own / np.sqrt((own**2).sum(axis=(0, 1, 2)) + 1e-8)
        image, side = image[None], layer.kernel_size // 2
        if layer.up:
            spread = np.zeros((1, 2 * image.shape[1] - 1, 2 * image.shape[2] - 1, image.shape[3]))
            spread[:, ::2, ::2] = image
            image, side = spread, 2
        image = np.pad(image, ((0, 0), (side, side), (side, side), (0, 0)))
        output = convolve(image, own)
        outputs.append(upfirdn(output, 1, 1, 1, 1, 4.0) if layer.up else output)
    return layer.gain * np.concatenate(outputs)


def inputs_of(channels=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 4, 6, channels)), rng.normal(size=(3, 7))


@pytest.mark.parametrize(
    ("size", "up", "demodulate", "gain"),
    [(3, False, True, 1.4), (3, True, True, 1.4), (1, False, False, 1.0), (3, True, False, 0.5)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_direct_convolution_of_each_image(size, up, demodulate, gain, dtype):
    layer = ModulatedConv2D(4, size, up=up, demodulate=demodulate, gain=gain, seed=0, dtype=dtype)
    images, styles = inputs_of()
    randomized(layer, (images.shape, styles.shape))
    expected = direct(layer, images, styles)
    outputs = layer((tf.constant(images, dtype), tf.constant(styles, dtype)))
    np.testing.assert_allclose(outputs, expected, atol=1e-5 if dtype == "float32" else 1e-11)
    assert layer.compute_output_shape((images.shape, styles.shape)) == outputs.shape


def test_demodulated_outputs_have_unit_variance():
    layer = ModulatedConv2D(16, 3, seed=0)
    images = tf.random.stateless_normal((6, 34, 34, 64), (0, 1))
    # Styles of any size: modulation alone would show it.
    styles = tf.random.stateless_normal((6, 32), (0, 2)) * 5.0
    inside = layer((images, styles))[:, 1:-1, 1:-1].numpy()
    np.testing.assert_allclose(inside.var(axis=(1, 2)).mean(), 1.0, atol=0.02)
    np.testing.assert_allclose(inside.var(axis=(1, 2)), 1.0, atol=0.2)


def test_initial_weights():
    layer = ModulatedConv2D(32, 3, seed=0)
    layer.build(((None, 4, 4, 32), (None, 64)))
    np.testing.assert_allclose(layer.kernel.numpy().std(), 1.0, rtol=0.03)
    np.testing.assert_allclose(layer.affine.kernel.numpy().std(), 1.0, rtol=0.05)
    np.testing.assert_array_equal(layer.affine.bias.numpy(), 1.0)
    kernel, affine = layer.kernel.numpy().ravel(), layer.affine.kernel.numpy().ravel()
    assert not np.any(kernel[:100] == affine[:100])


@pytest.mark.parametrize("run", ["graph", "xla"])
def test_second_derivatives(run):
    """Of |d outputs / d styles|², as path-length regularisation needs them."""
    layer = ModulatedConv2D(4, 3, up=True, seed=0, dtype="float64")
    images, styles = inputs_of()
    images, styles = tf.constant(images), tf.constant(styles)
    randomized(layer, (images.shape, styles.shape))

    def penalty(styles):
        with tf.GradientTape() as tape:
            tape.watch(styles)
            loss = tf.reduce_sum(layer((images, styles)) ** 2)
        return tf.reduce_sum(tape.gradient(loss, styles) ** 2)

    @tf.function(jit_compile=run == "xla")
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(styles)
            value = penalty(styles)
        return tape.gradient(value, [styles, *layer.trainable_weights])

    found = gradients()
    rng = np.random.default_rng(2)
    direction = rng.normal(size=styles.shape)
    step = 1e-5
    slope = (penalty(styles + step * direction) - penalty(styles - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.sum(found[0] * direction), slope, rtol=1e-6)
    for weight, gradient in zip(layer.trainable_weights, found[1:], strict=True):
        direction, value = rng.normal(size=weight.shape), weight.numpy()
        weight.assign(value + step * direction)
        above = penalty(styles)
        weight.assign(value - step * direction)
        slope = (above - penalty(styles)) / (2 * step)
        weight.assign(value)
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6, err_msg=run)


def test_mixed_precision_keeps_styles_in_float32():
    layer = ModulatedConv2D(4, 3, seed=0, dtype="mixed_bfloat16")
    precise = ModulatedConv2D(4, 3, seed=0)
    images, styles = (tf.constant(values, tf.float32) for values in inputs_of())
    outputs, expected = layer((images, styles)), precise((images, styles))
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, atol=0.05)
    # Styles that bfloat16 cannot tell apart.
    scales = [layer.affine(styles * factor).numpy() for factor in (1.0, 1.0005)]
    assert scales[0].dtype == np.float32
    assert np.all(scales[0] != scales[1])


def test_config_round_trip():
    layer = ModulatedConv2D(4, 3, up=True, demodulate=False, gain=0.5, seed=3)
    copy = ModulatedConv2D.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    inputs = tuple(tf.constant(values, tf.float32) for values in inputs_of())
    np.testing.assert_array_equal(copy(inputs), layer(inputs))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"filters": 0, "kernel_size": 3}, "filters=0"),
        ({"filters": 1, "kernel_size": 2}, "kernel_size=2"),
        ({"filters": 1, "kernel_size": 1, "up": True}, "kernel_size=1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        ModulatedConv2D(**arguments)
