"""What every augmentation layer is, in Keras' terms: draws, data format, range, seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import KERAS_3, add_state_weight
from tf_diffaug.augment.maps import check_dtype, checked_images
from tf_diffaug.augment.op import Shape

_DATA_FORMATS = ("channels_last", "channels_first")
_PHILOX = 1  # as `tf.random.Algorithm`
_COUNTER_STEP = 256  # what `RngReadAndSkip` advances a Philox state by


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
        data_format: `channels_last` for images (N, H, W, C), `channels_first` for (N, C, H, W);
            None is Keras' `image_data_format()` of when the layer is made.
        clip: whether to clip the output to the value range, which stops gradients there.
        seed: an integer; None draws one, once, from Python's generator, which
            `keras.utils.set_random_seed` seeds, and keeps it in the configuration.
        dtype: what images are cast to; None leaves each in its own dtype, under a global dtype
            policy too.
        **kwargs: those of `keras.layers.Layer`.

    Call arguments:
        images: floating tensor of rank 4, or of rank 3 for one image. The output has its shape, and
            its dtype unless the layer has one.
        training: False for the identity.
        seed: an integer, a scalar integer tensor or one of shape (2,), for a stateless call.

    Raises:
        ValueError: if an argument is not one of its choices, or images are not floating, not of
            rank 3 or 4, or have an unknown number of channels.
    """

    def __init__(
        self,
        *,
        value_range: tuple[float, float] = (-1.0, 1.0),
        data_format: str | None = None,
        clip: bool = False,
        seed: int | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        # With autocasting on, Keras turns float16 and bfloat16 images into float32.
        super().__init__(**{"autocast": False, "dtype": dtype, **kwargs})
        low, high = map(float, value_range)
        if not low < high:
            raise ValueError(f"value_range is (black, white). Received: value_range={value_range}.")
        if data_format is None:
            data_format = keras.backend.image_data_format()
        if data_format not in _DATA_FORMATS:
            raise ValueError(
                f"data_format is one of {', '.join(_DATA_FORMATS)}. "
                f"Received: data_format={data_format!r}."
            )
        self.value_range = (low, high)
        self.data_format = data_format
        self.clip = clip
        self.seed = random.fresh_seed() if seed is None else random.whole_seed(seed)
        self._casts = dtype is not None
        # Each replica counts for itself: a mirrored counter could not be advanced inside a step.
        # It is the state of a counter-based generator, which one op reads and advances: calls that
        # run at once never see the same number, as they may between a reading and a writing.
        self._counter = add_state_weight(self, "calls", (3,), dtype="int64", initializer="zeros")

    @property
    def calls(self) -> tf.Tensor:
        """How many calls without a seed there have been, int64."""
        return tf.convert_to_tensor(self._counter)[0] // _COUNTER_STEP

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
            images: floating tensor in the layer's data format, or one image without a batch.
            params: what `sample` returned, or rows of it; for one image, of a batch of one.
        """
        images = self._checked(images)
        if images.shape.rank == 3:
            return self.apply(images[None], params)[0]
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
        if images.shape.rank == 3:
            return self.apply(images[None], self.sample(self._shape(images[None]), seed))[0]
        return self.apply(images, self.sample(self._shape(images), seed))

    def _next_seed(self) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        several = context is not None and context.num_replicas_in_sync > 1
        replica = context.replica_id_in_sync_group if several else None
        state = self._counter.value if KERAS_3 else self._counter
        before = tf.raw_ops.RngReadAndSkip(
            resource=state.handle, alg=tf.constant(_PHILOX), delta=tf.constant(1, tf.uint64)
        )
        calls = before[0] // _COUNTER_STEP
        return random.derive(self.seed, "augment", step=calls, replica=replica)

    def _checked(self, images: tf.Tensor) -> tf.Tensor:
        axis = -3 if self.data_format == "channels_first" else -1
        images = checked_images(images, self.name, value_range=self.value_range, channels_axis=axis)
        return tf.cast(images, self.compute_dtype) if self._casts else images

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
        check_dtype(images.dtype, self.name, self.value_range)
        dtype = self.compute_dtype if self._casts else images.dtype
        return keras.KerasTensor(images.shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            **config,
            "dtype": config["dtype"] if self._casts else None,
            "value_range": list(self.value_range),
            "data_format": self.data_format,
            "clip": self.clip,
            "seed": self.seed,
        }
