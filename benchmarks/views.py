"""The operations of one view more of D, and of one pass of D or G: what `implied` ratios are of."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks import operations
from tf_diffaug._keras import raw_variables


def of_view(discriminator: Any, batch_size: int, side: int) -> tuple[int, int]:
    """The operations of one view more in D's update and in G's.

    Args:
        discriminator: D.
        batch_size: images of a view.
        side: their height and width.
    """
    weights = raw_variables(discriminator, trainable=True)

    def count(views: int, *, of_images: bool) -> int:
        @tf.function(autograph=False)
        def run(images: tf.Tensor) -> Any:
            with tf.GradientTape(watch_accessed_variables=not of_images) as tape:
                if of_images:
                    tape.watch(images)
                logits = discriminator(images, training=True)
            return logits, tape.gradient(logits, images if of_images else weights)

        spec = tf.TensorSpec((views * batch_size, side, side, 3))
        return operations.count(run.get_concrete_function(spec).graph)

    # The spectral norms' share is the same for one view and for two.
    return tuple(count(2, of_images=g) - count(1, of_images=g) for g in (False, True))


def of_pass(networks: tuple[Any, Any], inputs: tuple[Any, Any]) -> tuple[int, int]:
    """The operations of one pass of D and one of G that train nothing.

    Args:
        networks: D and G.
        inputs: the shapes of what they take.
    """

    def count(network: Any, shape: tuple[int, ...]) -> int:
        run = tf.function(lambda x: network(x, training=False), autograph=False)
        return operations.count(run.get_concrete_function(tf.TensorSpec(shape)).graph)

    return tuple(count(*pair) for pair in zip(networks, inputs, strict=True))
