"""Differentiable augmentation: ops, Keras layers and the policy language."""

from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.layers import (
    AugmentationLayer,
    Blueness,
    Brightness,
    Color,
    ColorJitter,
    Contrast,
    CutMix,
    Cutout,
    DiffAugment,
    Greenness,
    InstanceNoise,
    MixUp,
    OpLayer,
    Redness,
    Saturation,
    Translation,
)
from tf_diffaug.augment.maps import FunctionMap
from tf_diffaug.augment.ops import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    cutout,
    translate,
)
from tf_diffaug.augment.pixel_map import PixelMap
from tf_diffaug.augment.policy import (
    Policy,
    as_policy,
    parse_policy,
    register,
    registered_ops,
    temporarily_registered,
)
from tf_diffaug.augment.transforms import Op

__all__ = [
    "AugmentationLayer",
    "Blueness",
    "Brightness",
    "Color",
    "ColorJitter",
    "ColorMap",
    "Contrast",
    "CutMix",
    "Cutout",
    "DiffAugment",
    "FunctionMap",
    "Greenness",
    "InstanceNoise",
    "MixUp",
    "Op",
    "OpLayer",
    "PixelMap",
    "Policy",
    "Redness",
    "Saturation",
    "Translation",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_saturation",
    "as_policy",
    "cutout",
    "parse_policy",
    "register",
    "registered_ops",
    "temporarily_registered",
    "translate",
]
