"""Every network, loss and regularizer trains on several devices and workers as on one.

A process takes seconds to start, so that each way of training is one, or one a worker, for all
of them. Up to rounding: plain gradient descent keeps that small, where Adam's first steps would
make whole steps of it.
"""

import functools
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from tests.cells import can_share_unevenly, cells
from tests.networks import assert_same_updates
from tf_diffaug.runs.networks import NETWORKS
from tf_diffaug.training import LOSSES, REGULARIZERS
from tools.launch_local import spawn

by_make_test_workers = [
    pytest.mark.slow,
    pytest.mark.skipif("TEST_WORKERS" not in os.environ, reason="by make test-workers"),
]
# One thread: else TensorFlow's own sums differ from run to run.
ENVIRONMENT = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
ENVIRONMENT.pop("TF_CONFIG", None)
# Of the way that a weight went: an eighth of that was seen at most.
SHARE = 0.003
# Seconds; one that waits for ever is an error.
LONGEST = 3600
WORKERS = (2, 3)
REPLICAS = (2, 4)
WAYS = [
    ("one_device", 1),
    ("one_device", 1, "--partial"),
    *(("multi_worker", count) for count in WORKERS),
    *(("mirrored", count, *flags) for count in REPLICAS for flags in ((), ("--partial",))),
]
WHOLE = list(cells())
PARTIAL = list(filter(can_share_unevenly, WHOLE))


def test_every_name_has_a_cell():
    assert set(REGULARIZERS) <= set(WHOLE)
    assert {f"{network}, {loss}" for network in NETWORKS for loss in LOSSES} <= set(WHOLE)
    assert {f"{network}, all" for network in NETWORKS} <= set(WHOLE)


class Results(NamedTuple):
    """What a process made of the cells until it ended, or failed, and what it said."""

    folder: pathlib.Path
    output: str
    code: int

    def read(self, name):
        """The state before and after, lists of arrays by group, and the losses by name."""
        path = self.folder / f"{name}.npz"
        assert path.exists(), self.output[-2000:]
        state, losses = {"start": {}, "end": {}}, {}
        with np.load(path) as arrays:
            for key in sorted(arrays):
                when, _, rest = key.partition("/")
                if when == "loss":
                    losses[rest] = arrays[key]
                else:
                    state[when].setdefault(rest.partition("/")[0], []).append(arrays[key])
        return state, losses


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains all cells in one way; returns the results of each worker."""

    @functools.cache
    def train(strategy, count, *flags):
        folder = tmp_path_factory.mktemp("cells") / "results"
        module = ["tests.cells", strategy, str(folder), *flags]
        # By oneDNN a convolution with a bias gives an empty batch the shape of its input, and the
        # next one fails (TensorFlow 2.15.1 and 2.21.0): that of a replica that has no row.
        plain = {"TF_ENABLE_ONEDNN_OPTS": "0"} if "--partial" in flags else {}
        options = {"env": {**ENVIRONMENT, **plain}, "stdout": subprocess.PIPE}
        if strategy == "multi_worker":
            processes = spawn(count, module, **options)
        else:
            command = [sys.executable, "-m", *module, f"--replicas={count}"]
            options |= {"stderr": subprocess.STDOUT, "text": True}
            processes = [subprocess.Popen(command, **options)]
        try:
            outputs = [process.communicate(timeout=LONGEST)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
        several = strategy == "multi_worker"
        folders = [folder / str(index) for index in range(count)] if several else [folder]
        return list(map(Results, folders, outputs, [process.wait() for process in processes]))

    return train


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("count", WORKERS)
class TestWorkers:
    pytestmark = by_make_test_workers

    def test_they_end_where_one_device_does(self, trained, count, name):
        (one,) = trained("one_device", 1)
        for worker in trained("multi_worker", count):
            assert_alike(one, worker, name)


@pytest.mark.parametrize("count", REPLICAS)
class TestReplicas:
    pytestmark = by_make_test_workers

    @pytest.mark.parametrize("name", WHOLE)
    def test_they_end_where_one_device_does(self, trained, count, name):
        (one,), (several,) = trained("one_device", 1), trained("mirrored", count)
        assert_alike(one, several, name)

    @pytest.mark.parametrize("name", PARTIAL)
    def test_they_share_a_last_batch_unevenly(self, trained, count, name):
        (one,) = trained("one_device", 1, "--partial")
        (several,) = trained("mirrored", count, "--partial")
        assert_alike(one, several, name)


class TestProcesses:
    pytestmark = by_make_test_workers

    @pytest.mark.parametrize("way", WAYS)
    def test_each_ends_well(self, trained, way):
        for results in trained(*way):
            assert results.code == 0, results.output[-2000:]


def assert_alike(one, several, name):
    (alone, losses), (shared, other_losses) = (results.read(name) for results in (one, several))
    for group, expected in alone["start"].items():
        for a, b in zip(expected, shared["start"][group], strict=True):
            np.testing.assert_array_equal(b, a, err_msg=group)
    assert_same_updates(alone["start"], alone["end"], shared["end"], share=SHARE)
    assert losses.keys() == other_losses.keys()
    for term, expected in losses.items():
        assert np.isfinite(expected).all()
        # Of the largest: one near 0 may be the mean of large logits.
        room = SHARE * np.abs(expected).max() + 1e-5
        np.testing.assert_allclose(other_losses[term], expected, rtol=0, atol=room, err_msg=term)
