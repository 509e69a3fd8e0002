"""A replica's step without variables does what the step with them does."""

import contextlib
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.test_regularizer_conformance import stylegan2
from tests.networks import NUM_CLASSES, make_conditional_gan, make_feature_gan, make_gan
from tf_diffaug.aot.body import Body, Variable
from tf_diffaug.aot.rewrite import Replica, rewrite
from tf_diffaug.aot.trace import tpu_strategy, trace_step, variables_of
from tf_diffaug.training import EMA, GAN, ScheduledAdam

POLICY = "color,translation,cutout"
ROWS = 8


def adam():
    # Its published epsilon, 1e-8, would make whole steps of what is rounding alone.
    return keras.optimizers.Adam(1e-3, epsilon=0.1)


def scheduled_adam():
    betas = "linear(0.2, 0.5, images=64)", "cosine(0.9, 0.99, images=64)"
    return ScheduledAdam("cosine(1e-3, 1e-4, images=64)", *betas, epsilon=0.1)


def make_stylegan2():
    terms = "r1(10, every=2),path_length(2, every=2)"
    gan = GAN(*stylegan2(), loss="non_saturating", policy=POLICY, regularizers=terms)
    gan.compile()
    return gan


CASES = {
    "conditional": functools.partial(
        make_conditional_gan,
        policy=POLICY,
        d_steps=2,
        regularizers="r1(1, every=2)",
        optimizer=adam,
    ),
    "state": functools.partial(
        make_feature_gan,
        policy=POLICY,
        augment="both",
        regularizers="lecam(start=0),ada(every=1)",
        optimizer=adam,
    ),
    "scheduled": functools.partial(
        make_gan,
        policy=POLICY,
        policy_probability="linear(0, 1, images=64)",
        regularizers="r1:cosine(1, 0.1, images=64)",
        ema=EMA(half_life="linear(0, 100, images=40)"),
        optimizer=scheduled_adam,
    ),
    "stylegan2": make_stylegan2,
}


def batches(gan, count=4):
    rng = np.random.default_rng(0)
    for _ in range(count):
        images = rng.integers(0, 256, (ROWS, *gan.image_shape), np.uint8)
        labels = rng.integers(0, NUM_CLASSES, ROWS, np.int32)
        yield [images] if gan.num_classes is None else [images, labels]


def alone(graph):
    """A graph whose sums over the replicas are those of one: a CPU has no such operations."""
    for node in graph.node:
        if node.op in ("CrossReplicaSum", "AllToAll"):
            dtype = node.attr["T"].type
            node.op = "Identity"
            del node.input[1]
            node.attr.clear()
            node.attr["T"].type = dtype
    return graph


def values_of(gan):
    first = gan.distribute_strategy.experimental_local_results
    return {name: np.asarray(first(v)[0]) for name, v in variables_of(gan).items()}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "state" else pytest.mark.slow) for n in CASES]
)
def test_four_steps_of_it_are_four_steps(name):
    with tpu_strategy(1).scope():
        traced = CASES[name]()
    replica = rewrite(trace_step(traced, ROWS))
    replica = replica._replace(graph=alone(replica.graph))
    state = {place: values_of(traced)[name] for place, name in replica.names.items()}
    with tf.Graph().as_default() as graph:
        given = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in replica.specs]
        results = replica(*given)
    gan = CASES[name]()
    begin = values_of(gan)
    step = tf.function(gan.train_step, autograph=False)
    with contextlib.closing(tf.compat.v1.Session(graph=graph)) as session:
        for batch in batches(gan):
            data = tuple(map(tf.constant, batch))
            logs = step(data if len(data) > 1 else data[0])
            fed = dict(zip(given, [np.int32(0), *batch, *state.values()], strict=True))
            found = session.run(results, fed)
            losses = [float(logs[name]) for name in sorted(logs)]
            np.testing.assert_allclose(found[: len(losses)], losses, rtol=1e-4)
            state.update(zip(replica.written, found[len(losses) :], strict=True))
    expected = values_of(gan)
    for place, name in replica.names.items():
        np.testing.assert_allclose(state[place], expected[name], rtol=1e-4, atol=2e-5, err_msg=name)
    changed = {name for name in begin if np.any(expected[name] != begin[name])}
    assert changed <= {replica.names[place] for place in replica.written}
    assert any(name.startswith("discriminator") for name in changed)


def test_what_is_not_known_is_refused():
    node = tf.compat.v1.NodeDef(name="asked", op="VarIsInitializedOp", input=["v"])
    body = Body({})
    shape = tf.TensorShape([]).as_proto()
    body.variables["v:0"] = Variable("v:0", tf.float32.as_datatype_enum, shape)
    with pytest.raises(NotImplementedError, match="VarIsInitializedOp of a variable"):
        body.take_all([node])


def test_a_variable_may_be_given_its_own_value_or_anothers():
    # As CHAIN's layers do, which take back their count of draws.
    spec = tf.TensorSpec((), tf.float32)
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="twice", op="AddV2", input=["a:0", "a:0"]).attr["T"].type = 1
    names = {"a": "a", "b": "b", "c": "c"}
    written = {"a": "b:0", "b": "twice:0", "c": "c:0"}
    replica = Replica(graph, {}, dict.fromkeys(names, spec), names, ["twice:0"], written)
    run = tf.function(lambda *values: replica(*values), autograph=False)
    values = run(*map(tf.constant, (1.0, 5.0, 7.0)))
    assert [float(value) for value in values] == [2.0, 5.0, 2.0, 7.0]
