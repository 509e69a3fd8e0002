"""Differentiable augmentation: ops, Keras layers and the policy language.

The layers of the ops (`Brightness`, `Cutout`, ...) are made from the ops that are registered, a
user's own included, and are attributes of this module.
"""

from __future__ import annotations

from typing import Any

from tf_diffaug.augment import ops as ops  # registers them
from tf_diffaug.augment.affine_map import AffineMap
from tf_diffaug.augment.color_map import ColorMap
from tf_diffaug.augment.diff_augment import DiffAugment
from tf_diffaug.augment.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    cutout,
    flip,
    rotate,
    translate,
)
from tf_diffaug.augment.layer import AugmentationLayer
from tf_diffaug.augment.maps import FunctionMap
from tf_diffaug.augment.op import Op
from tf_diffaug.augment.op_layer import OpLayer
from tf_diffaug.augment.pixel_map import PixelMap
from tf_diffaug.augment.policy import Policy, as_policy, parse_policy
from tf_diffaug.augment.registry import (
    ops_table,
    register,
    registered_layers,
    registered_ops,
    temporarily_registered,
)
from tf_diffaug.augment.resample_map import ResampleMap

__all__ = [
    "AffineMap",
    "AugmentationLayer",
    "ColorMap",
    "DiffAugment",
    "FunctionMap",
    "Op",
    "OpLayer",
    "PixelMap",
    "Policy",
    "ResampleMap",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_saturation",
    "as_policy",
    "cutout",
    "flip",
    "ops_table",
    "parse_policy",
    "register",
    "registered_layers",
    "registered_ops",
    "rotate",
    "temporarily_registered",
    "translate",
]
__all__ += registered_layers()


def __getattr__(name: str) -> Any:
    layers = registered_layers()
    if name not in layers:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return layers[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *registered_layers()])
