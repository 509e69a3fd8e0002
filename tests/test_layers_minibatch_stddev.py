import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import MinibatchStddev


def reference(inputs, group, maps=1):
    batch, height, width, _ = inputs.shape
    appended = np.zeros((batch, height, width, maps))
    for start in range(0, batch, group):
        members = inputs[start : start + group]
        spread = np.sqrt(members.var(axis=0) + 1e-8)
        for index, part in enumerate(np.split(spread, maps, axis=-1)):
            appended[start : start + group, :, :, index] = part.mean()
    return np.concatenate([inputs, appended], axis=-1)


def values(batch, channels=6):
    scale = np.arange(1, batch + 1)[:, None, None, None]
    return np.random.default_rng(0).normal(size=(batch, 3, 2, channels)) * scale


@pytest.mark.parametrize(
    ("batch", "size", "group"), [(8, 4, 4), (6, 4, 3), (5, 4, 1), (2, 4, 2), (1, 4, 1), (8, 1, 1)]
)
@pytest.mark.parametrize("maps", [1, 2])
def test_the_definition_over_contiguous_groups(batch, size, group, maps):
    layer = MinibatchStddev(size, num_new_features=maps, dtype="float64")
    inputs = values(batch)
    expected = reference(inputs, group, maps)
    np.testing.assert_allclose(layer(tf.constant(inputs)), expected, atol=1e-12)
    assert layer.compute_output_shape(inputs.shape) == expected.shape
    spec = tf.TensorSpec((None, *inputs.shape[1:]), tf.float64)
    for compiled in (False, True):
        graph = tf.function(layer, input_signature=[spec], jit_compile=compiled)
        np.testing.assert_allclose(graph(inputs), expected, atol=1e-12)
    assert graph.get_concrete_function().output_shapes.as_list() == [None, *expected.shape[1:]]


def test_views_of_a_batch_do_not_see_each_other():
    layer = MinibatchStddev(4)
    first, second = np.split(values(16).astype(np.float32), 2)
    together = layer(tf.concat([first, second], axis=0))
    np.testing.assert_array_equal(together, tf.concat([layer(first), layer(second)], axis=0))


def test_equal_images_have_finite_derivatives():
    inputs = tf.ones((4, 3, 2, 6))
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            outputs = MinibatchStddev()(inputs)
        first = inner.gradient(outputs, inputs)
        norm = tf.reduce_sum(first**2)
    assert np.all(np.isfinite(first))
    assert np.all(np.isfinite(outer.gradient(norm, inputs)))


def test_statistics_are_float32_under_mixed_precision():
    # Of bfloat16's eight bits, squares of numbers near 100 leave nothing of this spread.
    inputs = tf.constant(100.0 + np.arange(8).reshape(4, 1, 1, 2) % 2, tf.bfloat16)
    inputs += tf.reshape(tf.constant([0.0, 1.0, 0.0, 1.0], tf.bfloat16), (4, 1, 1, 1))
    outputs = MinibatchStddev(dtype="mixed_bfloat16")(inputs)
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs[..., -1], tf.float32), 0.5, rtol=0.01)


def test_config_round_trip():
    layer = MinibatchStddev(3, num_new_features=2)
    copy = MinibatchStddev.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="group_size=0"):
        MinibatchStddev(0)
    with pytest.raises(ValueError, match="num_new_features=0"):
        MinibatchStddev(num_new_features=0)
    with pytest.raises(ValueError, match="divide the channels"):
        MinibatchStddev(num_new_features=4)(tf.ones((4, 2, 2, 6)))
