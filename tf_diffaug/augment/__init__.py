"""Differentiable augmentation: ops, Keras layers and the policy language."""

from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.layers import (
    AugmentationLayer,
    Brightness,
    Color,
    Contrast,
    Cutout,
    DiffAugment,
    OpLayer,
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
    "Brightness",
    "Color",
    "ColorMap",
    "Contrast",
    "Cutout",
    "DiffAugment",
    "FunctionMap",
    "Op",
    "OpLayer",
    "PixelMap",
    "Policy",
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
