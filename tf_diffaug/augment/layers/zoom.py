"""Ops that resize a window of the image to the whole, as Keras layers."""

from __future__ import annotations

from typing import Any

import keras

from tf_diffaug.augment import transforms
from tf_diffaug.augment.layers.base import OpLayer


@keras.saving.register_keras_serializable(package="tf_diffaug")
class ZoomIn(OpLayer):
    """Resizes a window of sides 1 - a, a ~ U(0, strength), at a uniform place, to the whole image.

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(transforms.ZoomInOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class ZoomOut(OpLayer):
    """Resizes a canvas of sides 1 + a, a ~ U(0, strength), around the image to the image's size.

    Args:
        strength: in [0, 1].
        fill: what the canvas shows around the image: `zero`, `black`, `reflect` or `nearest`.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, *, fill: str = "reflect", **kwargs: Any) -> None:
        super().__init__(transforms.ZoomOutOp(strength, fill), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class CropResize(OpLayer):
    """Resizes a window of a random area, aspect and place to the whole image, as SimCLR.

    Args:
        strength: in [0, 1]; the area is uniform from 1 - strength to 1.
        ratio: in [1, 10]; the logarithm of width over height, in fractions of the image's, is
            uniform from -log(ratio) to log(ratio), or as far as such a window fits.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float = 0.92, *, ratio: float = 4 / 3, **kwargs: Any) -> None:
        super().__init__(transforms.CropResizeOp(strength, ratio), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Scale(OpLayer):
    """Enlarges about the centre by a factor of 2^e, e ~ U(-strength, strength).

    Args:
        strength: in [0, 1].
        fill: what is seen around a smaller image: `zero`, `black`, `reflect` or `nearest`.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, *, fill: str = "reflect", **kwargs: Any) -> None:
        super().__init__(transforms.ScaleOp(strength, fill), **kwargs)
