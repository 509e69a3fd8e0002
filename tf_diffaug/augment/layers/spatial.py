"""Ops that move, turn or mirror the image or cover a part of it, as Keras layers."""

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
        continuous: whether to move by any part of the side up to `ratio`, bilinearly.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(
        self, ratio: float = 0.125, *, fill: str = "zero", continuous: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(transforms.TranslationOp(ratio, fill, continuous), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class TranslationX(OpLayer):
    """`Translation` from left to right only.

    Args:
        ratio: in [0, 1].
        fill: what the move uncovers: `zero`, `black`, `reflect` or `nearest`.
        continuous: whether to move by any part of the width up to `ratio`, bilinearly.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(
        self, ratio: float, *, fill: str = "reflect", continuous: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(transforms.TranslationXOp(ratio, fill, continuous), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class TranslationY(OpLayer):
    """`Translation` up and down only.

    Args:
        ratio: in [0, 1].
        fill: what the move uncovers: `zero`, `black`, `reflect` or `nearest`.
        continuous: whether to move by any part of the height up to `ratio`, bilinearly.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(
        self, ratio: float, *, fill: str = "reflect", continuous: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(transforms.TranslationYOp(ratio, fill, continuous), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Flip(OpLayer):
    """Mirrors left and right.

    Args:
        strength: the probability, in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float = 0.5, **kwargs: Any) -> None:
        super().__init__(transforms.FlipOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class Rotation(OpLayer):
    """Turns each image about its centre, bilinearly.

    Args:
        strength: in [0, 1]; the angle is uniform up to this part of half a turn, either way.
        fill: what is seen past the edges: `zero`, `black`, `reflect` or `nearest`.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, *, fill: str = "reflect", **kwargs: Any) -> None:
        super().__init__(transforms.RotationOp(strength, fill), **kwargs)


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
