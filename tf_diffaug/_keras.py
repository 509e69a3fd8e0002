"""What Keras 2 and Keras 3 do differently, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

KERAS_3 = keras.__version__.startswith("3.")

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "tf_diffaug needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}."
    )


def add_weight(
    layer: keras.layers.Layer,
    name: str,
    shape: Sequence[int],
    *,
    dtype: str,
    initializer: str | Callable,
) -> tf.Variable:
    """Adds a trainable weight that mixed precision leaves in its own dtype."""
    autocast = {"autocast" if KERAS_3 else "experimental_autocast": False}
    return layer.add_weight(
        name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=True, **autocast
    )


def add_state_weight(
    layer: keras.layers.Layer,
    name: str,
    shape: Sequence[int],
    *,
    dtype: str,
    initializer: str | Callable,
) -> tf.Variable:
    """Adds a non-trainable weight that every replica may assign on its own.

    Under `tf.distribute` each replica has its copy, read and assigned without communication, inside
    loops too. Outside the replicas, and in checkpoints, it is the first replica's: what is assigned
    must be the same on all of them, or of interest on the first alone.

    Args:
        layer: the layer that owns it. Call this from its `__init__` or `build`.
        name: the weight's name.
        shape: its shape.
        dtype: its dtype, kept under mixed precision.
        initializer: a Keras initializer, its name, or a function of `(shape, dtype)`.

    Returns:
        The variable. The caller keeps it as an attribute of the layer, which is what tracks it.
    """
    if not KERAS_3:
        return layer.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            experimental_autocast=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
    # `add_weight` of Keras 3 cannot say when replicas synchronise.
    return keras.Variable(
        keras.initializers.get(initializer),
        shape=shape,
        dtype=dtype,
        trainable=False,
        autocast=False,
        name=name,
        synchronization="on_read",
        aggregation="only_first_replica",
    )


def sublayers(network: keras.layers.Layer, kind: type) -> list:
    """All layers of class `kind` in a layer or model, itself included, at any depth.

    The walk is private API, present and equal in both: the public ways (`submodules`,
    `tf.train.TrackableView`) do not see layers that Keras 3 finds inside lists and dicts.
    """
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]


def operations(network: keras.layers.Layer) -> list:
    """All that a layer or model is made of, at any depth: its layers, and operations without one.

    Keras 3 keeps `keras.ops` of a functional model as operations, which Keras 2 makes layers of.
    """
    layers = sublayers(network, keras.layers.Layer)
    return [*layers, *(op for layer in layers for op in getattr(layer, "operations", ()))]


def layer_variables(network: keras.layers.Layer) -> dict[str, list[tf.Variable]]:
    """The variables of each layer, TensorFlow's own, by its path in the network.

    A wrapper, such as a spectral norm, is one layer with what it wraps. A variable that the network
    itself owns stands under its own name. Layers that are named alike are told apart by their
    place alone, so that only networks whose layers have names of their own should be compared.

    Args:
        network: a built network.
    """
    found: dict[str, list[tf.Variable]] = {}

    def walk(layer: keras.layers.Layer, path: tuple[str, ...]) -> None:
        # Layer by layer: in `variables` the order depends on what is trainable.
        known = set()
        for inner in layer._flatten_layers(recursive=False, include_self=False):
            is_wrapped = isinstance(layer, keras.layers.Wrapper)
            walk(inner, path if is_wrapped else (*path, inner.name))
            known |= {id(variable) for variable in raw_variables(inner)}
        for variable in raw_variables(layer):
            if id(variable) not in known:
                own = () if path else (variable.name.rsplit("/", 1)[-1].removesuffix(":0"),)
                found.setdefault("/".join(path or own), []).append(variable)

    walk(network, ())
    return found


def ordered_variables(network: keras.layers.Layer) -> list[tf.Variable]:
    """The variables of a network, TensorFlow's own, in an order that a copy of it has too.

    That of `raw_variables` depends on what is trainable: under Keras 2 a frozen layer of a list
    moves behind the others, and a copy made from the configuration is not frozen.

    Args:
        network: a built network.
    """
    each = (v for variables in layer_variables(network).values() for v in variables)
    return list({id(variable): variable for variable in each}.values())


def raw_variables(owner: Any, *, trainable: bool = False) -> list[tf.Variable]:
    """The variables of a layer, model or optimizer as TensorFlow's own, in a fixed order.

    Args:
        owner: what has `variables`. Those of Keras 3 include the states of its random layers.
        trainable: whether only the trainable ones are wanted.
    """
    variables = owner.trainable_variables if trainable else owner.variables
    return [variable.value if KERAS_3 else variable for variable in variables]
