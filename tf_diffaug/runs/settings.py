"""A field of the settings of a run: how it is stated, checked, shown and typed."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from tf_diffaug.errors import UserError
from tf_diffaug.language import literal
from tf_diffaug.naming import unknown
from tf_diffaug.schedules import FORMS, as_schedule, ends

# What TensorFlow's seeds and steps, and floats, can hold.
_LARGEST = {
    int: (2**63 - 1, "a number of at most 64 bits"),
    float: (sys.float_info.max, "a finite number"),
}
# The types that a field may have, and how messages name their values.
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def option(
    default: Any,
    text: str,
    *,
    group: str | None = None,
    rare: bool = False,
    choices: tuple[str | int, ...] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    changeable: bool = False,
    unset: str = "",
    scheduled: bool = False,
) -> Any:
    """One field.

    Args:
        default: the quick start's value.
        text: what it is, the one description that help and documentation show.
        group: the title under which it and the fields after it stand in help.
        rare: whether the short help leaves it out.
        choices: the values that it may have; or `least`, `above`, `most`, `below`: their bounds.
        changeable: whether it may differ when a run is resumed.
        unset: what None means.
        scheduled: whether a number may be the text of a schedule too.
    """
    rules = {"choices": choices, "least": least, "above": above, "most": most, "below": below}
    extra = {"text": text, "changeable": changeable, "unset": unset, "group": group, "rare": rare}
    metadata = {**rules, **extra, "scheduled": scheduled}
    return dataclasses.field(default=default, metadata=metadata)


def kind_of(field: dataclasses.Field) -> type:
    """The type of a field's values, None aside."""
    return {kind.__name__: kind for kind in KINDS}[field.type.split(" | ")[0]]


def number_or_text(text: str) -> float | str:
    """What the text of a setting that may follow a schedule stands for."""
    try:
        return float(text)
    except ValueError:
        return text


def words_of(field: dataclasses.Field) -> str:
    """How messages name the values that a field may have."""
    return FORMS if field.metadata["scheduled"] else KINDS[kind_of(field)]


def is_optional(field: dataclasses.Field) -> bool:
    """Whether a field may be None."""
    return field.type.endswith(" | None")


def unset_words(field: dataclasses.Field) -> tuple[str, ...]:
    """What a user may type for None, the word that help shows for it first."""
    if not is_optional(field):
        return ()
    words = dict.fromkeys((field.metadata["unset"] or "none", "none"))
    return tuple(word for word in words if word not in field.metadata["choices"])


def shown(field: dataclasses.Field, value: Any) -> str:
    """A field's value as a person would type it."""
    if value is None:
        return unset_words(field)[0]
    if isinstance(value, bool):
        return "true" if value else "false"
    return literal(value) if isinstance(value, float) else str(value)


def fits(field: dataclasses.Field, value: Any) -> bool:
    """Whether a value is of the field's type; a whole number serves as a number."""
    kind = kind_of(field)
    if field.metadata["scheduled"] and isinstance(value, str):
        return True
    if value is None or isinstance(value, bool):
        return is_optional(field) if value is None else kind is bool
    return isinstance(value, kind) or (kind is float and isinstance(value, int))


def refuse_out_of_range(field: dataclasses.Field, value: Any) -> None:
    """Checks a value against the field's choices and bounds.

    Raises:
        UserError: if it is none of them, or beyond one.
    """
    if value is None:
        return
    rules, received = field.metadata, f"--{field.name}={shown(field, value)}"
    if rules["choices"] and value not in rules["choices"]:
        choices = map(str, rules["choices"])
        raise UserError(unknown(field.name, value, choices, received=received))
    if rules["scheduled"] and isinstance(value, str):
        try:
            value = as_schedule(value, field.name)
        except ValueError:
            raise UserError(f"--{field.name} takes {FORMS}. Received: {received}") from None
    low, high = ends(value)
    largest, words = _LARGEST.get(kind_of(field), (None, ""))
    if largest is not None and not max(-low, high) <= largest:
        raise UserError(f"--{field.name} must be {words}. Received: {received}.")
    limits = (
        ("least", "at least", lambda limit: low >= limit),
        # A schedule may begin or end there, as a half-life does at 0, or a rate.
        ("above", "above", lambda limit: low >= limit and high > limit),
        ("most", "at most", lambda limit: high <= limit),
        ("below", "below", lambda limit: high < limit),
    )
    for rule, words, holds in limits:
        if rules[rule] is not None and not holds(rules[rule]):
            raise UserError(f"--{field.name} must be {words} {rules[rule]}. Received: {received}.")
