"""The formats that a generator is written in: how each is written, read back and how exactly."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging as absl_logging

from tf_diffaug.errors import UserError
from tf_diffaug.files import write_atomically
from tf_diffaug.images import to_uint8
from tf_diffaug.naming import unknown
from tf_diffaug.optional import need_packages
from tf_diffaug.runs.export.served import FROM_LATENTS, FROM_SEED, ServedGenerator, call
from tf_diffaug.runs.generate.source import ImageSource

# Images, uint8, of latents and labels.
Reader = Callable[[np.ndarray, "np.ndarray | None"], np.ndarray]
DEFAULT_FORMATS = ("keras", "saved_model")
# The newest that both stacks' onnx and tf2onnx know.
_OPSET = 18


class Format(NamedTuple):
    """One way to write a generator.

    Args:
        file: its file or folder.
        summary: what it is for.
        write: from the source of the images and the path.
        read: from the path (and the source, for what a caller must know) to a reader.
        tolerance: how far a pixel may be from the source's, of 255.
        packages: modules that it needs beside TensorFlow.
    """

    file: str
    summary: str
    write: Callable[[ImageSource, pathlib.Path], None]
    read: Callable[[ImageSource, pathlib.Path], Reader]
    tolerance: int = 0
    packages: tuple[str, ...] = ()


def check_formats(names: Sequence[str]) -> None:
    """Checks that formats are known and can be written here.

    Raises:
        ValueError: for a name that is not known, twice there, or none at all.
        UserError: for one whose package is not installed.
    """
    if not names:
        raise ValueError(f"Give one format at least, of {', '.join(FORMATS)}. Received: formats=.")
    for name in names:
        if name not in FORMATS:
            received = f"formats={','.join(names)}"
            raise ValueError(unknown("format", name, FORMATS, received=received))
        need_packages(f"The format {name}", FORMATS[name].packages, extra=name)


def _write_keras(source: ImageSource, path: pathlib.Path) -> None:
    source.sampler.network().save(path)


def _read_keras(source: ImageSource, path: pathlib.Path) -> Reader:
    network = keras.models.load_model(path)

    @tf.function(autograph=False)
    def read(latents: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        return to_uint8(call(source, network, latents, labels))

    return lambda latents, labels: read(*_tensors(latents, labels)).numpy()


def _write_saved_model(source: ImageSource, path: pathlib.Path) -> None:
    served = ServedGenerator(source)
    signatures = {FROM_LATENTS: served.from_latents, FROM_SEED: served.from_seed}
    _save_model(served, path / "1", signatures)


def _read_saved_model(source: ImageSource, path: pathlib.Path) -> Reader:
    with _without_chatter():
        loaded = tf.saved_model.load(str(path / "1"))
    function = loaded.signatures[FROM_LATENTS]

    def read(latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        names = ("latents", "labels")[: 1 if labels is None else 2]
        given = dict(zip(names, _tensors(latents, labels), strict=False))
        # The function's variables live as long as the object they were loaded with.
        return read.loaded and function(**given)["images"].numpy()

    read.loaded = loaded
    return read


def _save_model(
    served: ServedGenerator, path: pathlib.Path, signatures: dict[str, Callable]
) -> None:
    # Gradients of gradients would be left out, and each loading warn of every one of them.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(served, str(path), signatures=signatures, options=options)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keeps back warnings of gradients that nobody needs, and what C++ writes to descriptors."""
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    kept = {number: os.dup(number) for number in (1, 2)}
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        with open(os.devnull, "wb") as nowhere:
            for number in kept:
                os.dup2(nowhere.fileno(), number)
            yield
    finally:
        absl_logging.set_verbosity(verbosity)
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def _write_tflite(source: ImageSource, path: pathlib.Path) -> None:
    served = ServedGenerator(source, portable=True)
    with tempfile.TemporaryDirectory() as folder:
        _save_model(served, pathlib.Path(folder), {FROM_LATENTS: served.from_latents})
        try:
            with _without_chatter():
                converter = tf.lite.TFLiteConverter.from_saved_model(
                    folder, signature_keys=[FROM_LATENTS]
                )
                content = converter.convert()
        except Exception as error:  # the converter's own class is not public
            ops = sorted(set(re.findall(r"'?tf\.(\w+)'? op is neither", str(error))))
            if not ops:
                raise
            raise UserError(
                f"TensorFlow Lite has no {', '.join(ops)}, which this generator needs: leave "
                "tflite out of --formats."
            ) from error
    write_atomically(path, content)


def _read_tflite(source: ImageSource, path: pathlib.Path) -> Reader:
    with warnings.catch_warnings():
        # TensorFlow 2.20 and later announce that the interpreter moves to a package of its own.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner(FROM_LATENTS)
    return lambda latents, labels: runner(**_named(latents, labels))["images"]


def _write_onnx(source: ImageSource, path: pathlib.Path) -> None:
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    import tf2onnx

    served = ServedGenerator(source, portable=True)
    model, _ = tf2onnx.convert.from_function(
        served.from_latents, input_signature=served.input_signature, opset=_OPSET
    )
    write_atomically(path, model.SerializeToString())


def _read_onnx(source: ImageSource, path: pathlib.Path) -> Reader:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda latents, labels: session.run(None, _named(latents, labels))[0]


def _tensors(latents: np.ndarray, labels: np.ndarray | None) -> tuple:
    return tf.constant(latents), None if labels is None else tf.constant(labels)


def _named(latents: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    return {"latents": latents} | ({} if labels is None else {"labels": labels})


FORMATS = {
    "keras": Format(
        "generator.keras",
        "Keras model, images in [-1, 1]; needs TensorFlow and tf-diffaug",
        _write_keras,
        _read_keras,
    ),
    "saved_model": Format(
        "saved_model",
        "SavedModel in TensorFlow Serving's layout, uint8 images; needs TensorFlow alone",
        _write_saved_model,
        _read_saved_model,
    ),
    "tflite": Format(
        "generator.tflite",
        "TensorFlow Lite, float32 weights, uint8 images",
        _write_tflite,
        _read_tflite,
        tolerance=1,
    ),
    "onnx": Format(
        "generator.onnx",
        f"ONNX, opset {_OPSET}, uint8 images",
        _write_onnx,
        _read_onnx,
        tolerance=1,
        packages=("tf2onnx", "onnxruntime"),
    ),
}
