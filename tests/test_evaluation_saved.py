"""Features of a user's own model, from a file or a SavedModel."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.feature_models import make_model, save, some_images
from tf_diffaug.evaluation import load_extractor


def expected_features(model, images):
    resized = tf.image.resize(images, (24, 24), antialias=True)
    return tf.reduce_mean(model(resized), axis=(1, 2))


def test_a_keras_model_gets_0_to_255_at_its_own_size_and_maps_are_averaged(tmp_path):
    model = make_model()
    save(model, tmp_path / "mine.keras")
    extractor = load_extractor(tmp_path / "mine.keras")
    features = extractor(some_images(size=40))
    np.testing.assert_allclose(features, expected_features(model, some_images(size=40)), rtol=1e-4)
    assert (extractor.name, extractor.num_features) == ("mine.keras", 5)
    assert extractor.resize == "24x24, bilinear, antialiased"


def test_a_saved_model_gives_the_features_of_the_model_it_was_made_of(tmp_path):
    model = make_model()
    model.export(str(tmp_path / "exported"))
    extractor = load_extractor(str(tmp_path / "exported"))
    features = extractor(some_images(size=40))
    np.testing.assert_allclose(features, expected_features(model, some_images(size=40)), rtol=1e-4)


@pytest.mark.parametrize("size", [None, 8])
def test_other_outputs_are_flattened_and_a_free_size_is_kept(tmp_path, size):
    inputs = keras.Input((size, size, 3))
    layer = keras.layers.GlobalMaxPooling2D() if size is None else keras.layers.Reshape((64, 3))
    save(keras.Model(inputs, layer(inputs)), tmp_path / "m.keras")
    images = some_images(size=8)
    features = load_extractor(tmp_path / "m.keras")(images)
    expected = images.max(axis=(1, 2)) if size is None else images.reshape(6, -1)
    np.testing.assert_array_equal(features, expected)


def test_models_that_do_not_take_images_are_refused(tmp_path):
    save(keras.Sequential([keras.Input((7,)), keras.layers.Dense(2)]), tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"batch of images.*\(None, 7\).*features='.*m.keras'"):
        load_extractor(tmp_path / "m.keras")


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path):
    (tmp_path / "notes.keras").write_text("not a model")
    with pytest.raises(ValueError, match=r"cannot be used for features") as info:
        load_extractor(tmp_path / "notes.keras")
    assert "\n" not in str(info.value)


def test_a_saved_model_of_several_outputs_is_refused(tmp_path):
    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3], tf.float32)])
        def __call__(self, images):
            return {"a": images, "b": images}

    two = Two()
    tf.saved_model.save(two, str(tmp_path), signatures=two.__call__.get_concrete_function())
    with pytest.raises(ValueError, match=r"2 outputs, none called 'pool_3': a, b"):
        load_extractor(tmp_path)
