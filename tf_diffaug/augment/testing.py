"""The checks every augmentation layer must pass, for this package's layers and a user's own.

Each check takes `make`, a function that returns a fresh layer given keyword arguments of
`AugmentationLayer` (`seed`, `data_format`), and raises `AssertionError` where the layer fails:

    for check in CHECKS.values():
        check(lambda **kwargs: MyLayer(strength=0.3, **kwargs))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug.augment.layer import AugmentationLayer
from tf_diffaug.augment.testing_images import (
    SHAPE,
    TOLERANCE,
    Make,
    assert_close,
    differ,
    make_images,
    makes_of_ops,  # noqa: F401 - users look for it here
)


def _random(layer: AugmentationLayer) -> bool:
    """Whether it draws anything at all."""
    return bool(tf.nest.flatten(layer.sample(SHAPE, 3)))


def check_graph(make: Make) -> None:
    """Graph mode gives what eager mode gives."""
    layer, images = make(seed=0), make_images()
    graph = tf.function(lambda images: layer(images, seed=3))
    assert_close(graph(images), layer(images, seed=3))


def check_xla(make: Make) -> None:
    """XLA gives what eager mode gives from the same parameters, and can draw them."""
    layer, images = make(seed=0), make_images()
    params = layer.sample(SHAPE, 3)
    assert_close(
        tf.function(layer.apply, jit_compile=True)(images, params), layer.apply(images, params)
    )
    drawn = tf.function(lambda images: layer(images), jit_compile=True)
    assert differ(drawn(images), drawn(images)) == _random(layer)


def check_unknown_batch(make: Make) -> None:
    """One trace serves any batch size, with and without XLA."""
    layer = make(seed=0)
    signature = [tf.TensorSpec([None, *SHAPE[1:]], tf.float32)]
    for xla in (False, True):
        traced = tf.function(
            lambda images: layer(images, seed=3), input_signature=signature, jit_compile=xla
        )
        for batch in (1, 5):
            output = traced(make_images((batch, *SHAPE[1:])))
            assert output.shape == (batch, *SHAPE[1:])
        assert traced.get_concrete_function().structured_outputs.shape.as_list()[1:] == [*SHAPE[1:]]


def check_unknown_size(make: Make) -> None:
    """Height and width may be unknown when the graph is made."""
    layer = make(seed=0)
    signature = [tf.TensorSpec([None, None, None, 3], tf.float32)]
    traced = tf.function(lambda images: layer(images, seed=3), input_signature=signature)
    images = make_images()
    assert_close(traced(images), layer(images, seed=3))


def check_dtypes(make: Make) -> None:
    """Each floating dtype comes out as it went in, near the float32 result of the same numbers."""
    layer = make(seed=0)
    params = layer.sample(SHAPE, 3)
    for dtype, tolerance in TOLERANCE.items():
        images = make_images(dtype=dtype)
        expected = layer.apply(tf.cast(images, tf.float32), params)
        output = layer.apply(images, params)
        assert output.dtype == dtype
        assert layer(images).dtype == dtype
        assert_close(output, expected, tolerance)


def check_shapes(make: Make) -> None:
    """Odd and oblong images of 1, 3 and 4 channels keep their shape and stay finite."""
    layer = make(seed=0)
    for height, width in ((7, 5), (1, 9), (32, 16), (13, 13)):
        for channels in (1, 3, 4):
            images = make_images((2, height, width, channels))
            output = layer(images)
            assert output.shape == images.shape
            assert np.isfinite(output).all()


def check_data_format(make: Make) -> None:
    """Channels first is channels last, transposed."""
    images = make_images()
    expected = make(seed=0)(images, seed=3)
    first = make(seed=0, data_format="channels_first")
    output = first(tf.transpose(images, [0, 3, 1, 2]), seed=3)
    assert_close(tf.transpose(output, [0, 2, 3, 1]), expected)


def check_draws(make: Make) -> None:
    """Bare calls draw anew; a call with a seed, or of an equal layer, is a function of it."""
    layer, images = make(seed=0), make_images()
    first, second = layer(images), layer(images)
    if not _random(layer):
        assert not differ(first, second)
        return
    assert differ(first, second)
    twin = make(seed=0)
    assert not differ(first, twin(images))
    assert not differ(second, twin(images))
    assert differ(first, make(seed=1)(images))
    assert not differ(layer(images, seed=7), twin(images, seed=7))
    assert differ(layer(images, seed=7), layer(images, seed=8))
    if layer.mixes:  # of equal images nothing shows
        params = tf.nest.flatten(layer.sample(SHAPE, 7))
        rows = tf.concat([tf.reshape(value, [SHAPE[0], -1]) for value in params], axis=1)
    else:
        rows = layer(tf.repeat(images[:1], 8, axis=0), seed=7)
    assert differ(rows[1:], rows[:-1]), "each image has its own draw"


def check_training(make: Make) -> None:
    """Only `training=False` is the identity."""
    layer, images = make(seed=0), make_images()
    assert not differ(layer(images, training=False), images)
    assert differ(layer(images, training=None), images)
    switch = tf.function(lambda on: layer(images, training=on))
    assert not differ(switch(tf.constant(False)), images)
    assert differ(switch(tf.constant(True)), images)


def check_replay(make: Make) -> None:
    """A draw can be applied again, to rows, and to images of another size."""
    layer, images = make(seed=0), make_images()
    params = layer.sample(SHAPE, 3)
    assert not differ(layer.apply(images, params), layer.apply(images, params))
    if not layer.mixes:
        rows = tf.nest.map_structure(lambda value: value[2:5], params)
        assert_close(layer.apply(images[2:5], rows), layer.apply(images, params)[2:5])
    large = tf.repeat(tf.repeat(images, 2, axis=1), 2, axis=2)
    assert layer.apply(large, params).shape == large.shape
    for value in tf.nest.flatten(params):
        assert value.dtype == tf.float32
        assert value.shape[0] == SHAPE[0]


def check_no_clipping(make: Make) -> None:
    """Values outside the range pass."""
    images = 10.0 * make_images()
    assert np.abs(make(seed=0)(images)).max() > 5.0


def check_gradient(make: Make) -> None:
    """The gradient is that of finite differences, and passes in graph mode."""
    layer = make(seed=0)
    params = layer.sample(SHAPE, 3)
    images, direction = make_images(dtype="float64"), tf.sin(100 * make_images(dtype="float64"))

    def value(images: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.sin(layer.apply(images, params)))

    @tf.function
    def slope() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = value(images)
        return tf.reduce_sum(tape.gradient(output, images) * direction)

    h = 1e-5
    assert_close(slope(), (value(images + h * direction) - value(images - h * direction)) / (2 * h))


def check_second_order(make: Make) -> None:
    """A penalty on the gradient at the images, as R1, has the gradient of finite differences."""
    layer = make(seed=0)
    params = layer.sample(SHAPE, 3)
    images, direction = make_images(dtype="float64"), tf.sin(100 * make_images(dtype="float64"))

    def penalty(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = tf.reduce_sum(tf.sin(layer.apply(images, params)))
        return tf.reduce_sum(tape.gradient(output, images) ** 2)

    with tf.GradientTape() as tape:
        tape.watch(images)
        output = penalty(images)
    slope = tf.reduce_sum(tape.gradient(output, images) * direction)
    h = 1e-5
    numeric = (penalty(images + h * direction) - penalty(images - h * direction)) / (2 * h)
    assert_close(slope, numeric)


def check_model(make: Make) -> None:
    """Trains in a Keras model by `fit`; `predict` is the identity."""
    images = make_images().numpy()
    layer = make(seed=0)
    head = [keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer, *head])
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(images, np.zeros([len(images), 1]), batch_size=4, epochs=1, verbose=0)
    assert int(tf.convert_to_tensor(layer.calls)) == 2
    alone = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    assert not differ(alone.predict(images, verbose=0), images)


def check_tf_data(make: Make) -> None:
    """Maps over a dataset, drawing anew for each element."""
    images = make_images()
    layer = make(seed=0)
    data = tf.data.Dataset.from_tensors(images).repeat(2).map(layer)
    first, second = list(data)
    assert differ(first, second) == _random(layer)
    assert first.shape == SHAPE


def check_config(make: Make) -> None:
    """A layer made from the configuration is the same layer."""
    layer, images = make(seed=5, data_format="channels_last"), make_images()
    config = layer.get_config()
    twin = type(layer).from_config(config)
    assert twin.get_config() == config
    assert not differ(layer(images), twin(images))


def check_keras_format(make: Make) -> None:
    """Saved and loaded in the Keras format, it goes on with the draws where it stopped."""
    images = make_images()
    model = keras.Sequential([keras.Input(SHAPE[1:]), make(seed=5)])
    model(images, training=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path)
    assert not differ(loaded(images, training=True), model(images, training=True))


def check_saved_model(make: Make) -> None:
    """Works as a SavedModel, and goes on with the draws there."""
    images = make_images()
    module = tf.Module()
    module.layer = make(seed=5)
    module.augment = tf.function(
        lambda images: module.layer(images),
        input_signature=[tf.TensorSpec([None, *SHAPE[1:]], tf.float32)],
    )
    module.augment(images)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        loaded = tf.saved_model.load(folder)
        expected = module.augment(images)
        assert_close(loaded.augment(images), expected)
        assert differ(loaded.augment(images), expected) == _random(module.layer)


def check_replicas(make: Make, strategy: tf.distribute.Strategy) -> None:
    """Replicas draw different numbers, and anew at each step. Not one of `CHECKS`."""
    with strategy.scope():
        layer = make(seed=0)
    images = make_images()

    @tf.function
    def step() -> Any:
        return strategy.run(lambda: layer(images))

    first, second = (strategy.experimental_local_results(step()) for _ in range(2))
    outputs = [*first, *second]
    for i, output in enumerate(outputs):
        for other in outputs[:i]:
            assert differ(output, other)


CHECKS: dict[str, Callable[[Make], None]] = {
    name.removeprefix("check_"): check
    for name, check in list(globals().items())
    if name.startswith("check_") and name != "check_replicas"  # which takes a strategy too
}


def check_layer(make: Make) -> None:
    """Runs every check of `CHECKS`."""
    for check in CHECKS.values():
        check(make)
