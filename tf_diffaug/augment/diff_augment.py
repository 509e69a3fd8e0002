"""DiffAugment: a policy as a Keras layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment.layer import AugmentationLayer
from tf_diffaug.augment.op import Op, Params, Shape
from tf_diffaug.augment.policy import Policy, as_policy
from tf_diffaug.augment.registry import check_registered


@keras.saving.register_keras_serializable(package="tf_diffaug")
class DiffAugment(AugmentationLayer):
    """Applies a policy: DiffAugment (arXiv:2006.10738) for `color,translation,cutout`.

    >>> augment = DiffAugment("color,translation,cutout", seed=0)
    >>> augment(tf.zeros([8, 32, 32, 3])).shape
    TensorShape([8, 32, 32, 3])

    Args:
        policy: a policy string, a `Policy` or a list of ops or their names; `none` and `''` are the
            identity.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, policy: str | Policy | Sequence[str | Op], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.policy = as_policy(policy)

    @property
    def mixes(self) -> bool:
        return any(op.mixes for op in self.policy.ops)

    def sample(self, shape: Shape, seed: int | tf.Tensor) -> list[Params]:
        return self.policy.sample(shape, random.as_seed(seed))

    def params_at(self, quantile: float, shape: Shape) -> list[Params]:
        """The parameters at one quantile of every op's ranges: 0 and 1 are the ends."""
        return self.policy.params_at(quantile, shape)

    def apply_params(self, images: tf.Tensor, params: Sequence[Params]) -> tf.Tensor:
        return self.policy.apply(images, params, value_range=self.value_range)

    def get_config(self) -> dict[str, Any]:
        for op in self.policy.ops:
            check_registered(op)
        return {**super().get_config(), "policy": str(self.policy)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({str(self.policy)!r}), name={self.name}>"
