"""Initial weights of layers that own several kernels."""

from __future__ import annotations

from typing import Any

import keras

from tf_diffaug.random import derive_int


def seeded(initializer: Any, seed: int | None, index: int) -> keras.initializers.Initializer:
    """A copy of an initializer for the `index`-th kernel, with a seed of its own.

    One instance used twice would draw the same numbers twice.

    Args:
        initializer: a Keras initializer or its name.
        seed: the layer's seed. None draws anew each time; 0 is a seed.
        index: which of the layer's kernels.
    """
    initializer = keras.initializers.get(initializer)
    config = initializer.get_config()
    if "seed" not in config:
        return initializer
    own = None if seed is None else derive_int(seed, "init", index=index)
    return type(initializer).from_config({**config, "seed": own})
