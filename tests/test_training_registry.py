import importlib
from pathlib import Path

import pytest

from tf_diffaug.training import regularizers
from tf_diffaug.training.losses import LOSSES, Loss, get_loss, register_loss
from tf_diffaug.training.regularizers import (
    REGULARIZERS,
    parse_regularizers,
    register_regularizer,
    regularizers_table,
)

ONE_FILE = """
from tf_diffaug.training.losses import Loss, register_loss
from tf_diffaug.training.regularizers import Regularizer, register_regularizer

register_loss(Loss("twice", abs, abs, abs, summary="everybody pays"))

@register_regularizer
class Mine(Regularizer):
    name = "mine"
    summary = "a term of a user's own"

    def __init__(self, weight: float = 3.0) -> None:
        super().__init__(weight)
"""


def test_one_file_adds_a_regularizer_and_a_loss(tmp_path, monkeypatch):
    (tmp_path / "one_file_of_mine.py").write_text(ONE_FILE)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        importlib.import_module("one_file_of_mine")
        (term,) = parse_regularizers("mine")
        assert str(term) == "mine(weight=3)"
        assert regularizers.Mine is type(term)
        assert "Mine" in dir(regularizers)
        row = "| `mine` | D | a term of a user's own | `weight` (`3`) | | |"
        assert row in regularizers_table().splitlines()
        assert get_loss("twice").summary == "everybody pays"
    finally:
        REGULARIZERS.pop("mine", None)
        LOSSES.pop("twice", None)


def test_each_says_in_one_line_what_it_does_and_has_a_row_in_the_docs():
    page = Path(__file__).parents[1] / "docs" / "regularizers.md"
    assert f"\n{regularizers_table()}\n" in page.read_text(encoding="utf-8")
    for known in (*REGULARIZERS.values(), *LOSSES.values()):
        assert known.summary
        assert "\n" not in known.summary
    assert all(kind.term and kind.source for kind in REGULARIZERS.values())


def test_a_registration_that_cannot_work_is_refused():
    base = regularizers.Regularizer
    for attributes, message in (
        ({"name": "a/b", "summary": "x"}, "identifier"),
        ({"name": "mine"}, "summary"),
        ({"name": "r1", "summary": "x"}, "already"),
        ({"name": "mine", "summary": "x", "of": "both"}, "'D, G'"),
    ):
        with pytest.raises(ValueError, match=message):
            register_regularizer(type("Mine", (base,), attributes))
    with pytest.raises(ValueError, match="already"):
        register_loss(Loss("hinge", abs, abs, abs, summary="x"))
