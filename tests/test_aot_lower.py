"""A step lowered for a GPU, where the stack can do that ahead of time; TPUs are in tests/tpu."""

import functools

import pytest
import tensorflow as tf

from tests.networks import make_conditional_gan, make_gan
from tf_diffaug._keras import KERAS_3
from tf_diffaug.aot.lower import lower_function, lower_step
from tf_diffaug.aot.rewrite import rewrite
from tf_diffaug.aot.trace import tpu_strategy, trace_step

pytestmark = pytest.mark.skipif(not KERAS_3, reason="TF 2.15 lowers for devices that are there")
POLICY = "color,translation,cutout"
CASES = {
    "plain": functools.partial(make_gan, policy=POLICY),
    "lazy": functools.partial(
        make_conditional_gan, policy=POLICY, d_steps=2, regularizers="r1(1, every=2)"
    ),
}


def traced(make, replicas):
    with tpu_strategy(replicas).scope():
        gan = make()
    return rewrite(trace_step(gan, 8))


@pytest.mark.parametrize("name", ["plain", pytest.param("lazy", marks=pytest.mark.slow)])
def test_a_gpu_waits_for_no_host_and_shapes_are_fixed(name):
    replica = traced(CASES[name], 1)
    lowered = lower_step(replica, "GPU")
    assert lowered.suspects == []
    # Gradients of G and D, and the losses.
    assert lowered.instructions["all-reduce"] >= 3
    assert lowered.instructions["rng-bit-generator"] > 0
    # The term and its gradient, in each of two D updates.
    assert lowered.instructions.get("conditional", 0) == (4 if name == "lazy" else 0)
    module = hlo(lowered.program)
    assert len(module.host_program_shape.parameters) == len(replica.specs)
    assert len(module.input_output_alias.entries) == len(replica.written)


def hlo(program):
    from tensorflow.compiler.xla.service import hlo_pb2

    return hlo_pb2.HloModuleProto.FromString(program)


def test_a_shape_that_changes_is_named():
    def positive(values):
        return tf.reduce_sum(tf.boolean_mask(values, values > 0))

    lowered = lower_function(positive, [tf.TensorSpec([8])], "GPU")
    assert any("boolean_mask" in suspect for suspect in lowered.suspects)


def test_exchanges_that_a_gpu_has_no_kernel_for_are_refused():
    with pytest.raises(NotImplementedError, match="one replica"):
        lower_step(traced(CASES["plain"], 2), "GPU")
