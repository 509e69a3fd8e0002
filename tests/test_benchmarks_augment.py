"""What benchmarks/augment.py runs and records; no test looks at a clock."""

import argparse
import io
import json

import numpy as np
import pytest

from benchmarks import augment, records
from benchmarks.timing import checkout

REFERENCE = "def DiffAugment(x, policy):\n    return x * len(policy)\n"


@pytest.fixture
def make(tmp_path):
    path = tmp_path / "reference.py"
    path.write_text(REFERENCE)
    return augment.tensorflow_runs(path)


@pytest.mark.parametrize("xla", [False, True])
def test_the_runs_of_a_row(make, xla):
    how = {"policy": "color", "shape": [2, 4, 4, 3], "xla": xla}
    images = make("pass", gradient=True, **how)().numpy() / 1.5
    # The published function of here multiplies with the letters of the policy.
    output, gradient = make("authors", gradient=True, **how)()
    np.testing.assert_allclose(output, 5 * images, rtol=1e-6)
    assert gradient.shape == images.shape
    assert make("ours", gradient=False, **how)().shape == images.shape


def test_a_worker_makes_each_run_once(monkeypatch, capsys):
    lines = [json.dumps({"contender": name}) for name in ("ours", "pass", "ours", "ours")]
    monkeypatch.setattr(augment.sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    made, ran = [], []

    def make(contender):
        made.append(contender)
        return lambda: ran.append(contender)

    clock = iter(range(8))
    augment.worker(make, lambda: next(clock))
    assert made == ["ours", "pass"]
    # Once to wake up, once for the clock.
    assert ran == ["ours"] * 2 + ["pass"] * 2 + ["ours"] * 4
    assert capsys.readouterr().out.split() == ["1"] * 4


def test_references_take_part_where_they_can():
    names = ("ours", "pass", "authors", "PyTorch", "other")
    processes = dict.fromkeys(names)
    assert [*augment.contenders(processes, "color,cutout", "graph")] == [*names]
    assert [*augment.contenders(processes, "color", "xla")] == ["ours", "pass", "authors", "other"]
    assert [*augment.contenders(processes, "color,flip", "graph")] == ["ours", "pass", "other"]


def test_ours_is_held_against_a_pass_and_theirs_against_ours(tmp_path):
    path = tmp_path / "figures"
    seconds = {"ours": [2.0, 4.0], "pass": [1.0, 1.0], "authors": [4.0, 8.0]}
    augment.record(records.Recorder(path), "flip", "forward", seconds)
    found = {figure.column: figure.value for figure in records.read(path)[0]}
    assert found == {"passes, forward": 3.0, "authors, forward": 2.0}


def test_another_checkout_is_there_or_this_one_would_be_timed(tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match="no checkout"):
        checkout(str(tmp_path))
    (tmp_path / "tf_diffaug").mkdir()
    assert checkout(str(tmp_path)) == tmp_path
