"""What the checks of `testing.py` look at: images, tolerances and every op's layer."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_diffaug.augment.layer import AugmentationLayer
from tf_diffaug.augment.policy import parse_policy
from tf_diffaug.augment.registry import registered_layers

Make = Callable[..., AugmentationLayer]

SHAPE = (8, 12, 10, 3)
TOLERANCE = {"float64": 1e-6, "float32": 1e-5, "float16": 1e-2, "bfloat16": 6e-2}


def make_images(shape: tuple[int, ...] = SHAPE, dtype: str = "float32") -> tf.Tensor:
    """Images in [-1, 1], the same each time."""
    return tf.cast(tf.random.stateless_uniform(shape, [1, 2], -1.0, 1.0), dtype)


def assert_close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Asserts equality up to a tolerance, absolute and relative."""
    actual, expected = (tf.cast(x, tf.float64).numpy() for x in (actual, expected))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def differ(a: Any, b: Any) -> bool:
    return not np.array_equal(tf.convert_to_tensor(a).numpy(), tf.convert_to_tensor(b).numpy())


def makes_of_ops() -> dict[str, Make]:
    """For every registered op how to make its layer, plain and in each of its `cases`, by text."""
    makes: dict[str, Make] = {}
    for layer in registered_layers().values():
        op = layer.op_class
        plain = dataclasses.fields(op)[0].default is not dataclasses.MISSING
        for text in (op.name if plain else f"{op.name}:{op.example:g}", *op.cases):
            (found,) = parse_policy(text).ops
            makes[text] = functools.partial(layer, **dataclasses.asdict(found))
    return makes
