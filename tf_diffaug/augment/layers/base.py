"""What every augmentation layer is: a policy, or one op, in Keras' terms."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import add_state_weight
from tf_diffaug.augment import transforms
from tf_diffaug.augment.policy import Policy, as_policy
from tf_diffaug.augment.transforms import Op, Shape

_DATA_FORMATS = ("channels_last", "channels_first")


class AugmentationLayer(keras.layers.Layer):
    """Draws a random transform per image and applies it, differentiably.

    A subclass states `sample` and `apply_params`. Unlike ordinary preprocessing layers this one is
    meant to be active wherever a discriminator is trained or asked, in the generator's step with
    the discriminator frozen too; so a bare call augments, and only `training=False`, explicit or
    inherited from `predict` and `evaluate`, is the identity.

    A call without a seed draws anew each time: it folds the layer's own seed with a counter of its
    calls, kept as a weight so that a loaded layer goes on where the saved one stopped, and with the
    number of the replica. A call with a seed is a function of its arguments.

    Args:
        value_range: the images' black and white.
        data_format: `channels_last` for images (N, H, W, C), `channels_first` for (N, C, H, W).
        clip: whether to clip the output to the value range, which stops gradients there.
        seed: an integer; None takes one from the operating system, once, and keeps it in the
            configuration.
        **kwargs: those of `keras.layers.Layer`.

    Call arguments:
        images: floating tensor of rank 4. The output has its shape and dtype.
        training: False for the identity.
        seed: an integer or an integer tensor of shape (2,), for a stateless call.

    Raises:
        ValueError: if an argument is not one of its choices, or images are not floating or not of
            rank 4.
    """

    def __init__(
        self,
        *,
        value_range: tuple[float, float] = (-1.0, 1.0),
        data_format: str = "channels_last",
        clip: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # With autocasting on, Keras turns float16 and bfloat16 images into float32.
        super().__init__(**{"autocast": False, **kwargs})
        low, high = map(float, value_range)
        if not low < high:
            raise ValueError(f"value_range is (black, white). Received: value_range={value_range}.")
        if data_format not in _DATA_FORMATS:
            raise ValueError(
                f"data_format is one of {', '.join(_DATA_FORMATS)}. "
                f"Received: data_format={data_format!r}."
            )
        self.value_range = (low, high)
        self.data_format = data_format
        self.clip = clip
        self.seed = int.from_bytes(os.urandom(4), "little") if seed is None else int(seed)
        # Each replica counts for itself: a mirrored counter could not be advanced inside a step.
        self.calls = add_state_weight(self, "calls", (), dtype="int64", initializer="zeros")

    @property
    def mixes(self) -> bool:
        """Whether an image's output holds others of its batch: call it on one kind of images."""
        return False

    def sample(self, shape: Shape, seed: int | tf.Tensor) -> Any:
        """Draws parameters, each image its own.

        Args:
            shape: (batch, height, width, channels) whatever the data format, as integers or an
                integer tensor of shape (4,).
            seed: an integer or an integer tensor of shape (2,).

        Returns:
            A structure of float32 tensors whose leading dimension is the batch.
        """
        raise NotImplementedError

    def apply_params(self, images: tf.Tensor, params: Any) -> tf.Tensor:
        """`apply` on images (N, H, W, C), without clipping."""
        raise NotImplementedError

    def apply(self, images: tf.Tensor, params: Any) -> tf.Tensor:
        """Applies drawn parameters: a pure function, differentiable in the images.

        The parameters are relative: the same draw can be applied to images of another size.

        Args:
            images: floating tensor in the layer's data format.
            params: what `sample` returned, or rows of it.
        """
        images = self._checked(images)
        first = self.data_format == "channels_first"
        output = tf.transpose(images, [0, 2, 3, 1]) if first else images
        output = self.apply_params(output, params)
        if self.clip:
            output = tf.clip_by_value(output, *self.value_range)
        output = tf.transpose(output, [0, 3, 1, 2]) if first else output
        return tf.ensure_shape(output, images.shape)

    def call(
        self,
        images: tf.Tensor,
        training: bool | tf.Tensor | None = True,
        seed: int | tf.Tensor | None = None,
    ) -> tf.Tensor:
        images = self._checked(images)
        if tf.is_tensor(training):
            return tf.cond(
                tf.cast(training, tf.bool),
                lambda: self._augment(images, seed),
                lambda: tf.identity(images),
            )
        # None is what Keras passes on where nobody has said: augment, as a bare call does.
        if training is not None and not training:
            return images
        return self._augment(images, seed)

    def _augment(self, images: tf.Tensor, seed: int | tf.Tensor | None) -> tf.Tensor:
        seed = self._next_seed() if seed is None else random.as_seed(seed)
        return self.apply(images, self.sample(self._shape(images), seed))

    def _next_seed(self) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        several = context is not None and context.num_replicas_in_sync > 1
        replica = context.replica_id_in_sync_group if several else None
        calls = tf.convert_to_tensor(self.calls)
        self.calls.assign(calls + 1)
        return random.derive(self.seed, "augment", step=calls, replica=replica)

    def _checked(self, images: tf.Tensor) -> tf.Tensor:
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating:
            raise ValueError(
                f"{self.name} takes floating images. Received: images.dtype={images.dtype.name}."
            )
        if images.shape.rank != 4:
            raise ValueError(
                f"{self.name} takes images of rank 4. Received: images.shape={images.shape}."
            )
        return images

    def _shape(self, images: tf.Tensor) -> list[int | tf.Tensor]:
        static, dynamic = images.shape.as_list(), tf.shape(images)
        sizes = [dynamic[i] if size is None else size for i, size in enumerate(static)]
        if self.data_format == "channels_first":
            sizes = [sizes[i] for i in (0, 2, 3, 1)]
        return sizes

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        return input_shape

    def compute_output_spec(self, images: Any, training: Any = True, seed: Any = None) -> Any:
        del training, seed
        return keras.KerasTensor(images.shape, dtype=images.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "value_range": list(self.value_range),
            "data_format": self.data_format,
            "clip": self.clip,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="tf_diffaug")
