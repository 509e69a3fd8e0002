"""Whole training steps compiled for TPUs: each network, each stack's trace, each generation.

`TRACE_PYTHON` names the Python of the other stack.
"""

import os
import shlex

import pytest
import tensorflow as tf

from tf_diffaug.aot import stages
from tf_diffaug.aot.compile import DoesNotFit
from tf_diffaug.aot.lower import lower_function
from tf_diffaug.aot.topologies import TOPOLOGIES
from tf_diffaug.commands.flags import read_flags, setting_flags
from tf_diffaug.runs.config import Config

POLICY = "policy=color,translation,cutout"
SNDCGAN = f"model=sndcgan resolution=16 width=4 latent_dim=8 batch_size=64 {POLICY}"
BIGGAN = """model='biggan(shared_dim=16, hierarchical=true, attention=16, init=orthogonal,
    layout=compare_gan)' conditional=true resolution=32 width=4 latent_dim=20 batch_size=32
    d_steps=2 policy='translation(fill=black)'"""
STYLEGAN2 = f"""model='stylegan2(mapping_layers=2)' resolution=16 width=8 latent_dim=32
    batch_size=32 loss=non_saturating {POLICY}
    regularizers='r1(10, every=16),path_length(2, every=4)'"""
FACTS = {"channels": 3, "label_counts": [5] * 10}
EVERY_GENERATION = ["tpu-v2-8", "tpu-v3-8", "tpu-v4-16", "tpu-v5e-8", "tpu-v5p-16", "tpu-v6e-8"]
CASES = {
    "sndcgan": (SNDCGAN, EVERY_GENERATION),
    "biggan": (BIGGAN, ["tpu-v5e-8"]),
    "stylegan2": (STYLEGAN2, ["tpu-v6e-8"]),
}


def case_of(words, replicas, facts=FACTS):
    settings = read_flags(setting_flags(), [f"--{word}" for word in shlex.split(words)])[0]
    return stages.case_of(Config(**settings), facts, replicas)


def compile_case(case, names, **options):
    """Compiles, checks what holds of every case, and prints what a core would need."""
    step, found = stages.compile_case(case, [TOPOLOGIES[name] for name in names], **options)
    assert step.suspects == []
    assert step.instructions["all-reduce"] > 0
    assert step.instructions["rng-bit-generator"] > 0
    for name, compiled in zip(names, found, strict=True):
        print(
            f"\n{case.settings['model'].split('(')[0]} on {case.replicas} of {name} "
            f"({compiled.device}), traced by {step.traced_by}: {compiled.flops:.4g} FLOP, "
            f"{compiled.memory:.0f} MiB a core (state {compiled.state:.0f}, temporary "
            f"{compiled.temporary:.0f}, program {compiled.program:.0f}), {compiled.seconds:.0f} s"
        )
        assert compiled.flops > 0
        assert compiled.memory > 0
    return step, found


@pytest.mark.parametrize("name", CASES)
def test_a_step_compiles(name):
    words, names = CASES[name]
    step, found = compile_case(case_of(words, 8), names)
    assert len({compiled.device for compiled in found}) == len(names)
    # Each lazy term stands in a branch that only some steps take.
    assert step.instructions.get("conditional", 0) == (4 if name == "stylegan2" else 0)


@pytest.mark.parametrize("name", CASES)
def test_a_step_that_the_other_stack_traced_compiles(name):
    python = os.environ.get("TRACE_PYTHON")
    if not python:
        pytest.skip("TRACE_PYTHON names no Python with another stack.")
    step, _ = compile_case(case_of(CASES[name][0], 8), ["tpu-v3-8"], trace_python=python)
    assert "Keras 2." in step.traced_by


def test_a_step_in_bfloat16_compiles():
    compile_case(case_of(f"{SNDCGAN} precision=bfloat16", 8), ["tpu-v4-16"])


def test_a_step_on_many_replicas_compiles():
    words = SNDCGAN.replace("width=4", "width=2").replace("batch_size=64", "batch_size=256")
    compile_case(case_of(words, 128), ["tpu-v3-128"])


def test_what_does_not_fit_a_core_is_told(tmp_path):
    lowered = lower_function(tf.reduce_sum, [tf.TensorSpec([3 * 2**30])], "TPU")  # 12 GiB
    (tmp_path / stages.PROGRAM).write_bytes(lowered.program)
    with pytest.raises(DoesNotFit, match=r"memory of a core of tpu-v2-8: .*\d"):
        stages.compile_lowered(str(tmp_path), [TOPOLOGIES["tpu-v2-8"]], replicas=1)
