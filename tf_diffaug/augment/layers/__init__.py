"""DiffAugment and its ops as Keras layers."""

from tf_diffaug.augment.layers.base import AugmentationLayer, DiffAugment, OpLayer
from tf_diffaug.augment.layers.color import Brightness, Color, Contrast, Saturation
from tf_diffaug.augment.layers.spatial import Cutout, Translation

__all__ = [
    "AugmentationLayer",
    "Brightness",
    "Color",
    "Contrast",
    "Cutout",
    "DiffAugment",
    "OpLayer",
    "Saturation",
    "Translation",
]
