import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import SelfAttention, SpectralNormalization, advance_power_iteration

# Keras 3 hands TensorFlow's variables to NumPy 2 when it saves them.
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"
SHAPE = (2, 6, 4, 16)


def batch(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def built(shape=SHAPE, gain=0.7, **kwargs):
    layer = SelfAttention(
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.3), seed=0, **kwargs
    )
    layer.build((None, *shape[1:]))
    layer.gain.assign(gain)
    advance_power_iteration(layer, 200)
    return layer


def restated(layer, inputs):
    """In float64, one image and one position at a time."""
    inputs = inputs.astype(np.float64)
    kernels = {}
    for name in ("theta", "phi", "g", "o"):
        kernel = getattr(layer, name).layer.kernel.numpy().astype(np.float64)[0, 0]
        kernels[name] = kernel / np.linalg.svd(kernel)[1][0]
    outputs = np.empty_like(inputs)
    _, rows, cols, _ = inputs.shape
    for image, output in zip(inputs, outputs, strict=True):
        keys, values = [], []
        for row in range(0, rows, 2):
            for col in range(0, cols, 2):
                patch = image[row : row + 2, col : col + 2].reshape(4, -1)
                keys.append((patch @ kernels["phi"]).max(0))
                values.append((patch @ kernels["g"]).max(0))
        for row in range(rows):
            for col in range(cols):
                scores = np.array(keys) @ (image[row, col] @ kernels["theta"])
                shares = np.exp(scores - scores.max())
                attended = (shares / shares.sum()) @ np.array(values)
                output[row, col] = image[row, col] + layer.gain.numpy() * (attended @ kernels["o"])
    return outputs


@pytest.mark.parametrize("shape", [SHAPE, (3, 2, 2, 5)])
def test_against_numpy(shape):
    layer, inputs = built(shape), 3.0 * batch(shape)
    np.testing.assert_allclose(layer(inputs), restated(layer, inputs), rtol=1e-4, atol=1e-4)


def test_the_published_weights():
    layer = built()
    shapes = {name: getattr(layer, name).layer.kernel.shape for name in ("theta", "phi", "g", "o")}
    assert shapes == {
        "theta": (1, 1, 16, 2),
        "phi": (1, 1, 16, 2),
        "g": (1, 1, 16, 8),
        "o": (1, 1, 8, 16),
    }
    assert len(layer.trainable_weights) == 5
    for name in shapes:
        assert isinstance(getattr(layer, name), SpectralNormalization)
    assert len({w.numpy().ravel()[0] for w in layer.trainable_weights}) == 5


def test_it_starts_as_the_identity():
    layer = SelfAttention()
    np.testing.assert_array_equal(layer(batch()), batch())


def test_second_derivatives():
    layer, inputs = built(dtype="float64"), tf.constant(batch(), tf.float64)
    direction = tf.constant(batch(seed=3), tf.float64)

    def penalty(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(tf.sin(layer(inputs)))
        return tf.reduce_sum(tape.gradient(loss, inputs) ** 2)

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = penalty(inputs)
    found = tf.reduce_sum(tape.gradient(value, inputs) * direction)
    step = 1e-6
    change = (penalty(inputs + step * direction) - penalty(inputs - step * direction)) / (2 * step)
    np.testing.assert_allclose(found, change, rtol=1e-5)


def test_mixed_precision():
    layer, precise, inputs = built(dtype="mixed_bfloat16"), built(), batch()
    outputs = layer(tf.cast(inputs, "bfloat16"))
    assert outputs.dtype == "bfloat16"
    assert {w.dtype for w in layer.get_weights()} == {np.dtype("float32")}
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), precise(inputs), rtol=0.05, atol=0.05)


def test_graph_xla_and_an_unknown_batch_size():
    layer, inputs = built(), batch()
    spec = tf.TensorSpec((None, *SHAPE[1:]))
    graph = tf.function(lambda x: layer(x), input_signature=[spec])
    assert graph.get_concrete_function().output_shapes == (None, *SHAPE[1:])
    compiled = tf.function(lambda x: layer(x), jit_compile=True)
    for outputs in (graph(inputs), compiled(inputs)):
        np.testing.assert_allclose(outputs, layer(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings(ARRAY_COPY)
def test_saving(tmp_path):
    layer = built()
    network = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.layers[0].get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded(batch()), network(batch()))


@pytest.mark.parametrize("shape", [(None, 5, 4, 8), (None, None, 4, 8), (None, 4, 4, None)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="must be known and even"):
        SelfAttention().build(shape)
