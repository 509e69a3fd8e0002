"""TF-GAN's Inception: the features of the FID as the papers report it.

TF-GAN is imported here and nowhere else. Where it does not import (TensorFlow 2.16 and later) the
same module is loaded and run by the lines below, which a test on the first stack holds equal.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tf_diffaug.evaluation.extractor import (
    Extractor,
    Outputs,
    content_version,
    flatten_features,
)
from tf_diffaug.evaluation.registry import register_extractor, unusable

URL = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"
OUTPUT = "pool_3"
LOGITS = "logits"
IMAGE_SIZE = 299
# Raise the number whenever the code below, or what it calls, gives an image other features.
CODE = "inception 1"

_log = logging.getLogger(__name__)


class Inception(Extractor):
    """The 2,048 features of the last pooling layer of TF-GAN's Inception network, and its classes.

    Images are scaled to [-1, 1] and resized to 299x299 bilinearly on TensorFlow 1's grid (no half
    pixel offset, no antialiasing), as TF-GAN's CIFAR example does and as the networks of the
    published numbers do inside.

    Args:
        directory: a directory with a copy of the module, or None for TF-Hub's (downloaded once,
            into TF-Hub's own cache).

    Raises:
        ValueError: if the module cannot be had or has no output `pool_3`.
    """

    def __init__(self, directory: str | None = None) -> None:
        received = "inception" if directory is None else f"inception:{directory}"
        path = _download() if directory is None else _check_directory(directory)
        try:
            module = tf.saved_model.load(str(path))
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            raise _unavailable(received, error) from error
        super().__init__(
            "inception",
            content_version(path, code=CODE),
            resize=f"{IMAGE_SIZE}x{IMAGE_SIZE}, bilinear, TensorFlow 1 grid",
        )
        self._run = tfgan_classifier(module) or classifier(module)
        self._module = module  # its variables live as long as it does
        try:
            probe = self._run(tf.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3)))
        except (TypeError, ValueError) as error:
            raise _unavailable(received, error) from error
        self.num_features = probe.features.shape[-1]

    def _outputs(self, images: tf.Tensor) -> Outputs:
        return self._run(preprocess(images))


@register_extractor(
    "inception",
    argument="DIRECTORY",
    summary="the 2,048 features of TF-GAN's Inception, from TF-Hub, or without a network from a "
    "copy of that module on disk",
    use="numbers to set beside published ones",
)
def load(directory: str | None) -> Inception:
    return Inception(directory)


def preprocess(images: tf.Tensor) -> tf.Tensor:
    """Maps uint8 images of any size to float32 in [-1, 1], 299x299."""
    scaled = tf.cast(images, tf.float32) / 127.5 - 1.0
    return tf.raw_ops.ResizeBilinear(images=scaled, size=(IMAGE_SIZE, IMAGE_SIZE))


def classifier(module: Callable) -> Callable[[tf.Tensor], Outputs]:
    """Returns the function from preprocessed images to features, and the softmax of the logits."""

    def run(images: tf.Tensor) -> Outputs:
        outputs = module(images)
        if OUTPUT not in outputs:
            raise ValueError(f"it has no output {OUTPUT!r} but {', '.join(sorted(outputs))}")
        logits = outputs.get(LOGITS)
        probabilities = None if logits is None else tf.nn.softmax(tf.cast(logits, tf.float32))
        return Outputs(flatten_features(outputs[OUTPUT]), probabilities)

    return run


def tfgan_classifier(module: Callable) -> Callable[[tf.Tensor], Outputs] | None:
    """The same through TF-GAN, or None where TF-GAN does not import.

    TF-GAN's own `run_inception` loads the module anew at every call; its `run_classifier_fn` takes
    one that is already there.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TF-GAN and its dependencies use distutils
            import tensorflow_gan
    except (ImportError, AttributeError) as error:
        _log.info("TF-GAN does not import here (%s): Inception runs without it.", error)
        return None
    run = classifier(module)
    return lambda images: tensorflow_gan.eval.run_classifier_fn(images, run)


def _download() -> Path:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TF-Hub imports pkg_resources
            import tensorflow_hub
        return Path(tensorflow_hub.resolve(URL))
    except ImportError as error:
        raise _unavailable("inception", f"{error}; pip install tensorflow-hub") from error
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise _unavailable("inception", f"{URL}: {error}") from error


def _check_directory(directory: str) -> Path:
    path = Path(directory)
    if not (path / "saved_model.pb").is_file():
        raise _unavailable(f"inception:{directory}", "there is no saved_model.pb in it")
    return path


def _unavailable(received: str, reason: object) -> ValueError:
    reason = " ".join(str(reason).split())
    return unusable(f"The Inception network cannot be loaded ({reason[:300]}).", received)
