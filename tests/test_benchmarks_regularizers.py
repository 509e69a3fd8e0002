"""What benchmarks/regularizers.py counts and computes; no test looks at a clock."""

import argparse

import pytest

from benchmarks import regularizers
from benchmarks.train_step import table
from tf_diffaug.training.regularizers import REGULARIZERS

WIDTH, BATCH = 2, 4


def arguments(*names):
    return argparse.Namespace(
        names=list(names),
        width=WIDTH,
        batch_size=BATCH,
        policy="translation",
        precision="float32",
        repeats=1,
        clock="wall",
    )


def test_every_regularizer_has_a_row():
    found = regularizers.cases()
    assert {*REGULARIZERS} <= {*found}
    assert {"cntr+bcr", "lecam", "ada"} <= {*found}
    assert [*regularizers.cases(["r2", "cr"])] == ["r2", "cr"]
    with pytest.raises(ValueError, match="Did you mean 'lecam'"):
        regularizers.cases(["lecan"])


@pytest.fixture(scope="module")
def steps():
    names = ("bcr", "lecam")
    chosen = {name: regularizers.CASES[name] for name in names}
    found, left_out = regularizers.make_steps(
        {"plain": regularizers.PLAIN["plain"], **chosen}, arguments()
    )
    assert not left_out
    return found


def test_a_view_costs_its_pass_and_gradients(steps):
    w = WIDTH
    kernels = [(9 * 3, w), (16 * w, 2 * w), (18 * w, 2 * w), (32 * w, 4 * w), (36 * w, 4 * w)]
    kernels += [(64 * w, 8 * w), (72 * w, 8 * w), (16 * 8 * w, 1)]
    sides = [32, 16, 16, 8, 8, 4, 4, 1]
    convs = [n * n * rows * columns for n, (rows, columns) in zip(sides, kernels, strict=True)]
    found = regularizers.view_operations(steps["plain"].networks[1], BATCH, 32)
    # Forward and both gradients but that of the images; forward and the gradients that lead there.
    assert found == (2 * BATCH * (3 * sum(convs) - convs[0]), 2 * BATCH * 2 * sum(convs))


@pytest.mark.parametrize("name", ["bcr", "lecam"])
def test_the_views_imply_what_the_graph_has(steps, name):
    found = regularizers.arithmetic(name, regularizers.CASES[name], steps)
    assert found["implied"] == pytest.approx(found["counted"], rel=1e-6)
    assert (found["implied"] > 1.3) == (name == "bcr")


def test_each_is_held_against_its_plain_step():
    cases = regularizers.cases()
    assert regularizers.base(cases["ada"]) == "plain, T in both"
    assert {regularizers.base(case) for name, case in cases.items() if name != "ada"} == {"plain"}
    assert regularizers.recipe("ada", cases["ada"], arguments())["policy"] == "translation"
    assert regularizers.recipe("cr", cases["cr"], arguments())["regularizers"] == "cr:10"
    assert regularizers.recipe("r2", cases["r2"], arguments())["policy"] == "none"


def test_rows_and_what_is_not_among_them():
    rows, left_out = regularizers.measure(arguments("dragan", "path_length"))
    plain, dragan = rows
    assert (plain["name"], plain["measured"]) == ("plain", 1)
    assert "StyleGAN2" in left_out["path_length"]
    assert "implied" not in dragan
    assert dragan["counted"] > 1.3
    head, *lines = table(rows, regularizers.COLUMNS).splitlines()
    assert head.split()[:2] == ["regularizer", "against"]
    assert len(lines) == len(rows)


def test_ratios_are_medians_over_rounds():
    rounds = {"plain": [1.0, 2.0, 4.0], "cr": [2.0, 3.0, 4.0]}
    row = {"name": "cr", "against": "plain", "implied": 1.25, "counted": 1.5, "aim": 1.1}
    assert regularizers.ratios(row, rounds) == {
        "seconds": 3.0,
        "measured": 1.5,
        "of_implied": 1.2,
        "of_counted": 1.0,
        "reached": "no",
    }
    row["aim"] = 1.2
    assert regularizers.ratios(row, rounds)["reached"] == "yes"


def test_a_row_without_arithmetic_has_its_time_alone():
    rounds = {"plain": [2.0], "new": [3.0]}
    row = {"name": "new", "against": "plain"}
    assert regularizers.ratios(row, rounds) == {"seconds": 3.0, "measured": 1.5}


def test_memory_above_what_there_was_before(steps, monkeypatch):
    monkeypatch.setattr(regularizers, "make_steps", lambda chosen, _: (steps, {}))
    found = regularizers.measure_memory("plain", arguments())
    assert found["gib"] > 0.1
    assert 0 < regularizers.held_gib() <= found["gib"] + 1e-3
    assert 0 <= found["step_gib"] < found["gib"]
