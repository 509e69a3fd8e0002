"""Ops that mix images of a batch, or an image with noise, as Keras layers."""

from __future__ import annotations

from typing import Any

import keras

from tf_diffaug.augment import transforms
from tf_diffaug.augment.layers.base import OpLayer


@keras.saving.register_keras_serializable(package="tf_diffaug")
class CutMix(OpLayer):
    """Pastes a box of another image of the batch, of sides int(side·strength + 0.5), in its place.

    Call it on images of one kind, not on reals and fakes together; labels stay the base image's.

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(transforms.CutMixOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class MixUp(OpLayer):
    """(1 - a)·x + a·partner, with a ~ U(0, strength) and another image of the batch.

    Call it on images of one kind, not on reals and fakes together; labels stay the base image's.

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(transforms.MixUpOp(strength), **kwargs)


@keras.saving.register_keras_serializable(package="tf_diffaug")
class InstanceNoise(OpLayer):
    """x + strength·N(0, 1) in units of the value range; a draw applied again has the same noise.

    Args:
        strength: in [0, 1].
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(transforms.InstanceNoiseOp(strength), **kwargs)
