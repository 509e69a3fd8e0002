"""The batches that a step shows to D, by name, and the one pass that judges them all.

Views are named `real`, `fake`, `real_aug`, `fake_aug`; a regularizer may define more. Losses and
regularizers say which they need; only those are made. One pass over all of them is faster than one
each, and a discriminator that looks across the batch says so (`views="separate"`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import raw_variables, sublayers
from tf_diffaug.layers import BatchNorm, MinibatchStddev, hold_power_iteration
from tf_diffaug.training.calls import Outputs, call_discriminator

Augment = Callable[[tf.Tensor], tf.Tensor]


class Views:
    """The images of one step, made when first asked for.

    Args:
        real: real images, float (batch, height, width, channels) in [-1, 1].
        fake: generated images of the same shape, or None in a step that has none.
        augment_real: T with this step's draw for the reals; called again, it replays that draw.
        augment_fake: T with this step's draw for the fakes.
        labels: int32 (batch,) of `real` and `fake`, for conditional networks. T keeps labels.
    """

    def __init__(
        self,
        real: tf.Tensor | None,
        fake: tf.Tensor | None,
        *,
        augment_real: Augment,
        augment_fake: Augment,
        labels: Mapping[str, tf.Tensor | None] | None = None,
    ) -> None:
        self._images = {"real": real, "fake": fake}
        self.augment = {"real": augment_real, "fake": augment_fake}
        self._labels = labels or {}
        self._makers: dict[str, Callable[[], tf.Tensor]] = {
            f"{kind}_aug": lambda kind=kind: self.augment[kind](self[kind])
            for kind in ("real", "fake")
        }
        self._kinds = {name: name.removesuffix("_aug") for name in (*self._images, *self._makers)}

    def define(self, name: str, kind: str, make: Callable[[], tf.Tensor]) -> str:
        """Adds a view of a regularizer's own; returns its name.

        Args:
            name: of the view; a regularizer begins it with its own.
            kind: `real` or `fake`: whose labels its images have.
            make: makes the images, as many as of every view, when they are first asked for.
        """
        if name in self._kinds:
            raise ValueError(f"There is a view of this name already. Received: name={name!r}.")
        self._makers[name], self._kinds[name] = make, kind
        return name

    def __getitem__(self, name: str) -> tf.Tensor:
        if name not in self._images:
            self._images[name] = self._makers[name]()
        return self._images[name]

    def labels(self, name: str) -> tf.Tensor | None:
        """The labels of a view's images, if there are any."""
        return self._labels.get(self._kinds[name])


def discriminate(
    discriminator: keras.Model,
    views: Views,
    names: Iterable[str],
    *,
    joint: bool,
    features: bool = False,
) -> dict[str, Outputs]:
    """D's outputs for each of the named views, from one pass if `joint`."""
    names = list(dict.fromkeys(names))
    # Whether groups end where views do can't be known of a batch of unknown size.
    unknown_size = views[names[0]].shape[0] is None and group_size(discriminator) > 1
    if not joint or len(names) == 1 or unknown_size:
        return {
            name: call_discriminator(
                discriminator, views[name], views.labels(name), features=features
            )
            for name in names
        }
    labels = [views.labels(name) for name in names]
    outputs = call_discriminator(
        discriminator,
        tf.concat([views[name] for name in names], axis=0),
        None if labels[0] is None else tf.concat(labels, axis=0),
        features=features,
    )
    parts = [
        [None] * len(names) if output is None else tf.split(output, len(names))
        for output in outputs
    ]
    return {name: Outputs(*pair) for name, *pair in zip(names, *parts, strict=True)}


def looks_across_batch(
    discriminator: keras.Model, image_shape: tuple[int, ...], num_classes: int | None = None
) -> bool:
    """Whether D's output for one view depends on what shares its pass.

    It is tried on two batches joined and apart, in training, with D's variables put back. A D that
    draws numbers of its own (dropout) counts as one that does: apart is always right.

    Args:
        discriminator: a built D.
        image_shape: (height, width, channels).
        num_classes: the number of classes, None for an unconditional D.
    """
    kinds = (keras.layers.BatchNormalization, BatchNorm)
    if any(sublayers(discriminator, kind) for kind in kinds):
        return True
    variables = raw_variables(discriminator)
    before = [tf.identity(variable) for variable in variables]
    try:
        _wake(raw_variables(discriminator, trainable=True))
        # As in a step: else its spectral norms would move from one call to the next.
        with hold_power_iteration(discriminator):
            return _moves(discriminator, image_shape, num_classes)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _wake(variables: list[tf.Variable]) -> None:
    # A weight that begins at zero, as a gate does, would hide what is behind it.
    for variable in variables:
        if not bool(tf.reduce_any(variable != 0)):
            variable.assign(tf.fill(variable.shape, tf.cast(0.1, variable.dtype)))


def _moves(discriminator: keras.Model, image_shape: tuple, num_classes: int | None) -> bool:
    size = max(2, group_size(discriminator))
    images = random.uniform([2 * size, *image_shape], random.derive(0, "measure"), -1.0, 1.0)
    # Of two views with unlike statistics.
    images *= tf.reshape(tf.repeat([1.0, 0.25], size), [-1, 1, 1, 1])
    labels = None if num_classes is None else tf.range(2 * size) % num_classes

    def judge(rows: slice) -> tf.Tensor:
        some = None if labels is None else labels[rows]
        output = call_discriminator(discriminator, images[rows], some)
        return tf.reshape(tf.cast(output.logits, tf.float32), [-1])

    whole, again = judge(slice(None)), judge(slice(None))
    apart = tf.concat([judge(slice(size)), judge(slice(size, None))], axis=0)
    # Rounding, of another kernel for another size too, is far below what a layer moves.
    coarse = discriminator.compute_dtype != "float32"
    allowed = (0.05 if coarse else 2e-3) * tf.reduce_max(tf.abs(whole)) + 1e-6
    return bool(tf.reduce_max(tf.maximum(abs(whole - again), abs(whole - apart))) > allowed)


def group_size(discriminator: keras.Model) -> int:
    """How many neighbours in the batch D compares, 1 if none."""
    if not isinstance(discriminator, keras.layers.Layer):
        return 1
    return math.lcm(1, *(s.group_size for s in sublayers(discriminator, MinibatchStddev)))


def check_groups(discriminator: keras.Model, batch_size: int) -> None:
    """Makes sure that no group of D's minibatch statistics holds images of two views.

    Args:
        discriminator: D.
        batch_size: images of one view on one replica.

    Raises:
        ValueError: if the batch is not a multiple of the group.
    """
    group = group_size(discriminator)
    if batch_size % group:
        raise ValueError(
            f"This discriminator compares images in groups of {group}: a replica's batch must be a "
            "multiple of that, or the groups smaller, as those of "
            f"stylegan2(group_size={math.gcd(group, batch_size)}). "
            f"Received: batch_size={batch_size} on each replica."
        )
