"""What may stand in the files of a run, which may be a stranger's.

Settings are checked by `config.checked_settings`; here is the rest. What has no name here passes,
if it is no deeper than what this package writes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tf_diffaug.errors import UserError
from tf_diffaug.files import read_regular

_DEEPEST = 12
# All that commands read from a run's folder and write to it.
_PARTS = ("config.json", "metrics.jsonl", "evaluations.jsonl", "report.html")
_FOLDERS = ("checkpoints", "samples", "tensorboard", "generated", "export", "overlap")


def read_json(path: pathlib.Path) -> Any:
    """The value in a file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON, or is deeper than any that a run has.
    """
    return parse_json(read_regular(path))


def parse_json(text: bytes) -> Any:
    """The value of a text in UTF-8.

    Raises:
        ValueError: as `read_json`.
    """
    try:
        value = json.loads(text.decode())
    except RecursionError:
        raise ValueError("it is nested without end") from None
    layer = [[value]]
    for _ in range(_DEEPEST + 1):
        held = [one.values() if isinstance(one, dict) else one for one in layer]
        layer = [one for ones in held for one in ones if isinstance(one, (dict, list))]
    if layer:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    return value


def check_saved(saved: Mapping[str, Any]) -> None:
    """Checks what a config.json holds beside the settings.

    Raises:
        ValueError: naming the first part that is not as it should be.
    """
    _check(saved, _SAVED, "")
    facts = saved.get("data", {})
    if "label_counts" not in facts:  # as runs of older versions
        return
    _check(facts, _Dict(_FACTS), "data")
    _must(facts["channels"] in (1, 3, 4), "data.channels", "1, 3 or 4")
    counts, names = facts["label_counts"], facts["class_names"]
    if saved["settings"].get("conditional"):
        _must(bool(counts), "data.label_counts", "a list of all classes")
    _must(names is None or len(names) == len(counts or ()), "data.class_names", "a name a class")


def check_record(record: Any, *, numbers: Iterable[str] = (), evaluation: bool = False) -> None:
    """Checks a line of metrics.jsonl, or of evaluations.jsonl.

    Args:
        record: what stands there.
        numbers: names of what can only be a number.
        evaluation: whether it is of evaluations.jsonl.

    Raises:
        ValueError: naming the first part that is not as it should be.
    """
    _check(record, _EVALUATION if evaluation else _METRICS, "")
    for name in numbers:
        if name in record:
            _check(record[name], _number, name)


def refuse_links(run_dir: pathlib.Path) -> None:
    """Refuses a run with links out of its folder, to what is no part of it.

    Following them, a run that goes on would change files elsewhere, and a page show them.

    Raises:
        UserError: naming the first.
    """
    home = os.path.realpath(run_dir)
    places = [run_dir / name for name in (*_PARTS, *_FOLDERS)]
    for folder in (run_dir / name for name in _FOLDERS):
        places += [
            pathlib.Path(at, name)
            for at, folders, names in os.walk(folder)
            for name in (*folders, *names)
        ]
    for place in places:
        if place.is_symlink():
            there = os.path.realpath(place)
            if os.path.commonpath([home, there]) != home:
                raise UserError(
                    f"{place} is a link out of the run's folder, to {there}. Put what it stands "
                    "for in its place; the folder itself may be a link."
                )


@dataclasses.dataclass(frozen=True)
class _Dict:
    """A dict.

    Args:
        needed: what its parts are, by name.
        known: what others are, where they are there.
        rest: what all others are; None: anything.
    """

    needed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    known: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rest: Any = None


def _check(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, list):
        _must(isinstance(value, list), where, "a list")
        for one in value:
            _check(one, shape[0], where)
    elif isinstance(shape, _Dict):
        _must(isinstance(value, dict), where, "an object")
        for name in shape.needed:
            _must(name in value, where, f"an object with {name!r}")
        for name, one in value.items():
            _text(name, where)
            rule = {**shape.needed, **shape.known}.get(name, shape.rest)
            if rule is not None:
                _check(one, rule, f"{where}.{name}" if where else name)
    else:
        shape(value, where)


def _must(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{where or 'it'} is not {what}")


def _text(value: Any, where: str) -> None:
    _must(isinstance(value, str), where, "a text")
    # A terminal would obey some of these.
    strange = any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in value)
    _must(not strange, where, "a text that can be printed")


def _number(value: Any, where: str) -> None:
    _must(isinstance(value, (int, float)) and not isinstance(value, bool), where, "a number")
    _bounded(value, where)


def _bounded(value: Any, where: str) -> None:
    # A larger whole number is no float.
    within = not isinstance(value, int) or abs(value) < 1 << 63
    _must(within, where, "a number of 64 bits")


def _count(value: Any, where: str) -> None:
    # What steps have room for in checkpoints and charts.
    _must(type(value) is int and 0 <= value < 1 << 31, where, "a whole number from 0")


def _flag(value: Any, where: str) -> None:
    _must(isinstance(value, bool), where, "true or false")


def _scalar(value: Any, where: str) -> None:
    if isinstance(value, str):
        _text(value, where)
    _must(not isinstance(value, (dict, list)), where, "one value")


def _or_none(shape: Any) -> Callable[[Any, str], None]:
    return lambda value, where: None if value is None else _check(value, shape, where)


def _features(value: Any, where: str) -> None:
    _check(value, _Dict({"name": _text}) if isinstance(value, dict) else _or_none(_text), where)


_PROTOCOL = _Dict(
    known={
        "features": _features,
        "num_fakes": _count,
        "num_reals": _count,
        "split": _text,
        "batch_norm": _text,
        "ema": _flag,
        "truncation": _or_none(_number),
        "seeds": [_count],
        "step": _count,
    }
)
_VALUE = _Dict({"mean": _number}, {"std": _or_none(_number)})
_VALUES = _Dict(rest=_VALUE)
_READINGS = _Dict(rest=_text)
_METRICS = _Dict(
    {"step": _count, "kind": _text},
    {"protocol": _PROTOCOL, "readings": _READINGS, "leak_verdict": _text},
    rest=_bounded,  # any number has a curve
)
_EVALUATION = _Dict(
    {"step": _count, "kind": _text},
    {
        "values": _VALUES,
        "readings": _READINGS,
        "protocol": _PROTOCOL,
        "classes": _Dict(rest=_VALUES),
    },
)
_FACTS = {
    "name": _text,
    "num_images": _count,
    "num_test": _count,
    "fingerprint": _text,
    "channels": _count,
    "label_counts": _or_none([_count]),
    "class_names": _or_none([_text]),
    "flip": _flag,
}
_SAVED = _Dict(
    known={
        "data": _Dict(known=_FACTS),
        "versions": _Dict(rest=_scalar),
        "initial_weights": _or_none(
            _Dict(
                {
                    "source": _text,
                    "step": _or_none(_count),
                    "fingerprint": _text,
                    "layers": _count,
                },
                {"fresh": [_text], "unused": [_text], "differs": [_text]},
                rest=lambda value, where: _must(False, where, "known"),
            )
        ),
    }
)
