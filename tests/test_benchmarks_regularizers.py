"""What benchmarks/regularizers.py counts and computes; no test looks at a clock."""

import argparse
import gc

import numpy as np
import pytest

from benchmarks import records, regularizers, views
from benchmarks.memory import held_gib
from tf_diffaug.training.regularizers import REGULARIZERS, parse_regularizers

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
    chosen["plain"] = regularizers.PLAIN["plain"]
    return regularizers.make_steps(chosen, arguments())


def test_a_view_costs_its_pass_and_gradients(steps):
    w = WIDTH
    kernels = [(9 * 3, w), (16 * w, 2 * w), (18 * w, 2 * w), (32 * w, 4 * w), (36 * w, 4 * w)]
    kernels += [(64 * w, 8 * w), (72 * w, 8 * w), (16 * 8 * w, 1)]
    sides = [32, 16, 16, 8, 8, 4, 4, 1]
    convs = [n * n * rows * columns for n, (rows, columns) in zip(sides, kernels, strict=True)]
    found = views.of_view(steps["plain"].networks[1], BATCH, 32)
    # Forward and both gradients but that of the images; forward and the gradients that lead there.
    assert found == (2 * BATCH * (3 * sum(convs) - convs[0]), 2 * BATCH * 2 * sum(convs))


def test_a_pass_that_trains_nothing_costs_its_pass(steps):
    generator, discriminator = steps["plain"].networks
    shapes = (BATCH, 32, 32, 3), (BATCH, generator.latent_dim)
    found = views.of_pass((discriminator, generator), shapes)
    view, of_images = views.of_view(discriminator, BATCH, 32)
    assert view / 3.5 < found[0] < view / 2.5
    assert of_images / 2.5 < found[0] < of_images / 1.5
    assert found[1] > 0


@pytest.mark.parametrize("name", ["bcr", "lecam"])
def test_the_views_imply_what_the_graph_has(steps, name):
    found = regularizers.arithmetic(name, regularizers.CASES[name], steps)
    assert found["implied"] == pytest.approx(found["counted"], rel=1e-6)
    assert (found["implied"] > 1.3) == (name == "bcr")


def test_each_is_held_against_its_plain_step():
    cases = regularizers.cases()
    others = {
        "diffusion": "plain, diffusion_noise in both",
        **dict.fromkeys(("ada", "augself", "insgen", "fakeclr"), "plain, augmented in both"),
        "r1, every=16": "plain, 16 steps",
        "s3gan": "plain BigGAN",
        "path_length": "plain StyleGAN2",
        "reconstruction": "plain FastGAN",
    }
    for name, case in cases.items():
        assert regularizers.base(case) == others.get(name, "plain")
    assert regularizers.recipe("ada", cases["ada"], arguments())["policy"] == "translation"
    assert regularizers.recipe("cr", cases["cr"], arguments())["regularizers"] == "cr:10"
    assert regularizers.recipe("r2", cases["r2"], arguments())["policy"] == "none"


@pytest.mark.slow
def test_rows():
    rows = regularizers.measure(arguments("dragan", "path_length"))
    plain, styled, dragan, path_length = rows
    assert (plain["name"], plain["measured"]) == ("plain", [1])
    assert (styled["name"], path_length["against"]) == ("plain StyleGAN2", "plain StyleGAN2")
    assert "implied" not in dragan
    assert dragan["counted"] > 1.3
    assert 1 < path_length["counted"] < 1.2


def test_ratios_are_taken_round_by_round():
    rounds = {"plain": [1.0, 2.0, 4.0], "cr": [2.0, 3.0, 4.0]}
    row = {"name": "cr", "against": "plain", "implied": 1.25}
    assert regularizers.ratios(row, rounds) == {
        "seconds": [2.0, 3.0, 4.0],
        "measured": [2.0, 1.5, 1.0],
        "of_implied": [1.6, 1.2, 0.8],
    }


def test_a_row_without_arithmetic_has_its_time_alone():
    rounds = {"plain": [2.0], "new": [3.0]}
    row = {"name": "new", "against": "plain"}
    assert regularizers.ratios(row, rounds) == {"seconds": [3.0], "measured": [1.5]}


def test_what_is_recorded(tmp_path):
    plain = {"name": "plain", "against": "plain", "seconds": [2.0], "measured": [1.0], "gib": 1.5}
    cr = {"name": "cr", "against": "plain", "seconds": [3.0], "measured": [1.5], "implied": 1.25}
    path = tmp_path / "figures"
    regularizers.record(records.Recorder(path), [plain, cr])
    found = {(f.row, f.column, f.unit): f.value for f in records.read(path)[0]}
    assert found == {
        ("plain", "step", "s"): 2.0,
        ("plain", "peak", "GiB"): 1.5,
        ("cr / plain", "step", "s"): 3.0,
        ("cr / plain", "measured", ""): 1.5,
        ("cr / plain", "implied", ""): 1.25,
    }


class Hoarder:
    """Steps that keep 64 MiB each, which the kernel has given only once they are written."""

    def __init__(self):
        self.kept = []

    def __call__(self):
        self.kept.append(np.ones(2**23))


def test_memory_above_what_there_was_before(monkeypatch):
    monkeypatch.setattr(regularizers, "make_steps", lambda chosen, _: {"plain": Hoarder()})
    gc.collect()  # what other tests left is not to go meanwhile
    found = regularizers.measure_memory("plain", arguments())
    # The kernel counts in batches; before this test the process may have held more than after it.
    assert found["step_gib"] > 3 / 16 - 0.02
    assert found["gib"] > found["step_gib"]
    assert found["gib"] > held_gib() - 0.02


def test_a_lazy_penalty_is_timed_over_all_its_steps():
    cases = {name: case for name, case in regularizers.cases().items() if "steps" in case}
    for name, case in cases.items():
        text = regularizers.recipe(name, case, arguments())["regularizers"]
        every = {found.every for found in parse_regularizers(text)}
        assert every == {case["steps"]}
    assert {*cases} == {"r1, every=16", "path_length"}


def test_every_update_of_a_paired_step_has_a_whole_batch():
    chosen = {
        "relativistic": regularizers.CASES["relativistic"],
        "plain": regularizers.PLAIN["plain"],
    }
    made = regularizers.make_steps(chosen, arguments("relativistic"))
    found = regularizers.arithmetic("relativistic", chosen["relativistic"], made)
    # Half of a batch would be fewer operations than the plain step's.
    assert found["counted"] == pytest.approx(found["implied"], rel=0.05)
