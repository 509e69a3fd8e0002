"""The batches that a step shows to D, by name, and the one pass that judges them all.

Views are named `real`, `fake`, `real_aug`, `fake_aug`; a regularizer may define more. Losses and
regularizers say which they need; only those are made. One pass over all of them is faster than one
each, and a discriminator that looks across the batch says so (`views="separate"`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_diffaug._keras import sublayers
from tf_diffaug.layers import MinibatchStddev, batch_views
from tf_diffaug.training.calls import Outputs, call_discriminator
from tf_diffaug.training.draws import Augmentation


class Mode(NamedTuple):
    """The views that the adversarial losses look at."""

    d_real: str
    d_fake: str
    g_fake: str


class Views:
    """The images of one step, made when first asked for.

    Args:
        real: real images, float (batch, height, width, channels) in [-1, 1].
        fake: generated images of the same shape, or None in a step that has none.
        augment_real: this step's draw of the augmentation for reals, which it replays.
        augment_fake: augments fakes, likewise.
        labels: int32 (batch,) of `real` and `fake`, for conditional networks; augmented images
            keep theirs.
    """

    def __init__(
        self,
        real: tf.Tensor | None,
        fake: tf.Tensor | None,
        *,
        augment_real: Augmentation,
        augment_fake: Augmentation,
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
        return self._labels.get(self.kind(name))

    def kind(self, name: str) -> str:
        """`real` or `fake`."""
        return self._kinds[name]


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
            name: _in_one_pass(discriminator, views, [name], features=features)[name]
            for name in names
        }
    return _in_one_pass(discriminator, views, names, features=features)


def _in_one_pass(
    discriminator: keras.Model, views: Views, names: list[str], *, features: bool
) -> dict[str, Outputs]:
    labels = [views.labels(name) for name in names]
    with batch_views({name: views.kind(name) for name in names}) as passed:
        outputs = call_discriminator(
            discriminator,
            tf.concat([views[name] for name in names], axis=0),
            None if labels[0] is None else tf.concat(labels, axis=0),
            features=features,
        )
    if passed.squared_means:
        outputs = outputs._replace(squared_means=tf.add_n(passed.squared_means))
    parts = [
        [None] * len(names) if output is None else tf.split(output, len(names))
        for output in tf.nest.flatten(outputs)
    ]
    return {
        name: tf.nest.pack_sequence_as(outputs, part)
        for name, *part in zip(names, *parts, strict=True)
    }


def group_size(discriminator: keras.Model) -> int:
    """How many neighbours in the batch D compares, 1 if none."""
    if not isinstance(discriminator, keras.layers.Layer):
        return 1
    return math.lcm(1, *(s.group_size for s in sublayers(discriminator, MinibatchStddev)))


def check_groups(discriminator: keras.Model, batch_size: int | tf.Tensor) -> None:
    """Makes sure that no group of D's minibatch statistics holds images of two views.

    Args:
        discriminator: D.
        batch_size: images of one view on one replica; nothing is known of a tensor.

    Raises:
        ValueError: if the batch is not a multiple of the group.
    """
    group = group_size(discriminator)
    if isinstance(batch_size, int) and batch_size % group:
        raise ValueError(
            f"This discriminator compares images in groups of {group}: a replica's batch must be a "
            "multiple of that, or the groups smaller, as those of "
            f"stylegan2(group_size={math.gcd(group, batch_size)}). "
            f"Received: batch_size={batch_size} on each replica."
        )
