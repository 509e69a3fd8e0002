"""Ops on colours as Keras layers."""

from __future__ import annotations

from typing import Any

import keras

from tf_diffaug.augment import transforms
from tf_diffaug.augment.layers.base import OpLayer


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Brightness(OpLayer):
    """x + b, with b ~ U(-strength, strength) in units of the value range.

    Args:
        strength: in [0, 1]; the default is the paper's U(-.5, .5) on images in [-1, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float = 0.25, **kwargs: Any) -> None:
        super().__init__(transforms.BrightnessOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Saturation(OpLayer):
    """Scales each pixel's distance from its grey value by f ~ U(1 - strength, 1 + strength).

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float = 1.0, **kwargs: Any) -> None:
        super().__init__(transforms.SaturationOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Contrast(OpLayer):
    """Scales the distance from the image's mean by f ~ U(1 - strength, 1 + strength).

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float = 0.5, **kwargs: Any) -> None:
        super().__init__(transforms.ContrastOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Color(OpLayer):
    """Brightness, saturation and contrast in this order, as one pass.

    Args:
        strength: in [0, 1], multiplies the three others.
        brightness: in [0, 1].
        saturation: in [0, 1].
        contrast: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(
        self,
        strength: float = 1.0,
        *,
        brightness: float = 0.25,
        saturation: float = 1.0,
        contrast: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(transforms.ColorOp(strength, brightness, saturation, contrast), **kwargs)
