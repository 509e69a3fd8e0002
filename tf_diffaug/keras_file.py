"""Models in Keras files, without the code that such files can hold.

Keras refuses lambdas in `.keras` files, but Keras 2 runs those of HDF5 files, whatever their names,
and gives any function of any module a place among the layers.
"""

from __future__ import annotations

import builtins
import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import keras

from tf_diffaug.errors import one_line

# Layers that run Python or TensorFlow's graphs, and Keras' mark of a function by its bytes.
_CODE = ("Lambda", "TFSMLayer", "__lambda__")
# Where Keras has functions that do nothing but compute; `builtins` is its word for all of these.
_FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
_MODULES = ("builtins", *(f"keras.{name}" for name in _FUNCTIONS))
_PACKAGES = ("builtins", "keras", "tf_diffaug")
# Of a description of layers; those of the largest networks have a few hundred kilobytes.
_MOST_BYTES = 1 << 26


def load_keras_file(path: str | os.PathLike) -> keras.Model:
    """Loads a `.keras` or HDF5 file, not compiled.

    Classes of other packages are loaded where they are registered with Keras.

    Raises:
        ValueError: if it is no such file, is damaged or holds code.
    """
    path = os.fspath(path)
    try:
        for config in _configs(path):
            for part in _parts(config):
                _refuse_code(part)
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever Keras, zipfile or HDF5 make of a damaged file
        raise ValueError(one_line(error)) from error


def _configs(path: str) -> list[Any]:
    """What the file says of its layers; of a file that is of both kinds both, as Keras chooses."""
    texts = []
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("config.json")
            if info.file_size > _MOST_BYTES:
                raise ValueError(f"its config.json has {info.file_size:,} bytes")
            texts.append(archive.read(info))
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            if "model_config" in file.attrs:
                texts.append(file.attrs["model_config"])
            # In a `.keras` file HDF5 may find the weights, where they begin at 512, 1024, ...
            elif not texts:
                raise ValueError("it holds weights and no model")
    if not texts:
        raise ValueError("it is no Keras file")
    try:
        return [json.loads(text) for text in texts]
    except RecursionError as error:
        raise ValueError("its layers lie in each other without end") from error


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """All dicts in a JSON value."""
    left = [[config]]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield value
            value = value.values()
        left += [one for one in value if isinstance(one, (dict, list))]


def _refuse_code(part: dict[str, Any]) -> None:
    name, module = part.get("class_name"), part.get("module")
    if name in _CODE:
        raise ValueError(f"it holds code, in a {name}")
    if not isinstance(module, str) or _is_registered(part):
        return
    if name == "function":
        name = part.get("config")
        is_known = module in _MODULES and not (module == "builtins" and hasattr(builtins, name))
    else:
        is_known = module.split(".")[0] in _PACKAGES and module != "builtins"
    if not is_known:
        raise ValueError(f"it asks for {module}.{name}, which is no layer of Keras or registered")


def _is_registered(part: dict[str, Any]) -> bool:
    name = part.get("registered_name")
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None
