"""Keras files are read, the code that they can hold is not run."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.evaluation.saved import SavedExtractor
from tf_diffaug.keras_file import load_keras_file

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore:You are saving:UserWarning"
)


@pytest.fixture
def touched(tmp_path):
    """What a lambda makes of a path, if it is run."""
    return tmp_path / "touched"


def save(path, *layers):
    model = keras.Sequential([keras.layers.Input((4, 4, 3)), *layers, keras.layers.Flatten()])
    model.save(path)
    return model


def write_zip(path, config):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
    return path


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_model_comes_back(tmp_path, name):
    made = save(tmp_path / name, keras.layers.Conv2D(2, 3, activation="relu"))
    images = tf.random.uniform((2, 4, 4, 3))
    found = load_keras_file(tmp_path / name)
    np.testing.assert_array_equal(found(images), made(images))


def test_a_model_whose_weights_lie_where_hdf5_looks_for_itself_comes_back(tmp_path):
    made = save(tmp_path / "plain.keras", keras.layers.Conv2D(2, 3))
    with zipfile.ZipFile(tmp_path / "plain.keras") as plain:
        parts = {name: plain.read(name) for name in plain.namelist()}
    weights = parts.pop("model.weights.h5")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        # A file's bytes come after 30 of the archive's own and its name.
        archive.writestr("filling", bytes(512 - 2 * 30 - len("filling" + "model.weights.h5")))
        archive.writestr("model.weights.h5", weights)
        for name, content in parts.items():
            archive.writestr(name, content)
    assert h5py.is_hdf5(tmp_path / "model.keras")
    images = tf.random.uniform((2, 4, 4, 3))
    found = load_keras_file(tmp_path / "model.keras")
    np.testing.assert_array_equal(found(images), made(images))


@pytest.mark.parametrize("end", ["", "PK"])
@pytest.mark.parametrize("name", ["features.h5", "generator.keras", "features"])
def test_the_code_of_a_file_is_not_run(tmp_path, touched, name, end):
    code = f"lambda x: (open({str(touched)!r}, 'w').close(), x)[1]"
    save(tmp_path / "model.h5", keras.layers.Lambda(eval(code), output_shape=(4, 4, 3)))
    touched.unlink(missing_ok=True)
    content = (tmp_path / "model.h5").read_bytes()
    if end:  # which makes a zip of it, too
        content += write_zip(tmp_path / "x.zip", {}).read_bytes()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="it holds code, in a Lambda"):
        load_keras_file(tmp_path / name)
    with pytest.raises(ValueError, match="it holds code, in a Lambda"):
        SavedExtractor(tmp_path / name)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("module", "name", "function"),
    [
        ("os", "function", "system"),
        ("builtins", "function", "eval"),
        ("keras.utils", "function", "get_file"),
        ("keras.src.utils", "function", "get_file"),
        ("subprocess", "Popen", {}),
        ("builtins", "type", {}),
        ("keras.layers", "TFSMLayer", {}),
        (None, "__lambda__", {}),
    ],
)
def test_what_a_file_asks_for_is_not_imported(tmp_path, module, name, function):
    part = {"module": module, "class_name": name, "config": function, "registered_name": name}
    layers = {"layers": [{"class_name": "Dense", "config": {"x": [part]}}]}
    outer = {"module": "keras", "class_name": "Functional", "config": layers}
    with pytest.raises(ValueError, match=r"it (holds code|asks for)"):
        load_keras_file(write_zip(tmp_path / "model.keras", outer))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 99999, "without end"),
        ("{", "Expecting"),
        (json.dumps({"class_name": "Dense", "module": "keras.layers"}), "The model cannot"),
        ("[1]", "The model cannot"),
    ],
)
def test_a_damaged_description(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        SavedExtractor(write_zip(tmp_path / "model.keras", content))


def test_no_keras_file(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"\x89HDF")
    with pytest.raises(ValueError, match="no Keras file"):
        load_keras_file(tmp_path / "model.keras")


def test_a_registered_class_is_loaded(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    save(tmp_path / "model.keras", Twice())
    assert load_keras_file(tmp_path / "model.keras")(tf.ones((1, 4, 4, 3)))[0, 0] == 2
