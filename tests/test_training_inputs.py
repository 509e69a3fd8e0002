"""What the GAN takes and refuses, looked at once before the first step."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    NUM_CLASSES,
    SHAPE,
    make_conditional_gan,
    make_discriminator,
    make_gan,
    make_generator,
    make_images,
)
from tf_diffaug._keras import KERAS_3
from tf_diffaug.training import GAN
from tf_diffaug.training.inputs import checked_data

LABELS = np.arange(8) % NUM_CLASSES


def fit(gan, source, *rest, **options):
    gan.fit(source, *rest, verbose=0, **options)


def sources(*arrays):
    """The same batch of 8 in every kind of source."""
    batch = arrays if len(arrays) > 1 else arrays[0]

    class Batches(keras.utils.Sequence):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return batch

    yield tf.data.Dataset.from_tensor_slices(batch).batch(8)
    yield Batches()
    yield (b for b in [batch])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(NUM_CLASSES)[LABELS], "argmax"),
        (LABELS + 0.5, "a label of 0.5"),
        (np.array(list("abcabcab")), "whole numbers"),
        (LABELS + 1, "from 1 to 3"),
    ],
)
def test_what_is_no_label_is_refused_from_every_source(labels, message):
    gan, images = make_conditional_gan(), make_images(8)
    for source in ((images, labels), *((s,) for s in list(sources(images, labels)))):
        with pytest.raises(ValueError, match=message) as error:
            fit(gan, *source)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kind",
    [np.uint8, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (np.int64, np.float32))],
)
def test_whole_numbers_are_labels_in_a_column_too(kind):
    gan, images = make_conditional_gan(), make_images(8)
    labels = LABELS.astype(kind)
    fit(gan, images, labels[:, None], batch_size=8)
    fit(gan, images, labels.tolist(), batch_size=8)
    dataset, sequence, _ = sources(images, labels[:, None])
    fit(gan, dataset)
    fit(gan, sequence)
    assert int(gan.step) == 4


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (make_images(8).astype(np.float32), r"images / 127.5 - 1"),
        (make_images(8).astype(np.float32) / 255, r"images \* 2 - 1"),
        (make_images(8)[:, :6], r"\(8, 8, 3\).* Received: images of shape \(8, 6, 8, 3\)"),
        (make_images(8)[..., :1], r"shape \(8, 8, 8, 1\)"),
    ],
)
def test_images_of_another_kind_are_refused_from_every_source(images, message):
    gan = make_gan()
    for source in (images, tf.constant(images), list(images), *sources(images)):
        with pytest.raises(ValueError, match=message) as error:
            fit(gan, source)
        assert "\n" not in str(error.value)
    assert int(gan.step) == 0


def test_images_without_batches_are_named():
    with pytest.raises(ValueError, match=r"dataset.batch"):
        fit(make_gan(), tf.data.Dataset.from_tensor_slices(make_images(8)))


def test_weights_of_examples_are_refused():
    gan, images = make_conditional_gan(), make_images(8)
    for options in ({"sample_weight": np.ones(8)}, {"class_weight": {0: 2.0}}):
        with pytest.raises(ValueError, match=f"Received: {next(iter(options))}"):
            fit(gan, images, LABELS, **options)
    with pytest.raises(ValueError, match="sample_weight") as error:
        fit(gan, next(sources(images, LABELS, np.ones(8, np.float32))))
    assert "\n" not in str(error.value)


def test_a_generator_keeps_its_first_batch_and_its_order():
    batches = [make_images(8, seed) for seed in range(2)]
    left, _ = checked_data((b for b in batches), None, image_shape=SHAPE, num_classes=None)
    for found, batch in zip(left, batches, strict=True):
        np.testing.assert_array_equal(found, batch)
    endless = ((b,) for b in itertools.cycle(batches))
    fit(make_gan(), endless, steps_per_epoch=2)  # without Keras 3 warning of its own shuffle


def test_optimizers_have_names_and_are_two():
    gan = make_gan()
    gan.compile("adam", "adam")
    fit(gan, make_images(8), batch_size=8)
    assert gan.g_optimizer is not gan.d_optimizer
    one = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="make a second one"):
        gan.compile(one, one)
    if not KERAS_3:
        with pytest.raises(ValueError, match="legacy"):
            gan.compile(keras.optimizers.legacy.Adam(), "adam")


def test_saving_a_part_is_refused(tmp_path):
    gan = make_gan()
    for run in (gan.save, gan.save_weights, gan.load_weights):
        with pytest.raises(NotImplementedError, match="CheckpointStore"):
            run(tmp_path / "gan.keras")


def test_a_seed_is_any_integer():
    gan = GAN(make_generator(), make_discriminator(), seed=np.int64(3))
    assert gan.seed == 3
    assert type(gan.seed) is int


def test_a_ragged_batch_is_cut_to_whole_turns():
    gan = make_gan(policy="color,translation,cutout", d_steps=2)
    gan.fit(make_images(19), batch_size=8, verbose=0)
    assert int(gan.step) == 3


def test_a_batch_of_too_few_for_every_turn_is_named():
    gan = make_gan(d_steps=2)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="for each of the 2 updates that take reals"
    ):
        gan.fit(make_images(17), batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=r"2 updates .*Received: a batch of fewer than 2 images"):
        gan.train_step(tf.constant(make_images(1)))


@pytest.mark.parametrize(
    ("images", "received"),
    [
        (make_images(8).astype(np.int32), "images of dtype=int32"),
        (make_images(8).astype(np.float32), "float32 from [0-9.]+ to [0-9.]+"),
        (np.full([8, 8, 8, 3], np.nan, np.float32), "float32 from nan to nan"),
        (tf.constant(make_images(8).astype(np.float64)), "float64 from"),
    ],
)
def test_images_of_another_range_are_named(images, received):
    with pytest.raises(ValueError, match=f"uint8, or floats.* Received: {received}"):
        make_gan().fit(images, batch_size=8, verbose=0)
