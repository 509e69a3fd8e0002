"""The Keras layer of an op, made from the op's fields."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment.layer import AugmentationLayer
from tf_diffaug.augment.maps import image_shape
from tf_diffaug.augment.op import Op, Params, Shape

# Names that an op's layer or its fields would hide.
RESERVED = (
    *(
        "AffineMap",
        "AugmentationLayer",
        "ColorMap",
        "DiffAugment",
        "FunctionMap",
        "Op",
        "OpLayer",
        "PixelMap",
    ),
    *("Policy", "ResampleMap", "value_range", "data_format", "clip", "seed", "dtype", "name"),
    *("trainable", "kwargs"),
)


class OpLayer(AugmentationLayer):
    """One op as a layer. `register` makes a subclass of each op, whose arguments are its fields."""

    op_class: ClassVar[type[Op]]

    def __init__(self, op: Op, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.op = op

    @property
    def mixes(self) -> bool:
        return self.op.mixes

    def sample(self, shape: Shape, seed: int | tf.Tensor) -> Params:
        return self.op.sample(shape, random.as_seed(seed))

    def params_at(self, quantile: float, shape: Shape) -> Params:
        """The parameters at one quantile of the op's ranges: 0 and 1 are the ends."""
        return self.op.params_at(quantile, shape)

    def apply_params(self, images: tf.Tensor, params: Params) -> tf.Tensor:
        return self.op.lower(params, image_shape(images), self.value_range)(images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **dataclasses.asdict(self.op)}

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value!r}" for key, value in vars(self.op).items())
        return f"<{type(self).__name__}({settings}), name={self.name}>"


def layer_name(op: type[Op]) -> str:
    """The name of the op's layer: its class's without `Op` at the end."""
    return op.__name__.removesuffix("Op") or op.__name__


def make_layer(op: type[Op]) -> type[OpLayer]:
    """The layer of an op: the strength is its first argument, the other fields go by keyword."""
    fields = dataclasses.fields(op)
    signature = _signature(fields)

    def __init__(self: OpLayer, *args: Any, **kwargs: Any) -> None:
        given = signature.bind(self, *args, **kwargs).arguments
        settings = {field.name: given[field.name] for field in fields if field.name in given}
        OpLayer.__init__(self, op(**settings), **given.get("kwargs", {}))

    __init__.__signature__ = signature
    name = layer_name(op)
    attributes = {
        "__init__": __init__,
        "__doc__": f"{inspect.getdoc(op)}\n\nTakes the arguments of `AugmentationLayer` besides.",
        # Where it is found under its name, which is what pickling goes by.
        "__module__": "tf_diffaug.augment",
        "op_class": op,
    }
    layer = type(name, (OpLayer,), attributes)
    return keras.saving.register_keras_serializable(package="tf_diffaug")(layer)


def _signature(fields: tuple[dataclasses.Field, ...]) -> inspect.Signature:
    """(self, strength, *, ..., **kwargs), with the fields' defaults and types."""
    kinds = inspect.Parameter
    parameters = [kinds("self", kinds.POSITIONAL_OR_KEYWORD)]
    for field in fields:
        missing = field.default is dataclasses.MISSING
        parameters.append(
            kinds(
                field.name,
                kinds.KEYWORD_ONLY if len(parameters) > 1 else kinds.POSITIONAL_OR_KEYWORD,
                default=kinds.empty if missing else field.default,
                annotation=field.type,
            )
        )
    parameters.append(kinds("kwargs", kinds.VAR_KEYWORD, annotation=Any))
    return inspect.Signature(parameters, return_annotation=None)
