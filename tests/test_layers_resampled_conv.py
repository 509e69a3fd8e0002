import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import DownsampledConv2D, SpectralNormalization, UpsampledConv2D

# Keras 3 hands TensorFlow's variables to NumPy 2 when it saves them.
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"
SHAPE = (2, 6, 4, 3)
KINDS = [UpsampledConv2D, DownsampledConv2D]


def of_zeros(*args, **kwargs):
    return UpsampledConv2D(*args, upsampling="zeros", **kwargs)


WAYS = [*KINDS, of_zeros]


def batch(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE)


def convolved(images, kernel):
    rows, cols = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(images, ((0, 0), (rows, rows), (cols, cols), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], (1, 2))
    return np.einsum("bhwcij,ijcd->bhwd", windows, kernel)


def restated(kind, images, kernel):
    """Resampling and convolution one after the other, in float64."""
    if kind is UpsampledConv2D:
        return convolved(images.repeat(2, 1).repeat(2, 2), kernel)
    if kind is of_zeros:
        spread = np.zeros((images.shape[0], *(2 * s for s in images.shape[1:3]), images.shape[3]))
        spread[:, ::2, ::2] = images
        return convolved(spread, kernel)
    outputs = convolved(images, kernel)
    batch, rows, cols, channels = outputs.shape
    return outputs.reshape(batch, rows // 2, 2, cols // 2, 2, channels).mean((2, 4))


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("size", [1, 3, (5, 3)])
def test_against_numpy(kind, size):
    layer, images = kind(5, size, dtype="float64", bias_initializer="ones"), batch()
    outputs = layer(images)
    kernel = layer.kernel.numpy()
    assert kernel.shape[2:] == (3, 5)
    np.testing.assert_allclose(outputs, restated(kind, images, kernel) + 1.0, atol=1e-10)
    assert tuple(layer.compute_output_shape(SHAPE)) == outputs.shape


@pytest.mark.parametrize("kind", WAYS)
def test_gradients_are_those_of_the_two_steps(kind):
    layer, images = kind(5, dtype="float64"), tf.constant(batch())
    layer.build(SHAPE)

    def plain(images, kernel):
        if kind is not DownsampledConv2D:
            images = tf.repeat(tf.repeat(images, 2, 1), 2, 2)
        if kind is of_zeros:
            rows, cols = (np.arange(size) % 2 == 0 for size in images.shape[1:3])
            images *= np.outer(rows, cols)[..., None].astype(np.float64)
        outputs = tf.nn.conv2d(images, kernel, 1, "SAME")
        return tf.nn.avg_pool2d(outputs, 2, 2, "VALID") if kind is DownsampledConv2D else outputs

    kernel = tf.constant(layer.kernel.numpy())
    results = []
    for function in (lambda images, kernel: layer.convolution_op(images, kernel), plain):
        with tf.GradientTape() as outer:
            outer.watch([images, kernel])
            with tf.GradientTape() as inner:
                inner.watch(images)
                loss = tf.reduce_sum(tf.sin(function(images, kernel)))
            penalty = tf.reduce_sum(inner.gradient(loss, images) ** 2) + loss
        results.append(outer.gradient(penalty, [images, kernel]))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", WAYS)
def test_inside_spectral_normalization(kind):
    layer, images = SpectralNormalization(kind(5)), batch().astype(np.float32)
    layer.build(SHAPE)
    kernel = layer.layer.kernel.numpy() / layer.sigma().numpy()
    np.testing.assert_allclose(layer(images), restated(kind, images, kernel), atol=1e-5)
    assert tuple(layer.compute_output_shape(SHAPE)) == layer(images).shape


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.filterwarnings(ARRAY_COPY)
def test_saving(kind, tmp_path):
    network = keras.Sequential([keras.Input(SHAPE[1:]), kind(5)])
    images = batch().astype(np.float32)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(images), network(images))


@pytest.mark.parametrize("kind", WAYS)
def test_graph_xla_and_unknown_sizes(kind):
    layer, images = kind(5), tf.constant(batch(), tf.float32)
    expected = layer(images)
    graph = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, None, 3))])
    compiled = tf.function(lambda x: layer(x), jit_compile=True)
    for outputs in (graph(images), compiled(images)):
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    spec = tf.TensorSpec((None, *SHAPE[1:]))
    known = tf.function(lambda x: layer(x), input_signature=[spec])
    assert known.get_concrete_function().output_shapes == (None, *expected.shape[1:])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"kernel_size": 4},
        {"padding": "valid"},
        {"strides": 2},
        {"dilation_rate": 2},
        {"data_format": "channels_first"},
    ],
)
def test_wrong_arguments_are_refused(kind, wrong):
    with pytest.raises(ValueError, match=f"Received: {next(iter(wrong))}="):
        kind(4, **wrong)


def test_an_unknown_upsampling_is_refused():
    with pytest.raises(ValueError, match=r"one of .*Received: upsampling='bilinear'"):
        UpsampledConv2D(4, upsampling="bilinear")


def test_mixed_precision_with_zeros():
    plain, mixed = of_zeros(5), of_zeros(5, dtype="mixed_bfloat16")
    for layer in (plain, mixed):
        layer.build(SHAPE)
    mixed.set_weights(plain.get_weights())
    images = tf.constant(batch(), tf.float32)
    outputs = mixed(images)
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), plain(images), atol=0.05)


def test_odd_sizes_cannot_be_halved():
    with pytest.raises(ValueError, match="must be even"):
        DownsampledConv2D(4).build((None, 5, 4, 3))
