"""Shared set-up: two logical CPU devices, and the same draws in every run.

Which tests share a process, and in which order, changes from run to run.
"""

import os
import random
import re

import hypothesis
import numpy as np
import pytest

from tf_diffaug.aot.stages import ENVIRONMENT

# TensorFlow reads it when it is loaded: quiet, on the CPU, and not in search of a TPU.
for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)

import tensorflow as tf  # noqa: E402

# On a busy machine drawing examples may be slow.
hypothesis.settings.register_profile(
    "tests",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# Of `make fuzz`: other examples each time.
hypothesis.settings.register_profile(
    "fuzz", hypothesis.settings.get_profile("tests"), derandomize=False, print_blob=True
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


# Modules of one_stack: they look at arithmetic, files, pages and words, of which conformance tests,
# networks, training and what saves and loads runs use enough on both stacks. Of runs and commands
# all are, new ones too, but for those named.
ONE_STACK = re.compile(
    r"tests/(fuzz/"
    r"|test_augment_(?!layers|policy)"
    r"|test_benchmarks_"
    r"|test_commands_(?!export|train\.)"
    r"|test_data_"
    r"|test_evaluation_(extractors|leak|metrics|nearest|overlap|texture)"
    r"|test_models_\w+_(counts|published)"
    r"|test_results_page|test_runs_(?!checkpoints|export|init_from|networks|run\.|sampler)"
    r"|test_schedules|test_studies|test_tools_"
    r"|test_training_(measure|regularizers|relativistic|views))"
)


def pytest_collection_modifyitems(items):
    """Marks the tests of the modules above."""
    for item in items:
        if ONE_STACK.match(item.nodeid):
            item.add_marker("one_stack")


@pytest.fixture(autouse=True)
def seeded():
    """Weights and draws without a seed of their own."""
    # By hand: after Keras 2's `set_random_seed` its own draws give a warning.
    random.seed(0)
    tf.random.set_seed(0)


@pytest.fixture(autouse=True)
def not_deterministic(monkeypatch):
    """Fails a test that makes TensorFlow's ops deterministic.

    It holds until the process ends, and Keras 3 then compiles nothing by XLA, so that a test
    would pass or fail by which others ran before it. In a process of its own a run may.
    """

    def refuse():
        pytest.fail("Deterministic ops in the tests' process: give --nodeterministic.")

    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", refuse)


@pytest.fixture
def rng():
    """Numbers of the test's own, whichever ran before it."""
    return np.random.default_rng(0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.with_name(f"{tmp_path.name}-cache")))
    return tmp_path


@pytest.fixture(scope="session")
def two_replicas():
    """The one mirrored strategy of the session.

    TensorFlow numbers the collectives of each strategy from the same start, so that a second
    strategy on the same devices meets the shapes of the first.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def held_norms(monkeypatch):
    """Spectral norms that a call in training leaves as they are, as in a step of the GAN."""
    from tf_diffaug.layers import SpectralNormalization

    # A descriptor that no layer's own count shadows.
    held = property(lambda layer: 1, lambda layer, count: None)
    monkeypatch.setattr(SpectralNormalization, "_holds", held, raising=False)
