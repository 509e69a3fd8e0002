"""The ops a policy can name: what each draws, and the map it becomes.

An op is a frozen dataclass of its settings. It turns uniform numbers into parameters, which are
relative (fractions of the image's height and width, brightness in units of the value range), so
that a draw can be replayed on other images of another size; and parameters into a map of images.

Defaults are those of "Differentiable Augmentation for Data-Efficient GAN Training"
(arXiv:2006.10738), in the authors' code; strengths `s` are the lambda of "Image Augmentations for
GAN Training" (arXiv:2006.02595).
"""

from tf_diffaug.augment.transforms.base import Op, Params, Shape, unpack_shape, whole
from tf_diffaug.augment.transforms.color import BrightnessOp, ColorOp, ContrastOp, SaturationOp
from tf_diffaug.augment.transforms.mix import CutMixOp, MixUpOp
from tf_diffaug.augment.transforms.noise import InstanceNoiseOp
from tf_diffaug.augment.transforms.rotation import FlipOp, RotationOp
from tf_diffaug.augment.transforms.spatial import (
    CutoutOp,
    TranslationOp,
    TranslationXOp,
    TranslationYOp,
)
from tf_diffaug.augment.transforms.tint import BluenessOp, ColorJitterOp, GreennessOp, RednessOp
from tf_diffaug.augment.transforms.zoom import CropResizeOp, ScaleOp, ZoomInOp, ZoomOutOp

OPS = (
    BrightnessOp,
    SaturationOp,
    ContrastOp,
    ColorOp,
    TranslationOp,
    TranslationXOp,
    TranslationYOp,
    CutoutOp,
    ZoomInOp,
    ZoomOutOp,
    CropResizeOp,
    ScaleOp,
    FlipOp,
    RotationOp,
    RednessOp,
    GreennessOp,
    BluenessOp,
    ColorJitterOp,
    InstanceNoiseOp,
    CutMixOp,
    MixUpOp,
)

__all__ = [
    "OPS",
    "BluenessOp",
    "BrightnessOp",
    "ColorJitterOp",
    "ColorOp",
    "ContrastOp",
    "CropResizeOp",
    "CutMixOp",
    "CutoutOp",
    "FlipOp",
    "GreennessOp",
    "InstanceNoiseOp",
    "MixUpOp",
    "Op",
    "Params",
    "RednessOp",
    "RotationOp",
    "SaturationOp",
    "ScaleOp",
    "Shape",
    "TranslationOp",
    "TranslationXOp",
    "TranslationYOp",
    "ZoomInOp",
    "ZoomOutOp",
    "unpack_shape",
    "whole",
]
