"""Policies: ops one after the other, written in the package's little language (`language.py`).

`color,translation:0.4,cutout(0.25, fill=black)`: each name is an op of the registry here.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import transforms
from tf_diffaug.augment.maps import image_shape
from tf_diffaug.augment.transforms import Op, Params, Shape, unpack_shape
from tf_diffaug.language import WORD, Call, bind, literal, parse_calls
from tf_diffaug.naming import unknown

_REGISTRY: dict[str, type[Op]] = {}


def register(op: type[Op]) -> type[Op]:
    """Makes an op known to the policy language by its `name`; usable as a class decorator.

    Raises:
        ValueError: if the name is taken or is not a lower-case word.
    """
    if not WORD.fullmatch(op.name) or op.name != op.name.lower() or op.name == "none":
        raise ValueError(f"An op's name is a lower-case word. Received: name={op.name!r}.")
    if op.name in _REGISTRY:
        raise ValueError(f"There is an op of this name already. Received: name={op.name!r}.")
    _REGISTRY[op.name] = op
    return op


@contextlib.contextmanager
def temporarily_registered(op: type[Op]) -> Iterator[type[Op]]:
    """Registers an op for the length of a `with` block."""
    register(op)
    try:
        yield op
    finally:
        del _REGISTRY[op.name]


def registered_ops() -> dict[str, type[Op]]:
    """The known ops by name, sorted."""
    return dict(sorted(_REGISTRY.items()))


for _op in transforms.OPS:
    register(_op)


@dataclasses.dataclass(frozen=True)
class Policy:
    """Ops applied one after the other, each to every image.

    `str(policy)` is canonical and parses back to an equal policy.
    """

    ops: tuple[Op, ...] = ()

    def __str__(self) -> str:
        return ",".join(map(_entry, self.ops)) or "none"

    def sample(self, shape: Shape, seed: tf.Tensor) -> list[Params]:
        """Draws each op's parameters for a batch of shape (N, H, W, C), from one seed (2,)."""
        batch = unpack_shape(shape)[0]
        counts = [0 if op.samples_itself else op.num_draws for op in self.ops]
        # One draw for all: on small batches several cost more than the numbers do.
        uniform = random.uniform([sum(counts), batch], seed) if sum(counts) else None
        params, start = [], 0
        for index, (op, count) in enumerate(zip(self.ops, counts, strict=True)):
            if op.samples_itself:
                params.append(op.sample(shape, random.fold_in(seed, index)))
            else:
                params.append(op.params(uniform[start : start + count], shape))
            start += count
        return params

    def params_at(self, quantile: float, shape: Shape) -> list[Params]:
        """Each op's parameters at one quantile of its ranges, for previews: 0.5 is the middle."""
        return [op.params_at(quantile, shape) for op in self.ops]

    def apply(
        self,
        images: tf.Tensor,
        params: Sequence[Params],
        *,
        value_range: tuple[float, float] = (-1.0, 1.0),
        fuse: bool = True,
        applied: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Applies drawn parameters to images (N, H, W, C).

        Args:
            images: floating tensor.
            params: what `sample` returned, or the like: one dict per op.
            value_range: the images' black and white.
            fuse: whether neighbouring ops that compose run as one pass.
            applied: bool (N, number of ops), which ops each image goes through; by default all.

        Raises:
            ValueError: if there is not one dict per op.
        """
        if len(params) != len(self.ops):
            raise ValueError(
                f"Policy {self} takes {len(self.ops)} dicts of parameters. "
                f"Received: len(params)={len(params)}."
            )
        shape = image_shape(images)
        pending = None
        for index, (op, op_params) in enumerate(zip(self.ops, params, strict=True)):
            following = op.lower(op_params, shape, value_range)
            if applied is not None:
                following = following.only(applied[:, index])
            fused = pending.then(following) if pending is not None and fuse else None
            if fused is None and pending is not None:
                images = pending(images)
            pending = following if fused is None else fused
        return images if pending is None else pending(images)


def as_policy(policy: str | Policy | Sequence[Op]) -> Policy:
    """The policy itself, or the one that a string or a sequence of ops stands for.

    Raises:
        ValueError: if it is none of these, or the string does not parse.
    """
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str):
        return parse_policy(policy)
    if not isinstance(policy, Sequence) or not all(isinstance(op, Op) for op in policy):
        raise ValueError(
            "A policy is a text such as 'color,translation,cutout', a Policy or a sequence of ops. "
            f"Received: policy={policy!r}."
        )
    return Policy(tuple(policy))


def parse_policy(text: str) -> Policy:
    """Parses a policy; `none` and the empty string are the policy that changes nothing.

    Raises:
        ValueError: if the text is not a policy: an unknown name or argument is named with the known
            ones and the nearest, a strength out of range with its range.
    """
    return Policy(tuple(_build(call, text) for call in parse_calls(text, what="policy")))


def _build(call: Call, policy: str) -> Op:
    if call.name not in _REGISTRY:
        raise ValueError(f"policy {policy!r}: {unknown('op', call.name, sorted(_REGISTRY))}")
    op = _REGISTRY[call.name]
    names = [field.name for field in _fields(op)]
    arguments = bind(call, names, what="policy", text=policy)
    for field in _fields(op):
        if field.default is dataclasses.MISSING and field.name not in arguments:
            raise ValueError(
                f"{op.name} has no published default: give its {field.name}, as in "
                f"'{op.name}:{op.example:g}'. Received: policy={policy!r}."
            )
    return op(**arguments)


def _fields(op: type[Op] | Op) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(op)


def _entry(op: Op) -> str:
    """An op in canonical form: first its strength, then by keyword what is not the default."""
    strength, *others = _fields(op)
    value = getattr(op, strength.name)
    positional = [] if value == strength.default else [literal(value)]
    keywords = [
        f"{field.name}={literal(getattr(op, field.name))}"
        for field in others
        if getattr(op, field.name) != field.default
    ]
    if keywords:
        return f"{op.name}({', '.join(positional + keywords)})"
    return f"{op.name}:{positional[0]}" if positional else op.name
