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


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Redness(OpLayer):
    """Red + a, with a ~ U(-strength, strength) in units of the value range.

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(transforms.RednessOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Greenness(OpLayer):
    """Green + a, with a ~ U(-strength, strength) in units of the value range.

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(transforms.GreennessOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Blueness(OpLayer):
    """Blue + a, with a ~ U(-strength, strength) in units of the value range.

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(transforms.BluenessOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class ColorJitter(OpLayer):
    """SimCLR's colour distortion: brightness, contrast, saturation and hue, or grey.

    `transforms.ColorJitterOp` says how it differs from the authors' code.

    Args:
        strength: in [0, 1], multiplies the next four; SimCLR has 0.5 on CIFAR-10, 1 on ImageNet.
        brightness: in [0, 1]: scales by U(1 - brightness, 1 + brightness).
        contrast: in [0, 1], likewise.
        saturation: in [0, 1], likewise.
        hue: in [0, 0.5], in full turns.
        probability: that an image has the four.
        grayscale: the probability that it is grey.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(
        self,
        strength: float = 0.5,
        *,
        brightness: float = 0.8,
        contrast: float = 0.8,
        saturation: float = 0.8,
        hue: float = 0.2,
        probability: float = 0.8,
        grayscale: float = 0.2,
        **kwargs: Any,
    ) -> None:
        op = transforms.ColorJitterOp(
            strength, brightness, contrast, saturation, hue, probability, grayscale
        )
        super().__init__(op, **kwargs)