class DiffAugment(AugmentationLayer):
    """Applies a policy: DiffAugment (arXiv:2006.10738) for `color,translation,cutout`.

    >>> augment = DiffAugment("color,translation,cutout", seed=0)
    >>> augment(tf.zeros([8, 32, 32, 3])).shape
    TensorShape([8, 32, 32, 3])

    Args:
        policy: a policy string, a `Policy` or a sequence of ops; `none` and `''` are the identity.
        **kwargs: those of `AugmentationLayer`.
    """

    def __init__(self, policy: str | Policy | Sequence[Op], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.policy = as_policy(policy)

    @property
    def mixes(self) -> bool:
        return any(op.mixes for op in self.policy.ops)

    def sample(self, shape: Shape, seed: int | tf.Tensor) -> list[transforms.Params]:
        return self.policy.sample(shape, random.as_seed(seed))

    def params_at(self, quantile: float, shape: Shape) -> list[transforms.Params]:
        """The parameters at one quantile of every op's ranges: 0 and 1 are the ends."""
        return self.policy.params_at(quantile, shape)

    def apply_params(self, images: tf.Tensor, params: Sequence[transforms.Params]) -> tf.Tensor:
        return self.policy.apply(images, params, value_range=self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "policy": str(self.policy)}


class OpLayer(AugmentationLayer):
    """One op as a layer. Subclasses name the op's settings in their `__init__`."""

    def __init__(self, op: Op, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op = op

    @property
    def mixes(self) -> bool:
        return self.op.mixes

    def sample(self, shape: Shape, seed: int | tf.Tensor) -> transforms.Params:
        return self.op.sample(shape, random.as_seed(seed))

    def params_at(self, quantile: float, shape: Shape) -> transforms.Params:
        """The parameters at one quantile of the op's ranges: 0 and 1 are the ends."""
        return self.op.params_at(quantile, shape)

    def apply_params(self, images: tf.Tensor, params: transforms.Params) -> tf.Tensor:
        return Policy((self.op,)).apply(images, [params], value_range=self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **dataclasses.asdict(self.op)}
