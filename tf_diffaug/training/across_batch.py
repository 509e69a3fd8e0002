"""Whether a discriminator may judge all views in one pass."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import operations, raw_variables, sublayers
from tf_diffaug.layers import BatchNorm, batch_views, hold_power_iteration
from tf_diffaug.naming import unknown
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.views import group_size

VIEWS = ("auto", "joint", "separate")

# Those of Keras that treat each image by itself, whatever their options; an `axis` and an
# `activation` are looked at.
_PER_IMAGE = (
    *("Activation", "Add", "Average", "AveragePooling2D", "Concatenate", "Conv2D"),
    *("Conv2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "ELU", "Embedding"),
    *("Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling2D"),
    *("GlobalMaxPooling2D", "GroupNormalization", "InputLayer", "LayerNormalization", "LeakyReLU"),
    *("MaxPooling2D", "Maximum", "Multiply", "PReLU", "Permute", "ReLU", "Rescaling"),
    *("RepeatVector", "Reshape", "SeparableConv2D", "SpatialDropout2D", "SpectralNormalization"),
    *("Subtract", "UpSampling2D", "ZeroPadding2D"),
)
_KNOWN = frozenset(getattr(keras.layers, name) for name in _PER_IMAGE)


def check_views(views: str) -> None:
    """Raises a ValueError for a way to judge views that there is not."""
    if views not in VIEWS:
        raise ValueError(unknown("views", views, VIEWS))


def are_joint(views: str, networks: Networks) -> bool:
    """Whether D judges all views in one pass, by one of `VIEWS`."""
    if views != "auto":
        return views == "joint"
    shape, classes = networks.image_shape, networks.num_classes
    return not looks_across_batch(networks.discriminator, shape, classes)


def looks_across_batch(
    discriminator: keras.Model, image_shape: tuple[int, ...], num_classes: int | None = None
) -> bool:
    """Whether D's output for one view depends on what shares its pass.

    A batch norm is known to, and layers of Keras and of this package are known not to. A D with any
    others is tried, in training, with its variables put back. Random draws, as of dropout, are no
    look across the batch.

    Args:
        discriminator: a built D.
        image_shape: (height, width, channels).
        num_classes: the number of classes, None for an unconditional D.
    """
    kinds = (keras.layers.BatchNormalization, BatchNorm)
    if any(sublayers(discriminator, kind) for kind in kinds):
        return True
    if all(_is_per_image(operation) for operation in operations(discriminator)):
        return False
    variables = raw_variables(discriminator)
    before = [tf.identity(variable) for variable in variables]
    try:
        _wake(raw_variables(discriminator, trainable=True))
        # As in a step: else its spectral norms would move from one call to the next.
        with hold_power_iteration(discriminator):
            return _is_moved(discriminator, image_shape, num_classes)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _is_per_image(operation: Any) -> bool:
    kind, root = type(operation), type(operation).__module__.split(".")[0]
    if root == "tf_diffaug" or (root == "keras" and isinstance(operation, keras.Model)):
        return True  # a Keras model that is nobody's own is the sum of its layers
    axes = getattr(operation, "axis", None)
    activation = getattr(operation, "activation", None)
    own = activation is not None and _root(activation) not in ("keras", "tensorflow")
    return kind in _KNOWN and 0 not in tf.nest.flatten(axes) and not own


def _root(function: Any) -> str:
    return str(getattr(function, "__module__", "")).split(".")[0]


def _wake(variables: list[tf.Variable]) -> None:
    # A weight that begins at zero, as a gate does, would hide what is behind it.
    for variable in variables:
        if not bool(tf.reduce_any(variable != 0)):
            variable.assign(tf.fill(variable.shape, tf.cast(0.1, variable.dtype)))


def _is_moved(discriminator: keras.Model, image_shape: tuple, num_classes: int | None) -> bool:
    """Whether the second view of a pass has a say in the logits of the first."""
    size = max(2, group_size(discriminator))
    seeds = (random.fold_in(random.derive(0, "measure"), index) for index in range(3))
    one, other, another = (random.uniform([size, *image_shape], s, -1.0, 1.0) for s in seeds)
    # A dark one, and a bright one of another contrast.
    other, another = 0.5 * other - 0.5, 0.25 * another + 0.5
    labels = None if num_classes is None else tf.range(2 * size) % num_classes

    def judge(beside: tf.Tensor) -> tf.Tensor:
        # As in a step: what keeps the views apart is told where they are.
        with batch_views({"real": "real", "fake": "fake"}, seed=random.as_seed(2)):
            output = call_discriminator(discriminator, tf.concat([one, beside], axis=0), labels)
        return tf.reshape(tf.cast(output.logits, tf.float32), [2, -1])[0]

    with tf.GradientTape() as tape:
        tape.watch(other)
        logits = judge(other)
        # Unlike weights: the sum over a view may be the same whatever the other one is.
        total = tf.reduce_sum(logits * random.uniform(logits.shape, random.as_seed(1), 0.5, 1.0))
    gradient = tape.gradient(total, other)
    if gradient is not None and bool(tf.reduce_any(gradient != 0)):
        return True
    # What has no gradient, such as a rank, shows in the logits alone, unless they are random.
    allowed = 1e-5 * tf.reduce_max(tf.abs(logits)) + 1e-6
    moved = tf.reduce_max(tf.abs(judge(another) - logits)) > allowed
    return bool(moved) and bool(tf.reduce_max(tf.abs(judge(other) - logits)) <= allowed)
