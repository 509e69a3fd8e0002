"""Policies: ops one after the other, written in the package's little language (`language.py`).

`color,translation:0.4,cutout(0.25, fill=black)`: each name is an op of the registry.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment.maps import image_shape
from tf_diffaug.augment.op import Op, Params, Shape, unpack_shape
from tf_diffaug.augment.registry import registered_ops
from tf_diffaug.language import Call, bind, literal, parse_calls
from tf_diffaug.naming import unknown


@dataclasses.dataclass(frozen=True)
class Policy:
    """Ops applied one after the other, each to every image.

    `str(policy)` is canonical and parses back to an equal policy.
    """

    ops: tuple[Op, ...] = ()

    def __str__(self) -> str:
        return ",".join(map(_entry, self.ops)) or "none"

    def sample(
        self, shape: Shape, seed: tf.Tensor, *, level: float | tf.Tensor | None = None
    ) -> list[Params]:
        """Draws each op's parameters for a batch of shape (N, H, W, C), from one seed (2,).

        Args:
            shape: of the batch.
            seed: int32 (2,).
            level: how far the ops that have a level go, a scalar in [0, 1]; None: all the way.
        """
        batch = unpack_shape(shape)[0]
        counts = [0 if op.samples_itself else op.num_draws for op in self.ops]
        # One draw for all: on small batches several cost more than the numbers do.
        none = sum(counts) == 0
        uniform = tf.zeros([0, batch]) if none else random.uniform([sum(counts), batch], seed)
        params, start = [], 0
        for index, (op, count) in enumerate(zip(self.ops, counts, strict=True)):
            at = {"level": level} if op.has_level and level is not None else {}
            if op.samples_itself:
                params.append(op.sample(shape, random.fold_in(seed, index), **at))
            else:
                params.append(op.params(uniform[start : start + count], shape, **at))
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


def as_policy(policy: str | Policy | Sequence[str | Op]) -> Policy:
    """The policy itself, or the one that a string or a sequence of strings and ops stands for.

    Raises:
        ValueError: if it is none of these, or a string does not parse.
    """
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str):
        return parse_policy(policy)
    if not isinstance(policy, (list, tuple)) or not all(isinstance(p, (str, Op)) for p in policy):
        raise ValueError(
            "A policy is a text such as 'color,translation,cutout', a Policy or a list of ops or "
            f"their names. Received: policy={policy!r}."
        )
    parts = ((part,) if isinstance(part, Op) else parse_policy(part).ops for part in policy)
    return Policy(tuple(op for ops in parts for op in ops))


def parse_policy(text: str) -> Policy:
    """Parses a policy; `none` and the empty string are the policy that changes nothing.

    Raises:
        ValueError: if the text is not a policy: an unknown name or argument is named with the known
            ones and the nearest, a strength out of range with its range.
    """
    return Policy(tuple(_build(call, text) for call in parse_calls(text, what="policy")))


def _build(call: Call, policy: str) -> Op:
    known = registered_ops()
    if call.name not in known:
        raise ValueError(f"policy {policy!r}: {unknown('op', call.name, known)}")
    op = known[call.name]
    names = [field.name for field in _fields(op)]
    arguments = bind(call, names, what="policy", text=policy)
    strength = _fields(op)[0]
    if strength.default is dataclasses.MISSING and strength.name not in arguments:
        raise ValueError(
            f"{op.name} has no published default: give its {strength.name}, as in "
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
