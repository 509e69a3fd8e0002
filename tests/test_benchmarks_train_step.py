"""What benchmarks/train_step.py counts and computes; no test looks at a clock."""

import argparse
import subprocess
import sys

import pytest
import tensorflow as tf

from benchmarks import candidates, operations, records, train_step
from benchmarks.timing import Process, take_turns

WIDTH, BATCH = 4, 3


def graph_of(function, *shapes):
    return tf.function(function).get_concrete_function(*map(tf.TensorSpec, shapes)).graph


def kinds(graph):
    return sorted((item.op.type, item.operations) for item in operations.counted(graph))


def test_a_dense_layer_forward_and_backward():
    def step(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.matmul(x, w)
        return y, tape.gradient(y, [x, w])

    work = 2 * 5 * 7 * 3
    assert kinds(graph_of(step, (5, 7), (7, 3))) == [("MatMul", work)] * 3


@pytest.mark.parametrize("transpose", [{"transpose_a": True}, {"transpose_b": True}])
def test_a_transposed_product_counts_the_inner_size(transpose):
    shapes = ((7, 5), (7, 3)) if "transpose_a" in transpose else ((5, 7), (3, 7))
    graph = graph_of(lambda a, b: tf.matmul(a, b, **transpose), *shapes)
    assert operations.count(graph) == 2 * 5 * 7 * 3


def test_a_batch_of_products():
    graph = graph_of(lambda a, b: tf.matmul(a, b, adjoint_a=True), (2, 4, 7, 5), (2, 4, 7, 3))
    assert operations.count(graph) == 8 * 2 * 5 * 7 * 3


def test_a_convolution_forward_and_backward():
    def step(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.nn.conv2d(x, w, 2, "SAME")
        return y, tape.gradient(y, [x, w])

    # 4 x 3 positions of 3 x 5 taps, from 6 channels to 7.
    work = 2 * BATCH * 4 * 3 * 3 * 5 * 6 * 7
    assert kinds(graph_of(step, (BATCH, 8, 6, 6), (3, 5, 6, 7))) == [
        ("Conv2D", work),
        ("Conv2DBackpropFilter", work),
        ("Conv2DBackpropInput", work),
    ]


def test_a_transposed_convolution_forward_and_backward():
    def step(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.nn.conv2d_transpose(x, w, [tf.shape(x)[0], 8, 6, 7], 2)
        return y, tape.gradient(y, [x, w])

    # Each of 4 x 3 positions adds 4 x 4 taps to the outputs.
    work = 2 * BATCH * 4 * 3 * 4 * 4 * 6 * 7
    assert operations.count(graph_of(step, (BATCH, 4, 3, 6), (4, 4, 7, 6))) == 3 * work


def test_a_depthwise_convolution_forward_and_backward():
    def step(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.nn.depthwise_conv2d(x, w, [1, 2, 2, 1], "SAME")
        return y, tape.gradient(y, [x, w])

    # Two outputs for each of 6 channels.
    work = 2 * BATCH * 4 * 4 * 3 * 3 * 6 * 2
    assert operations.count(graph_of(step, (BATCH, 8, 8, 6), (3, 3, 6, 2))) == 3 * work


def test_functions_are_looked_into_and_a_condition_counts_its_larger_branch():
    @tf.function
    def inner(x):
        return tf.matmul(x, x)

    def outer(x):
        once = inner(x)
        return tf.cond(
            tf.reduce_sum(x) > 0, lambda: inner(inner(once)), lambda: tf.matmul(once, once)
        )

    assert operations.count(graph_of(outer, (4, 4))) == 3 * 2 * 4**3


def test_what_nothing_needs_is_not_counted():
    variable = tf.Variable(tf.zeros((4, 4)))

    def step(x):
        tf.matmul(x, x)
        variable.assign(tf.matmul(x, variable))
        return tf.matmul(tf.matmul(x, x), x)

    assert operations.count(graph_of(step, (4, 4))) == 3 * 2 * 4**3


def test_what_cannot_be_counted_is_refused():
    def loop(x):
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 1, lambda y: (tf.matmul(y, x),), (x,))

    with pytest.raises(ValueError, match="loop"):
        operations.count(graph_of(loop, (4, 4)))
    with pytest.raises(ValueError, match="type='Einsum'"):
        operations.count(graph_of(lambda x: tf.einsum("ab,bc->ac", x, x), (4, 4)))
    with pytest.raises(ValueError, match="shape"):
        operations.count(graph_of(lambda x: tf.matmul(x, x), (None, None)))


def test_each_product_is_timed_on_its_own():
    def step(x, w, v):
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = tf.nn.conv2d_transpose(tf.nn.conv2d(x, w, 1, "SAME"), w, x.shape, 1)
        return y, tape.gradient(y, w), tf.matmul(v, v, transpose_a=True), tf.matmul(v, v)

    graph = graph_of(step, (2, 4, 4, 3), (3, 3, 3, 5), (4, 4))
    rows = operations.time_each(graph, repeats=1)
    assert sum(row["operations"] for row in rows) == operations.count(graph)
    assert sum(row["times"] for row in rows) == len(operations.counted(graph))
    assert all(row["seconds"] > 0 for row in rows)
    # Forward, backward and as a gradient, the two products of matrices apart.
    signatures = {row["signature"] for row in rows}
    assert "MatMul 4x4 4x4 -> 4x4 transpose_a" in signatures
    assert "Conv2D 2x4x4x3 3x3x3x5 -> 2x4x4x5 stride 1" in signatures


def test_the_operations_of_an_sndcgan_step():
    recipe = {**train_step.RECIPES["sndcgan"], "model": "sndcgan", "policy": "none"}
    step = candidates.Step({**recipe, "width": WIDTH, "batch_size": BATCH}, "float32")
    w = WIDTH
    dense = 128 * 16 * 8 * w
    ups = sum(n * n * 16 * c * c // 2 for n, c in ((4, 8 * w), (8, 4 * w), (16, 2 * w)))
    g = dense + ups + 32 * 32 * 9 * w * 3
    kernels = [(9 * 3, w), (16 * w, 2 * w), (18 * w, 2 * w), (32 * w, 4 * w), (36 * w, 4 * w)]
    kernels += [(64 * w, 8 * w), (72 * w, 8 * w), (16 * 8 * w, 1)]
    sides = [32, 16, 16, 8, 8, 4, 4, 1]
    convs = [n * n * rows * columns for n, (rows, columns) in zip(sides, kernels, strict=True)]
    d = sum(convs)
    # G: forward for D; forward and both gradients for itself, that of the latents aside.
    # D: forward and both gradients of reals and fakes, that of the images aside; for G forward and
    # the gradient of the images.
    images = BATCH * (4 * g - dense) + 2 * BATCH * (3 * d - convs[0]) + BATCH * 2 * d
    # Spectral norms: 2 products for the iteration, one in each pass, one for its gradient.
    norms = 5 * sum(rows * columns for rows, columns in kernels)
    assert operations.count(step.graph) == 2 * (images + norms)


def test_a_step_with_filters_regularisation_and_a_policy_in_bfloat16_can_be_counted():
    model = "stylegan2"
    recipe = {**train_step.RECIPES[model], "model": model, "policy": "color", "latent_dim": 8}
    step = candidates.Step({**recipe, "width": WIDTH, "batch_size": 4}, "bfloat16")
    assert operations.count(step.graph) > 0
    assert {item.op.inputs[-1].dtype for item in operations.counted(step.graph)} >= {tf.bfloat16}


def test_the_batch_is_halved_until_a_step_is_short(monkeypatch):
    class Slow:
        def __init__(self, recipe, precision):
            self.batch_size = recipe["batch_size"]

        def __call__(self):
            pass

        def seconds(self):
            return lambda: float(self.batch_size)

    monkeypatch.setattr(candidates, "Step", Slow)
    assert candidates.largest_step({"batch_size": 64}, "float32", 20.0).batch_size == 16
    assert candidates.largest_step({"batch_size": 19}, "float32", 20.0).batch_size == 19


def test_candidates_take_turns_and_each_begins_once():
    order = []
    names = "abc"
    seconds = take_turns(
        {name: lambda name=name: order.append(name) or len(order) for name in names},
        repeats=3,
        warmups=1,
    )
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"
    assert seconds == {"a": [4, 9, 11], "b": [5, 7, 12], "c": [6, 8, 10]}


def test_another_process_answers_line_by_line():
    code = "import json, sys\nfor line in sys.stdin: print(json.loads(line) * 2, flush=True)"
    process = Process([sys.executable, "-c", code])
    assert process.ask(3) == 6
    assert process.candidate(1.5)() == 3.0
    process.close()
    ended = Process([sys.executable, "-c", ""])
    with pytest.raises(RuntimeError, match="ended"):
        ended.ask(1)
    ended.close()


def test_ratios_are_of_the_best_rate_of_each_round():
    rounds = {
        "step": [10.0, 20.0, 40.0],
        "step in float32": [20.0, 20.0, 80.0],
        "matrix 2": [1.0, 4.0, 4.0],
        "matrix 3": [4.0, 8.0, 16.0],
        "convolution": [2.0, 4.0, 8.0],
        "convolution in float32": [3.0, 6.0, 12.0],
        "gradients": [6.0, 12.0, 24.0],
        "contiguous": [30.0, 30.0, 30.0],
        "channels_last": [15.0, 15.0, 60.0],
    }
    work = {"step": 100.0, "matrix 2": 20.0, "matrix 3": 40.0, "convolution": 50.0}
    found = train_step.ratios(rounds, {**work, "gradients": 150.0})
    assert found["seconds"] == [10.0, 20.0, 40.0]
    # Seconds for one GFLOP, the better of the two matrices: 0.05, 0.2, 0.2.
    assert found["matrix_rate"] == pytest.approx([20.0, 5.0, 5.0])
    assert found["of_limit"] == pytest.approx([0.5, 1.0, 0.5])
    assert found["of_convolution"] == pytest.approx([0.4, 0.4, 0.4])
    assert found["of_gradients"] == pytest.approx([0.4, 0.4, 0.4])
    assert (found["torch_layout"], found["torch"]) == ("channels_last", [1.5, 0.75, 1.5])
    assert (found["gain"], found["convolution_gain"]) == ([2.0, 1.0, 2.0], [1.5, 1.5, 1.5])


def test_what_is_recorded(tmp_path):
    row = {"model": "sndcgan", "batch_size": 64, "seconds": [1.5, 2.5], "loop": [0.01, 0.03]}
    train_step.record(records.Recorder(tmp_path / "figures"), {**row, "peak_gib": 1.5})
    found = {f.column: (f.row, f.value, f.unit) for f in records.read(tmp_path / "figures")[0]}
    name = "sndcgan, batch 64"
    assert found == {
        "step": (name, 2.0, "s"), "loop": (name, 2.0, "%"), "peak": (name, 1.5, "GiB")
    }  # fmt: skip


def test_the_note_on_bfloat16(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("flags : avx512f avx512_bf16 xsave\n")
    assert train_step.note_on_bfloat16(info) == "This CPU has avx512_bf16."
    info.write_text("flags : avx2 avx512_bf16x\n")
    assert "emulated" in train_step.note_on_bfloat16(info)
    assert "emulated" in train_step.note_on_bfloat16(tmp_path / "none")


def test_pytorchs_networks_have_the_parameters_of_ours():
    pytest.importorskip("torch")
    arguments = argparse.Namespace(torch_python=sys.executable, clock="wall")
    for model in train_step.RECIPES:
        recipe = {**train_step.RECIPES[model], "model": model, "policy": "none", "width": WIDTH}
        gan = candidates.make_gan(recipe, "float32")
        counts = [candidates.parameters(n) for n in (gan.generator, gan.discriminator)]
        row = {**recipe, "precision": "float32", "parameters": counts}
        torch = train_step.start_torch(arguments, row)
        assert torch.ask("contiguous") > 0
        torch.close()


def test_pytorch_and_a_policy_exclude_each_other():
    command = [sys.executable, train_step.__file__, "--torch_python=python", "--policy=color"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no augmentation" in done.stderr
