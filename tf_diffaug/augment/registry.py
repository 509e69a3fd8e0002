"""The known ops: how one is registered, and what follows from it, its layer and line of docs."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Iterator

import keras

from tf_diffaug.augment.op import Op
from tf_diffaug.augment.op_layer import RESERVED, OpLayer, layer_name, make_layer
from tf_diffaug.language import WORD, literal

_OPS: dict[str, type[Op]] = {}
_LAYERS: dict[str, type[OpLayer]] = {}


def register(op: type[Op]) -> type[Op]:
    """Makes an op part of the policy language, the layers and the table; a class decorator.

    The policy knows it by its `name`. Its layer has its class's name without `Op` at the end
    (`CutoutOp`: `tf_diffaug.augment.Cutout`), its fields as arguments and its docstring.

    Raises:
        ValueError: if it could not work: it is no frozen dataclass of `Op`, has no field `strength`
            first, lacks a method or `num_draws`, or its name or its layer's is taken or not a word.
    """
    _check_class(op)
    _check_name(op)
    _check_fields(op)
    _OPS[op.name] = op
    _LAYERS[layer_name(op)] = make_layer(op)
    return op


@contextlib.contextmanager
def temporarily_registered(op: type[Op]) -> Iterator[type[Op]]:
    """Registers an op for the length of a `with` block."""
    register(op)
    try:
        yield op
    finally:
        del _OPS[op.name]
        layer = _LAYERS.pop(layer_name(op))
        keras.saving.get_custom_objects().pop(keras.saving.get_registered_name(layer))


def registered_ops() -> dict[str, type[Op]]:
    """The known ops by name, sorted."""
    return dict(sorted(_OPS.items()))


def registered_layers() -> dict[str, type[OpLayer]]:
    """The layers made of the known ops by their class's name, sorted."""
    return dict(sorted(_LAYERS.items()))


def check_registered(op: Op) -> None:
    """Refuses to write an op down that could not be read again.

    Raises:
        ValueError: if its class is not registered.
    """
    if _OPS.get(op.name) is not type(op):
        raise ValueError(
            f"{type(op).__name__} is not registered, so that a configuration with it could not be "
            f"loaded: decorate the class with tf_diffaug.augment.register. Received: op={op}."
        )


def ops_table() -> str:
    """The table of docs/policy.md in Markdown: a line for each registered op."""
    lines = [
        "| name | what it does | draw | strength (default) | other arguments |",
        "|---" * 5 + "|",
    ]
    for name, op in registered_ops().items():
        strength, *others = map(_argument, dataclasses.fields(op))
        effect = op.effect or inspect.getdoc(op).splitlines()[0]
        lines.append(f"| `{name}` | {effect} | {op.draws} | {strength} | {', '.join(others)} |")
    return "\n".join(line.replace("|  |", "| |") for line in lines) + "\n"


def _argument(field: dataclasses.Field) -> str:
    if field.default is dataclasses.MISSING:
        return f"`{field.name}`"
    default = field.default
    number = isinstance(default, float)
    return f"`{field.name}` ({f'{default:.3g}' if number else f'`{literal(default)}`'})"


def _check_class(op: type[Op]) -> None:
    if not (isinstance(op, type) and issubclass(op, Op)):
        raise ValueError(f"An op is a subclass of tf_diffaug.augment.Op. Received: op={op!r}.")
    if "__dataclass_fields__" not in vars(op):
        raise ValueError(
            "An op is a frozen dataclass: decorate the class with "
            f"@dataclasses.dataclass(frozen=True), below @register. Received: op={op.__name__}."
        )
    samples = op.sample is not Op.sample
    if not samples and not isinstance(getattr(op, "num_draws", None), int):
        raise ValueError(
            "An op says how many uniform numbers an image draws: num_draws = 0 or more. "
            f"Received: op={op.__name__}."
        )
    for method in ("sample", "params_at") if samples else ("params",), ("lower",):
        for name in method:
            if getattr(op, name) is getattr(Op, name):
                raise ValueError(f"An op states {name}(). Received: op={op.__name__}.")


def _check_name(op: type[Op]) -> None:
    name = getattr(op, "name", None)
    text = isinstance(name, str)
    if not text or not WORD.fullmatch(name) or name != name.lower() or name == "none":
        raise ValueError(f"An op's name is a lower-case word. Received: name={name!r}.")
    if name in _OPS:
        raise ValueError(f"There is an op of this name already. Received: name={name!r}.")
    if layer_name(op) in _LAYERS or layer_name(op) in RESERVED:
        raise ValueError(
            f"There is a layer of this class's name already: {layer_name(op)}. "
            f"Received: op={op.__name__}."
        )


def _check_fields(op: type[Op]) -> None:
    fields = dataclasses.fields(op)
    if not fields or fields[0].name != "strength":
        raise ValueError(
            "An op's first field is its strength, as in `strength: float = 0.5`. "
            f"Received: op={op.__name__} with fields={[field.name for field in fields]}."
        )
    default = fields[0].default
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    stated = fields[0].type in (float, "float")
    if not stated or not (number or default is dataclasses.MISSING):
        raise ValueError(
            "An op's strength is a number: `strength: float`, with a number or nothing as its "
            f"default. Received: op={op.__name__} with default={default!r}."
        )
    for field in fields[1:]:
        if field.default is dataclasses.MISSING:
            raise ValueError(
                "All fields of an op but its strength have a default. "
                f"Received: op={op.__name__} with field={field.name!r}."
            )
        if field.name in RESERVED:
            raise ValueError(
                "A field of an op is not called like an argument of every layer. "
                f"Received: op={op.__name__} with field={field.name!r}."
            )
