"""What the layers add to the ops: range, clipping, dtype, seeds, counter, errors."""

import copy
import pickle
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import AugmentationLayer, Brightness, Cutout, DiffAugment, Translation


def images_of(shape=(4, 8, 8, 3)):
    return tf.random.stateless_uniform(shape, [1, 2], -1, 1)


def test_brightness_is_in_units_of_the_value_range():
    params = {"delta": tf.constant([0.25])}
    for value_range, expected in (((-1, 1), 0.5), ((0, 1), 0.25), ((0, 255), 63.75)):
        output = Brightness(value_range=value_range).apply(tf.zeros([1, 2, 2, 3]), params)
        np.testing.assert_allclose(output, expected)


def test_black_is_the_lower_end_of_the_range_and_zero_is_zero():
    images = tf.ones([1, 4, 4, 3])
    for fill, value_range, expected in (
        ("zero", (-1, 1), 0.0),
        ("black", (-1, 1), -1.0),
        ("black", (0, 255), 0.0),
    ):
        box = Cutout(1.0, fill=fill, value_range=value_range)
        assert box(images).numpy().min() == expected
        moved = Translation(1.0, fill=fill, value_range=value_range)
        output = moved.apply(images, {"dy": tf.constant([1.0]), "dx": tf.constant([0.0])})
        np.testing.assert_array_equal(output, np.full_like(output, expected))


def test_clips_only_when_asked():
    images = images_of()
    assert np.abs(DiffAugment("color", seed=0)(images)).max() > 1
    assert np.abs(DiffAugment("color", seed=0, clip=True)(images)).max() <= 1


def test_the_empty_policy_is_the_identity():
    for text in ("none", ""):
        layer = DiffAugment(text, seed=0)
        np.testing.assert_array_equal(layer(images_of()), images_of())
        assert layer.sample((4, 8, 8, 3), 1) == []


def test_an_unseeded_layer_has_a_seed_of_its_own():
    first, second = DiffAugment("color"), DiffAugment("color")
    assert first.seed != second.seed
    assert first.get_config()["seed"] == first.seed


def test_seed_zero_is_a_seed():
    assert DiffAugment("color", seed=0).seed == 0
    a, b = (DiffAugment("color", seed=1)(images_of(), seed=seed) for seed in (0, 1))
    assert not np.array_equal(a, b)


def test_only_bare_calls_count():
    layer = DiffAugment("color", seed=0)
    layer(images_of(), seed=3)
    layer(images_of(), training=False)
    assert int(tf.convert_to_tensor(layer.calls)) == 0
    layer(images_of())
    assert int(tf.convert_to_tensor(layer.calls)) == 1
    assert not layer.trainable_weights
    assert len(layer.weights) == 1


def test_parameters_get_no_gradient():
    layer = DiffAugment("color,translation,cutout", seed=0)
    params = layer.sample((4, 8, 8, 3), 1)
    flat = tf.nest.flatten(params)
    with tf.GradientTape() as tape:
        tape.watch(flat)
        loss = tf.reduce_sum(layer.apply(images_of(), params))
    assert tape.gradient(loss, flat) == [None] * len(flat)


