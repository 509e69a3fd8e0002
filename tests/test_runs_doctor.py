"""What `doctor` finds out, part by part."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.commands.presets import PRESETS, QUICK
from tf_diffaug.runs.doctor import examine, machine, precision, recipes, trial
from tf_diffaug.runs.doctor.findings import gib, reason
from tf_diffaug.runs.doctor.memory import live_bytes, machine_memory, process_peak, state_bytes
from tf_diffaug.runs.networks import NETWORKS
from tf_diffaug.training.strategy import make_strategy

N = 1000  # float32 numbers of the tensors below
SIZE = 4 * N


def live(function, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes or ([N],)]
    return live_bytes(tf.function(function, autograph=False).get_concrete_function(*specs).graph)


def keeps_two(x):
    first = tf.sin(x)
    return first + tf.sin(first)


def keeps_one_in_two_shapes(x):
    first = tf.sin(x)
    return first, tf.sin(tf.reshape(first, [N // 2, 2]))


def takes_a_branch(x):
    return tf.cond(x[0] > 0, lambda: tf.sin(x), lambda: tf.sin(tf.concat([x] * 3, 0))[:N])


@pytest.mark.parametrize(
    ("function", "tensors"),
    [
        (tf.sin, 1),
        (lambda x: tf.sin(tf.sin(tf.sin(x))), 2),
        (keeps_two, 3),
        (keeps_one_in_two_shapes, 2),
        (lambda x: (tf.sin(x), [tf.cos(x) for _ in range(5)])[0], 1),  # what nothing needs
        (lambda x: tf.function(keeps_two)(x), 4),  # the call's own and its result
    ],
)
def test_tensors_alive_at_a_time(function, tensors):
    assert live(function) == tensors * SIZE


def test_of_two_branches_the_largest_counts():
    # Three parts in one, their sine, and what comes out; a few numbers decide.
    assert 7 * SIZE <= live(takes_a_branch) <= 8 * SIZE + 100


def test_variables_are_counted_with_the_state():
    variable = tf.Variable(tf.zeros([N]))
    assert live(lambda x: tf.sin(x + variable)) == 2 * SIZE
    assert state_bytes([variable, tf.Variable(np.zeros(3, np.int64))]) == SIZE + 24


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="size must be known"):
        live(tf.sin, [None])


def test_the_process_has_a_peak_and_the_machine_memory():
    assert process_peak() > 2**27  # TensorFlow alone
    memory = machine_memory()
    assert memory is None or 0 < memory.free <= memory.total


def test_sizes_and_errors_in_words():
    assert (gib(2**31), gib(3 << 20)) == ("2.0 GiB", "3 MiB")
    assert reason(ValueError("a\n  b")) == "ValueError: a b"
    assert len(reason(ValueError("a" * 1000))) < 250
    assert reason(KeyError()) == "KeyError"


def test_cards_as_their_driver_tells():
    text = "NVIDIA A100-SXM4-40GB, 40960, 535.1\nNVIDIA GB10, [N/A], 580.2\n"
    assert machine.parse_cards(text) == [machine.Card("NVIDIA A100-SXM4-40GB", 40 << 30, "535.1")]
    assert machine.parse_cards("") == []


@pytest.mark.parametrize("hidden", [True, False])
def test_a_gpu_that_tensorflow_does_not_see(monkeypatch, hidden):
    card = machine.Card("NVIDIA T4", 15 << 30, "535")
    monkeypatch.setattr(machine, "cards", lambda: [card])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    if not hidden:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (found,) = (finding for finding in machine.devices() if finding.label == "GPU")
    assert "NVIDIA T4" in found.text
    assert (found.problem is None) == hidden
    assert hidden or f"pip install 'tensorflow[and-cuda]=={tf.__version__}'" in found.problem


def test_addresses_of_a_cluster_are_not_told(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "secret:1234")
    text = "\n".join(finding.text for finding in machine.software())
    assert "TF_CONFIG=..." in text
    assert "secret" not in text
    assert f"Keras {keras.__version__}" in text


def test_half_precision_beside_float32(monkeypatch):
    monkeypatch.setitem(precision._SIZES, "CPU", (2, 8, 8))
    (found,) = precision.precisions("CPU")
    assert found.problem is None
    assert "bfloat16" in found.text
    assert "2x8x8x8" in found.text


@pytest.mark.parametrize("fault", ["raises", "wrong"])
def test_a_precision_that_does_not_work(monkeypatch, fault):
    def convolve(dtype, kind):
        if dtype == "bfloat16" and fault == "raises":
            raise tf.errors.UnimplementedError(None, None, "no kernel")
        return tf.constant([1.0, 1.2 if dtype == "bfloat16" else 1.0]), 0.1

    monkeypatch.setattr(precision, "_convolve", convolve)
    (found,) = precision.precisions("CPU")
    assert found.problem == "bfloat16 does not work here: train in float32."


@pytest.mark.parametrize(
    ("loss", "said", "problem"),
    [
        (2.001, "within 5e-04", None),
        (2.1, "within 5e-02", "away from the CPU's"),
        (float("nan"), "not finite", "the loss d is not finite"),
    ],
)
def test_losses_beside_the_cpus(loss, said, problem):
    steps, expected = [{"d": 1.0}, {"d": loss}], [{"d": 1.0}, {"d": 2.0}]
    text, found = trial.compare("biggan", steps, expected, 1e-3)
    assert said in text
    assert (found is None) if problem is None else (problem in found and "biggan" in found)


def test_where_a_strategy_computes(two_replicas):
    assert trial.device_kind(two_replicas) == "CPU"
    assert trial.device_kind(make_strategy("one_device")) == "CPU"


@pytest.mark.one_stack
def test_replicas_take_the_step_of_one_device(two_replicas, monkeypatch):
    monkeypatch.setattr(trial, "TIMED_SECONDS", 0)
    (found,) = trial.try_family("sndcgan", two_replicas, kind="CPU", xla=True)
    assert found.problem is None
    assert "of the CPU's" in found.text


@pytest.mark.parametrize(
    ("error", "way_out"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), "no memory is left"),
        (tf.errors.InvalidArgumentError(None, None, "no kernel\nfor it"), "report this page"),
    ],
)
def test_a_step_that_fails_is_a_line(monkeypatch, error, way_out):
    def step(self):
        raise error

    monkeypatch.setattr(trial.Trial, "step", step)
    found, *_ = trial.try_family("sndcgan", make_strategy("one_device"), kind="CPU", xla=False)
    assert "fails" in found.text
    assert way_out in found.problem
    assert "\n" not in found.problem


@pytest.mark.slow
@pytest.mark.parametrize("family", NETWORKS)
def test_every_network_runs_in_each_precision_and_with_xla(family, monkeypatch):
    monkeypatch.setattr(trial, "TIMED_SECONDS", 0)
    # The networks' own tests compile each of them.
    xla = family == "sndcgan"
    found = list(trial.try_family(family, make_strategy("one_device"), kind="CPU", xla=xla))
    words = ["", " in bfloat16", " in float16", *([" with XLA"] if xla else [])]
    assert [one.label for one in found] == [family + word for word in words]
    assert [one.problem for one in found] == [None] * len(words)
    assert found[-1].text.startswith("runs, losses finite;") or not xla


@pytest.mark.slow
def test_replicas_pass_all_of_it():
    assert [found for found in examine("mirrored", xla=False) if found.problem] == []


def test_every_published_recipe_has_an_estimate():
    assert set(recipes.NEEDS) == {name for name in PRESETS if not name.startswith(QUICK)}


@pytest.mark.parametrize(("memory", "replicas"), [(4 << 30, 1), (4 << 30, 2), (1 << 60, 1)])
def test_what_fits_is_what_the_estimate_says(monkeypatch, memory, replicas):
    monkeypatch.setattr(recipes, "device_memory", lambda *args: memory)
    _, *found = recipes.fits("GPU", replicas)
    fit, large = (set(re.findall(r"[a-z][\w-]+", finding.text)) for finding in found)
    for name, need in recipes.NEEDS.items():
        mebibytes = need.state + recipes.SPARE * need.image * need.batch_size / replicas
        holds = mebibytes * 2**20 + recipes.RUNTIME <= memory
        assert (name in fit) == holds
        assert (name in large) != holds


def test_a_memory_that_is_not_known_is_said(monkeypatch):
    monkeypatch.setattr(recipes, "device_memory", lambda *args: None)
    (found,) = recipes.fits("TPU", 8)
    assert "not known" in found.text
