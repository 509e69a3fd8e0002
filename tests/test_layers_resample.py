import contextlib

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers.resample import blur, dense_upsampling, downsample, upsample

TAPS = np.array([1.0, 3.0, 3.0, 1.0])


def upfirdn(images, up, down, before, after, gain):
    """Zeros between the pixels, zeros around, the filter, and every `down`-th pixel."""
    batch, height, width, channels = images.shape
    spread = np.zeros((batch, up * height, up * width, channels))
    spread[:, ::up, ::up] = images
    pads = (before, after)
    spread = np.pad(spread, ((0, 0), pads, pads, (0, 0)))
    kernel = np.outer(TAPS, TAPS)
    kernel *= gain / kernel.sum()
    rows, columns = spread.shape[1] - 3, spread.shape[2] - 3
    filtered = sum(
        kernel[y, x] * spread[:, y : y + rows, x : x + columns] for y in range(4) for x in range(4)
    )
    return filtered[:, ::down, ::down]


OPS = {
    "blur": (lambda x: blur(x, padding=(1, 1)), lambda x: upfirdn(x, 1, 1, 1, 1, 1.0)),
    "blur_uneven": (
        lambda x: blur(x, padding=(3, 0), gain=2.0),
        lambda x: upfirdn(x, 1, 1, 3, 0, 2.0),
    ),
    "downsample": (downsample, lambda x: upfirdn(x, 1, 2, 1, 1, 1.0)),
    "downsample_gain": (
        lambda x: downsample(x, gain=3.0),
        lambda x: upfirdn(x, 1, 2, 1, 1, 3.0),
    ),
    "upsample": (upsample, lambda x: upfirdn(x, 2, 1, 2, 1, 4.0)),
    "upsample_gain": (lambda x: upsample(x, gain=0.5), lambda x: upfirdn(x, 2, 1, 2, 1, 2.0)),
}
every_op = pytest.mark.parametrize("name", OPS)


def images_of(shape=(2, 6, 8, 3)):
    return np.random.default_rng(0).normal(size=shape)


def matrix_of(op, shape):
    """The linear map of an op on one image of one channel."""
    count = int(np.prod(shape))
    basis = np.eye(count).reshape(count, *shape, 1)
    return op(basis).reshape(count, -1).T


@every_op
def test_the_definition(name):
    op, reference = OPS[name]
    np.testing.assert_allclose(op(tf.constant(images_of())), reference(images_of()), atol=1e-12)


@every_op
@pytest.mark.parametrize("run", ["eager", "graph", "xla"])
def test_derivatives_of_any_order(name, run):
    op, reference = OPS[name]
    matrix = matrix_of(reference, (4, 6))
    point = np.random.default_rng(1).normal(size=24)

    def third(x):
        with tf.GradientTape() as tape2:
            tape2.watch(x)
            with tf.GradientTape() as tape1:
                tape1.watch(x)
                value = tf.reduce_sum(op(tf.reshape(x, (1, 4, 6, 1))) ** 3)
            first = tape1.gradient(value, x)
            norm = tf.reduce_sum(first**2)
        return first, tape2.gradient(norm, x)

    if run != "eager":
        third = tf.function(third, jit_compile=run == "xla")
    first, second = third(tf.constant(point))
    outputs = matrix @ point
    expected = 3.0 * matrix.T @ outputs**2
    np.testing.assert_allclose(first, expected, atol=1e-10)
    hessian = 6.0 * matrix.T @ (outputs[:, None] * matrix)
    np.testing.assert_allclose(second, 2.0 * hessian @ expected, atol=1e-9)


@every_op
def test_dtypes_and_an_unknown_batch(name):
    op, reference = OPS[name]
    images = images_of()
    graph = tf.function(op, input_signature=[tf.TensorSpec((None, 6, 8, 3), tf.bfloat16)])
    found = graph(tf.cast(images, tf.bfloat16))
    assert found.dtype == tf.bfloat16
    expected = reference(images)
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, rtol=0.02, atol=0.06)
    shape = graph.get_concrete_function().output_shapes
    assert shape.as_list() == [None, *expected.shape[1:]]
    half = tf.cast(images, tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(half)
        outputs = op(half)
    gradient = tape.gradient(outputs, half)
    assert gradient.dtype == tf.bfloat16
    ones = np.ones((1, 6, 8, 1))
    expected = (matrix_of(reference, (6, 8)).T @ np.ones(reference(ones).size)).reshape(6, 8)
    np.testing.assert_allclose(tf.cast(gradient[1, :, :, 2], tf.float32), expected, rtol=0.02)


@pytest.mark.parametrize("op", [upsample, downsample, lambda x: blur(x, padding=(2, 1))])
def test_a_constant_stays_one_inside(op):
    outputs = op(tf.ones((1, 8, 8, 2)))
    np.testing.assert_allclose(outputs[:, 2:-2, 2:-2], 1.0, atol=1e-6)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"even.*\(1, 5, 4, 1\)"):
        downsample(tf.ones((1, 5, 4, 1)))
    for padding in ((4, 0), (0, -1)):
        with pytest.raises(ValueError, match="padding="):
            blur(tf.ones((1, 4, 4, 1)), padding=padding)


def test_a_dense_upsampling_is_the_same_in_ops_that_other_runtimes_have(rng):
    images = tf.constant(rng.normal(size=(2, 5, 6, 3)), tf.float32)

    def ops(context):
        @tf.function(autograph=False)
        def function(x):
            with context():
                return upsample(x, gain=1.5)

        graph = function.get_concrete_function(tf.TensorSpec((None, 5, 6, 3))).graph
        return function(images), {op.type for op in graph.get_operations()}

    (plain, plain_ops), (dense, dense_ops) = ops(contextlib.nullcontext), ops(dense_upsampling)
    assert "DepthwiseConv2dNativeBackpropInput" in plain_ops - dense_ops
    assert "Conv2DBackpropInput" in dense_ops - plain_ops
    assert not {"EnsureShape"} & (plain_ops | dense_ops)
    np.testing.assert_allclose(dense, plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(upsample(images, gain=1.5), plain, rtol=1e-6)