def test_the_batch_may_be_empty():
    assert DiffAugment("color,translation,cutout")(tf.zeros([0, 8, 8, 3])).shape == (0, 8, 8, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_format": "NCHW"}, "channels_last, channels_first. Received: data_format='NCHW'"),
        ({"value_range": (1, -1)}, "Received: value_range="),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        DiffAugment("color", **arguments)


def test_images_are_checked():
    layer = DiffAugment("color")
    with pytest.raises(
        ValueError, match=r"Rescaling\(1 / 127.5, offset=-1\).*Received: images.dtype=uint8"
    ):
        layer.apply(tf.zeros([1, 2, 2, 3], tf.uint8), [])
    with pytest.raises(ValueError, match=r"\(N, H, W, C\) or one"):
        layer.apply(tf.zeros([2, 3]), [])


class Doubled(AugmentationLayer):
    """A user's own layer: one method to draw, one to apply."""

    def sample(self, shape, seed):
        return tf.ones([shape[0]])

    def apply_params(self, images, params):
        return images * 2 * params[:, None, None, None]


def test_a_users_own_layer():
    np.testing.assert_array_equal(Doubled()(images_of()), 2 * images_of())
    first = Doubled(data_format="channels_first")
    assert first(images_of((2, 3, 4, 5))).shape == (2, 3, 4, 5)


def test_a_layer_without_a_seed_obeys_keras_set_random_seed():
    seeds = []

    def draw():
        for _ in range(2):
            keras.utils.set_random_seed(3)
            seeds.append([Brightness().seed, DiffAugment("color").seed])

    # In a thread, of which Keras 2 keeps the seed: its own draws give a warning after it.
    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 2


def test_integers_of_numpy_and_scalar_tensors_are_seeds():
    images = images_of()
    expected = DiffAugment("color", seed=7)
    for seed in (np.int64(7), np.uint8(7), tf.constant(7), tf.constant(7, tf.int64)):
        layer = DiffAugment("color", seed=seed)
        assert layer.get_config()["seed"] == 7
        np.testing.assert_array_equal(layer(images, seed=seed), expected(images, seed=7))
    big = 2**40 + 5
    np.testing.assert_array_equal(
        expected(images, seed=tf.constant(big, tf.int64)), expected(images, seed=big)
    )
    for wrong in (0.5, "one"):
        with pytest.raises(ValueError, match=r"A seed is an integer. Received: seed="):
            DiffAugment("color", seed=wrong)
    with pytest.raises(ValueError, match="A seed is an integer or integers of shape"):
        random.as_seed(0.5)


def test_the_dtype_that_is_asked_for_is_obeyed():
    for text in ("color,translation", "none"):
        layer = DiffAugment(text, dtype="float16", seed=0)
        for training in (True, False):
            assert layer(images_of(), training=training).dtype == "float16"
        twin = DiffAugment.from_config(layer.get_config())
        assert twin(images_of()).dtype == "float16"
        assert keras.Sequential([keras.Input([8, 8, 3]), layer]).output_shape == (None, 8, 8, 3)
    free = Brightness.from_config(Brightness(seed=0).get_config())
    for dtype in ("float16", "float64"):
        assert free(tf.cast(images_of(), dtype)).dtype == dtype


def test_the_data_format_is_keras_global_one_unless_given():
    keras.backend.set_image_data_format("channels_first")
    try:
        assert Brightness(seed=0).data_format == "channels_first"
        assert Brightness(data_format="channels_last").data_format == "channels_last"
    finally:
        keras.backend.set_image_data_format("channels_last")
    assert Brightness().get_config()["data_format"] == "channels_last"


def test_the_representation_shows_the_policy():
    assert repr(DiffAugment(["color", "cutout:0.25"], name="a")) == (
        "<DiffAugment('color,cutout:0.25'), name=a>"
    )
    assert repr(Cutout(0.25, name="b")) == "<Cutout(strength=0.25, fill='zero'), name=b>"


def test_a_single_image_is_a_batch_of_one():
    image = images_of()[0]
    for text in ("color,translation,cutout", "cutmix:0.4,rotation:0.2"):
        for data_format in ("channels_last", "channels_first"):
            layer = DiffAugment(text, seed=0, data_format=data_format)
            expected = layer(image[None], seed=1)[0]
            np.testing.assert_array_equal(layer(image, seed=1), expected)
            assert layer(image).shape == image.shape
    layer = Cutout(seed=0)
    params = layer.sample((1, 8, 8, 3), 2)
    np.testing.assert_array_equal(layer.apply(image, params), layer.apply(image[None], params)[0])


def test_uint8_images_are_refused_with_the_way():
    images = tf.zeros([2, 4, 4, 3], tf.uint8)
    with pytest.raises(ValueError, match=r"Rescaling\(1 / 127.5, offset=-1\)"):
        DiffAugment("color")(images)
    with pytest.raises(ValueError, match=r"Rescaling\(1 / 255, offset=0\)"):
        Brightness(value_range=(0, 1))(images)
    rescaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    assert DiffAugment("color")(rescaled).dtype == "float32"


def test_an_unknown_channel_count_gets_one_clear_line():
    def trace(shape, **arguments):
        layer = DiffAugment("color,translation", seed=0, **arguments)
        tf.function(lambda x: layer.apply(x, [])).get_concrete_function(tf.TensorSpec(shape))

    with pytest.raises(ValueError, match=r"has to know the number of channels"):
        trace([None, None, None, None])
    with pytest.raises(ValueError, match=r"has to know the number of channels"):
        trace([None, None, 8, 8], data_format="channels_first")


@pytest.mark.parametrize("batch", [None, 2])
def test_a_parallel_map_never_repeats_a_draw(batch):
    """A counter that is read and then written gave some two elements the same number."""
    layer = Brightness(seed=0)
    black = tf.zeros([1, 1, 1]) if batch is None else tf.zeros([batch, 1, 1, 1])
    data = tf.data.Dataset.from_tensors(black).repeat(2000).map(layer, num_parallel_calls=4)
    drawn = np.concatenate([np.ravel(x) for x in data.as_numpy_iterator()])
    assert len(np.unique(drawn)) == len(drawn)
    assert int(layer.calls) == 2000


# Keras 3 converts its variables with NumPy 2's older protocol when it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_copies_go_on_where_the_layer_stopped():
    layer = Cutout(0.25, fill="black", seed=4)
    twin = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(layer(images_of()), twin(images_of()))
    assert pickle.loads(pickle.dumps(Cutout)) is Cutout
    copied = copy.deepcopy(layer)
    np.testing.assert_array_equal(layer(images_of()), copied(images_of()))
