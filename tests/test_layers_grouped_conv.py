"""The grouped convolution, in both of its forms, against sums by hand."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import GroupedConv2D, grouped_conv

DTYPES = ("float16", "bfloat16", "float32", "float64")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def by_hand(images, kernel, groups, padding="same", stride=1):
    """Number by number, in float64."""
    rows, cols, inputs, filters = kernel.shape
    if padding == "same" and stride == 1:
        before = [(size // 2, size - 1 - size // 2) for size in (rows, cols)]
        images = np.pad(images, [(0, 0), *before, (0, 0)])
    height = (images.shape[1] - rows) // stride + 1
    width = (images.shape[2] - cols) // stride + 1
    outputs = np.zeros((len(images), height, width, filters))
    for channel in range(filters):
        group = channel // (filters // groups)
        seen = images[..., group * inputs : (group + 1) * inputs]
        for y in range(height):
            for x in range(width):
                window = seen[:, y * stride :, x * stride :][:, :rows, :cols]
                outputs[:, y, x, channel] = np.sum(window * kernel[..., channel], axis=(1, 2, 3))
    return outputs


def layer_of(kernel, groups, dtype="float64", **kwargs):
    """The layer with a kernel and no bias."""
    layer = GroupedConv2D(
        kernel.shape[3], kernel.shape[:2], groups=groups, use_bias=False, dtype=dtype, **kwargs
    )
    layer.build((None, 6, 5, kernel.shape[2] * groups))
    layer.set_weights([kernel])
    return layer


def in_one_form(monkeypatch, form):
    if form == "one operation":
        if not grouped_conv._cpu_has_gradients("float32"):
            pytest.skip("This TensorFlow has no gradient of the one operation on a CPU.")
        monkeypatch.setattr(grouped_conv, "_is_differentiable", lambda inputs: True)
    elif form == "separately":
        monkeypatch.setattr(grouped_conv, "_is_differentiable", lambda inputs: False)


@pytest.mark.parametrize("form", ["one operation", "separately"])
@pytest.mark.parametrize(
    ("groups", "inputs", "filters", "options"),
    [
        (1, 3, 4, {}),
        (3, 2, 3, {}),
        (6, 1, 12, {"strides": 2, "padding": "valid"}),
        (4, 16, 4, {}),
    ],
)
def test_by_hand(monkeypatch, form, groups, inputs, filters, options):
    in_one_form(monkeypatch, form)
    images, kernel = numbers(2, 6, 5, groups * inputs), numbers(3, 3, inputs, filters, seed=1)
    layer = layer_of(kernel, groups, "float32", **options)
    padding, stride = options.get("padding", "same"), options.get("strides", 1)
    expected = by_hand(images, kernel, groups, padding, stride)
    outputs = layer(tf.constant(images, tf.float32))
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    assert tuple(layer.compute_output_shape(images.shape)) == outputs.shape


def test_a_bias_and_an_activation():
    layer = GroupedConv2D(6, groups=3, activation="relu", bias_initializer="ones")
    images = tf.constant(numbers(2, 4, 4, 6), tf.float32)
    plain = layer_of(layer(images) is not None and layer.get_weights()[0], 3, "float32")
    np.testing.assert_allclose(layer(images), tf.nn.relu(plain(images) + 1.0), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 4, 6, 16, 1000])
def test_neighbours_may_be_joined(channels):
    # Six groups of two channels: up to 1, 2, 3, 6 and 6 of them in one.
    images, kernel = numbers(2, 6, 5, 12), numbers(3, 3, 2, 18, seed=1)
    seen = []

    def convolve(inputs, kernel):
        seen.append(kernel.shape[2])
        return tf.nn.conv2d(inputs, kernel, 1, "SAME")

    outputs = grouped_conv.separately(
        tf.constant(images), tf.constant(kernel), 6, convolve=convolve, joined_channels=channels
    )
    np.testing.assert_allclose(outputs, by_hand(images, kernel, 6), rtol=1e-9, atol=1e-9)
    assert sum(seen) == 12
    assert max(seen) <= max(2, channels)
    assert (len(seen) == 1) == (channels >= 12)


# First and second order: what R1 takes.


def derivatives(layer, images, upstream):
    """The gradients, and those of the sum of their squares."""
    watched = [images, *layer.trainable_weights]
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            total = tf.reduce_sum(layer(images) * upstream)
        first = inner.gradient(total, [images, *layer.trainable_weights])
        squares = sum(tf.reduce_sum(gradient**2) for gradient in first)
    return first, squares, outer.gradient(squares, watched)


def arguments(dtype, groups=3):
    images, kernel = numbers(2, 4, 5, 2 * groups), numbers(3, 3, 2, 3 * groups, seed=1)
    upstream = numbers(2, 4, 5, 3 * groups, seed=2)
    return layer_of(kernel, groups, dtype), tf.constant(images, dtype), tf.constant(upstream, dtype)


def test_gradients_by_differences():
    layer, images, upstream = arguments("float64")
    first, _, second = derivatives(layer, images, upstream)
    step, kernel = 1e-5, layer.get_weights()[0]
    ways = [numbers(*images.shape, seed=3), numbers(*kernel.shape, seed=4)]

    def ends(sign, which):
        moved = images + sign * step * ways[0] * (which == 0)
        layer.set_weights([kernel + sign * step * ways[1] * (which == 1)])
        total = float(tf.reduce_sum(layer(moved) * upstream))
        return np.array([total, float(derivatives(layer, moved, upstream)[1])])

    for which, way in enumerate(ways):
        slopes = (ends(1.0, which) - ends(-1.0, which)) / (2.0 * step)
        found = [np.sum(gradients[which] * way) for gradients in (first, second)]
        np.testing.assert_allclose(found, slopes, rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_precision_has_gradients_of_both_orders(dtype, mode):
    layer, images, upstream = arguments(dtype)
    run = functools.partial(derivatives, layer)
    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    found = tf.nest.flatten(run(images, upstream))
    exact, exact_images, exact_upstream = arguments("float64")
    expected = tf.nest.flatten(derivatives(exact, exact_images, exact_upstream))
    room = {"float64": 1e-9, "float32": 1e-4, "float16": 0.02, "bfloat16": 0.1}[dtype]
    for ours, theirs in zip(found, expected, strict=True):
        scale = np.max(np.abs(theirs))
        np.testing.assert_allclose(np.asarray(ours, np.float64) / scale, theirs / scale, atol=room)


def test_both_forms_have_the_same_derivatives(monkeypatch):
    found = []
    for form in ("one operation", "separately"):
        in_one_form(monkeypatch, form)
        found.append(tf.nest.flatten(derivatives(*arguments("float32", groups=20))))
    for one, other in zip(*found, strict=True):
        scale = np.max(np.abs(one))
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-5)


def test_the_form_is_chosen_by_the_device_and_the_precision(monkeypatch):
    known = {"float32": True, "float16": False}
    monkeypatch.setattr(grouped_conv, "_cpu_has_gradients", known.get)

    class Inputs:
        def __init__(self, device, dtype):
            self.device, self.dtype = device, tf.as_dtype(dtype)

    def chosen(device, dtype):
        return grouped_conv._is_differentiable(Inputs(device, dtype))

    on_cpu = "/job:localhost/replica:0/task:0/device:CPU:1"
    assert [chosen(on_cpu, dtype) for dtype in known] == [True, False]
    assert [chosen("/device:GPU:0", dtype) for dtype in known] == [True, True]
    assert [chosen("/device:TPU:3", dtype) for dtype in known] == [True, True]
    # Of no device yet: where TensorFlow will place it.
    for gpus, expected in (([], [True, False]), (["GPU:0"], [True, True])):
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind, gpus=gpus: gpus)
        assert [chosen("", dtype) for dtype in known] == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_more_operations_than_the_form_has(dtype):
    layer = layer_of(numbers(3, 3, 8, 40), 5, dtype)
    spec = tf.TensorSpec((2, 4, 4, 40), dtype)
    kinds = [
        op.type for op in tf.function(layer).get_concrete_function(spec).graph.get_operations()
    ]
    # 5 groups of 8 channels do not join to 32: 5 is a prime.
    assert kinds.count("Conv2D") == (1 if grouped_conv._cpu_has_gradients(dtype) else 5)
    assert not [kind for kind in kinds if "Call" in kind]


def test_unknown_sizes_and_a_config():
    kernel = numbers(3, 3, 2, 6, seed=1)
    layer = layer_of(kernel, 3, "float32")
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 6))])
    for shape in ((1, 4, 4, 6), (3, 5, 2, 6)):
        images = tf.constant(numbers(*shape), tf.float32)
        np.testing.assert_allclose(graph(images), layer(images), atol=1e-5)
    copy = GroupedConv2D.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert (copy.groups, copy.filters) == (3, 6)
    symbol = keras.Input((4, 4, 6))
    functional = keras.Model(symbol, layer(symbol))
    images = tf.constant(numbers(2, 4, 4, 6), tf.float32)
    np.testing.assert_allclose(functional(images), layer(images), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"filters": 5, "groups": 2}, "groups"),
        ({"filters": 4, "groups": 2, "data_format": "channels_first"}, "channels last"),
    ],
)
def test_wrong_arguments_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        GroupedConv2D(**wrong)


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="divisible by the number of groups"):
        GroupedConv2D(4, groups=4).build((None, 4, 4, 6))
