"""Ops that move pixels or cover them, as Keras layers."""

from __future__ import annotations

from typing import Any

import keras

from tf_diffaug.augment import transforms
from tf_diffaug.augment.layers.base import OpLayer


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Translation(OpLayer):
    """Moves each image by whole pixels, up to int(side·ratio + 0.5) along each axis.

    Args:
        ratio: in [0, 1].
        fill: what the move uncovers: `zero`, `black`, `reflect` or `nearest`.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, ratio: float = 0.125, *, fill: str = "zero", **kwargs: Any) -> None:
        super().__init__(transforms.TranslationOp(ratio, fill), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Cutout(OpLayer):
    """Fills a box of sides int(side·ratio + 0.5) around a centre anywhere in the image.

    Args:
        ratio: in [0, 1].
        fill: `zero` or `black`.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, ratio: float = 0.5, *, fill: str = "zero", **kwargs: Any) -> None:
        super().__init__(transforms.CutoutOp(ratio, fill), **kwargs)
