"""Every op, loss, regularizer and network, small, lowered by TensorFlow's TPU kernels."""

import functools

import pytest
import tensorflow as tf

from tests.conformance.test_regularizer_conformance import GROUPS, NETWORKS, make_gan
from tests.networks import make_gan as make_small_gan
from tf_diffaug.aot.lower import lower_function, lower_step
from tf_diffaug.aot.rewrite import rewrite
from tf_diffaug.aot.trace import tpu_strategy, trace_step
from tf_diffaug.augment.testing import makes_of_ops
from tf_diffaug.training import LOSSES


def lower(make, rows=4):
    with tpu_strategy(2).scope():
        gan = make()
    lowered = lower_step(rewrite(trace_step(gan, rows)), "TPU")
    assert lowered.suspects == []
    assert lowered.instructions["all-reduce"] > 0


@pytest.mark.parametrize("name", makes_of_ops())
def test_an_op_and_its_gradient(name):
    layer = makes_of_ops()[name]()
    layer(tf.zeros([4, 16, 16, 3]))  # its counter is a variable

    def step(images, seed):
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(tf.square(layer(images, seed=seed)))
        return tape.gradient(total, images)

    specs = [tf.TensorSpec([4, 16, 16, 3]), tf.TensorSpec([2], tf.int32)]
    assert lower_function(step, specs, "TPU").suspects == []


@pytest.mark.parametrize("names", GROUPS)
def test_a_step_with_regularizers(names):
    lower(functools.partial(make_gan, names))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_of_a_network(name):
    lower(functools.partial(make_gan, (), networks=NETWORKS[name]))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_with_a_loss(loss):
    lower(functools.partial(make_small_gan, loss=loss, policy="color,translation,cutout"))
