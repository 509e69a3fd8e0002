"""DiffAugment and its ops as Keras layers."""

from tf_diffaug.augment.layers.base import AugmentationLayer, DiffAugment, OpLayer
from tf_diffaug.augment.layers.color import (
    Blueness,
    Brightness,
    Color,
    ColorJitter,
    Contrast,
    Greenness,
    Redness,
    Saturation,
)
from tf_diffaug.augment.layers.mix import CutMix, InstanceNoise, MixUp
from tf_diffaug.augment.layers.spatial import Cutout, Translation

__all__ = [
    "AugmentationLayer",
    "Blueness",
    "Brightness",
    "Color",
    "ColorJitter",
    "Contrast",
    "CutMix",
    "Cutout",
    "DiffAugment",
    "Greenness",
    "InstanceNoise",
    "MixUp",
    "OpLayer",
    "Redness",
    "Saturation",
    "Translation",
]
