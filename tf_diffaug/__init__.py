"""Train GANs with little data, in TensorFlow and Keras.

>>> from tf_diffaug import DiffAugment
>>> layer = DiffAugment("color,translation,cutout")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tf_diffaug._registration import register_with_keras

__version__ = "0.1.0"

# Where each public name lives. They are imported when first asked for, so that a script can answer
# a wrong flag before TensorFlow is loaded.
_HOME = {
    "BatchNorm": "layers",
    "Blueness": "augment",
    "Brightness": "augment",
    "Color": "augment",
    "ColorJitter": "augment",
    "ConditionalBatchNorm": "layers",
    "Contrast": "augment",
    "CropResize": "augment",
    "CutMix": "augment",
    "Cutout": "augment",
    "DiffAugment": "augment",
    "EMA": "training",
    "Flip": "augment",
    "GAN": "training",
    "Greenness": "augment",
    "InstanceNoise": "augment",
    "MixUp": "augment",
    "Redness": "augment",
    "Rotation": "augment",
    "Saturation": "augment",
    "Scale": "augment",
    "SelfAttention": "layers",
    "SpectralNormalization": "layers",
    "Translation": "augment",
    "TranslationX": "augment",
    "TranslationY": "augment",
    "ZoomIn": "augment",
    "ZoomOut": "augment",
    "advance_power_iteration": "layers",
    "frechet_distance": "evaluation",
    "parse_policy": "augment",
}
__all__ = [
    "EMA",
    "GAN",
    "BatchNorm",
    "Blueness",
    "Brightness",
    "Color",
    "ColorJitter",
    "ConditionalBatchNorm",
    "Contrast",
    "CropResize",
    "CutMix",
    "Cutout",
    "DiffAugment",
    "Flip",
    "Greenness",
    "InstanceNoise",
    "MixUp",
    "Redness",
    "Rotation",
    "Saturation",
    "Scale",
    "SelfAttention",
    "SpectralNormalization",
    "Translation",
    "TranslationX",
    "TranslationY",
    "ZoomIn",
    "ZoomOut",
    "advance_power_iteration",
    "frechet_distance",
    "parse_policy",
]

if TYPE_CHECKING:
    from tf_diffaug.augment import (
        Blueness,
        Brightness,
        Color,
        ColorJitter,
        Contrast,
        CropResize,
        CutMix,
        Cutout,
        DiffAugment,
        Flip,
        Greenness,
        InstanceNoise,
        MixUp,
        Redness,
        Rotation,
        Saturation,
        Scale,
        Translation,
        TranslationX,
        TranslationY,
        ZoomIn,
        ZoomOut,
        parse_policy,
    )
    from tf_diffaug.evaluation import frechet_distance
    from tf_diffaug.layers import (
        BatchNorm,
        ConditionalBatchNorm,
        SelfAttention,
        SpectralNormalization,
        advance_power_iteration,
    )
    from tf_diffaug.training import EMA, GAN


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


register_with_keras()
