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
from tf_diffaug.augment.layers.spatial import (
    Cutout,
    Flip,
    Rotation,
    Translation,
    TranslationX,
    TranslationY,
)
from tf_diffaug.augment.layers.zoom import CropResize, Scale, ZoomIn, ZoomOut

__all__ = [
    "AugmentationLayer",
    "Blueness",
    "Brightness",
    "Color",
    "ColorJitter",
    "Contrast",
    "CropResize",
    "CutMix",
    "Cutout",
    "DiffAugment",
    "Flip",
    "Greenness",
    "InstanceNoise",
    "MixUp",
    "OpLayer",
    "Redness",
    "Rotation",
    "Saturation",
    "Scale",
    "Translation",
    "TranslationX",
    "TranslationY",
    "ZoomIn",
    "ZoomOut",
]
