"""Counts, and times one by one, the matrix products and convolutions of a TensorFlow graph.

A multiplication and the addition after it are 2 operations. Every kernel tap counts at every
position, those over a border of zeros too. What is counted is the graph as it was traced, whatever
TensorFlow fuses later, without the ops that nothing needs, which TensorFlow never runs: the
gradient of a convolution is always traced for both of its inputs.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_diffaug.runs.doctor.graphs import called_graphs, needed_ops


def _product(op: tf.Operation) -> int:
    left = op.inputs[0].shape
    flag = "transpose_a" if op.type == "MatMul" else "adj_x"
    return _size(op.outputs[0]) * _known(left[-2 if op.get_attr(flag) else -1])


def _convolution(op: tf.Operation) -> int:
    return _size(op.outputs[0]) * _taps(op.inputs[1].shape)


def _input_gradient(op: tf.Operation) -> int:
    return _size(op.inputs[2]) * _taps(op.inputs[1].shape)


def _filter_gradient(op: tf.Operation) -> int:
    return _size(op.inputs[2]) * _taps(op.outputs[0].shape)


def _depthwise(op: tf.Operation) -> int:
    return _size(op.outputs[0]) * _area(op.inputs[1].shape)


def _depthwise_input_gradient(op: tf.Operation) -> int:
    return _size(op.inputs[2]) * _area(op.inputs[1].shape)


def _depthwise_filter_gradient(op: tf.Operation) -> int:
    return _size(op.inputs[2]) * _area(op.outputs[0].shape)


# The multiplications of each kind of op. A filter is (height, width, inputs, outputs); each number
# that a convolution puts out, or whose gradient it takes in, has taken part in all of its taps.
_MULTIPLICATIONS: dict[str, Callable[[tf.Operation], int]] = {
    "MatMul": _product,
    "BatchMatMul": _product,
    "BatchMatMulV2": _product,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _input_gradient,
    "Conv2DBackpropFilter": _filter_gradient,
    "DepthwiseConv2dNative": _depthwise,
    "DepthwiseConv2dNativeBackpropInput": _depthwise_input_gradient,
    "DepthwiseConv2dNativeBackpropFilter": _depthwise_filter_gradient,
}
_ALIKE = re.compile("MatMul|Conv[0-9]|Einsum|XlaDot")


@dataclasses.dataclass(frozen=True)
class Counted:
    """One matrix product or convolution of a graph.

    Args:
        op: it.
        operations: additions and multiplications.
    """

    op: tf.Operation
    operations: int

    @property
    def signature(self) -> str:
        """Two ops of one signature do the same work."""
        shapes = [tuple(x.shape) for x in (*self.op.inputs, *self.op.outputs)]
        texts = ["x".join(map(str, shape)) for shape in shapes if len(shape) > 1]
        flags = [f"stride {self.op.get_attr('strides')[1]}"] if "Conv" in self.op.type else []
        flags += [
            name
            for name in ("transpose_a", "transpose_b", "adj_x", "adj_y")
            if name in self.op.node_def.attr and self.op.get_attr(name)
        ]
        return " ".join([self.op.type, *texts[:-1], "->", texts[-1], *flags])


def counted(graph: Any) -> list[Counted]:
    """Every matrix product and convolution that a function's graph and its calls run.

    Of the branches of a condition the one with most operations counts.

    Raises:
        ValueError: for a shape that is not known, a kind of product that has no formula here, or
            one inside a loop, whose number of turns is not in the graph.
    """
    found: list[Counted] = []
    for op in needed_ops(graph).values():
        if op.type in _MULTIPLICATIONS:
            found.append(Counted(op, 2 * _MULTIPLICATIONS[op.type](op)))
            continue
        if _ALIKE.search(op.type):
            raise ValueError(f"There is no formula for this op. Received: type={op.type!r}.")
        inner = [counted(called) for called in called_graphs(op, graph)]
        if any(inner) and "While" in op.type:
            raise ValueError(f"A loop's products can't be counted. Received: op={op.name!r}.")
        if inner:
            found += max(inner, key=lambda ops: sum(item.operations for item in ops))
    return found


def count(graph: Any) -> int:
    """Additions and multiplications in the matrix products and convolutions of a graph."""
    return sum(item.operations for item in counted(graph))


def time_each(
    graph: Any, *, clock: Callable[[], float] = time.perf_counter, repeats: int = 5
) -> list[dict[str, Any]]:
    """Times each kind of product of a graph on its own, on inputs of its shapes.

    Args:
        graph: a function's.
        clock: seconds.
        repeats: timed runs, of which the median counts.

    Returns:
        A dict for each signature, the most expensive first: `signature`, `times` (how often it is
        in the graph), `operations` and `seconds` of all of them together.
    """
    groups = collections.defaultdict(list)
    for item in counted(graph):
        groups[item.signature].append(item)
    rows = [
        {
            "signature": signature,
            "times": len(items),
            "operations": sum(item.operations for item in items),
            "seconds": len(items) * _seconds(items[0].op, clock, repeats),
        }
        for signature, items in groups.items()
    ]
    return sorted(rows, key=lambda row: -row["seconds"])


def _seconds(op: tf.Operation, clock: Callable[[], float], repeats: int) -> float:
    attributes = {
        attribute.name: op.get_attr(attribute.name)
        for attribute in op.op_def.attr
        if attribute.type != "type"
    }
    tensors, sizes = {}, {}
    for argument, tensor in zip(op.op_def.input_arg, op.inputs, strict=True):
        if tensor.dtype == tf.int32:
            # The only integers are the sizes of what comes out.
            sizes[argument.name] = tf.constant(op.outputs[0].shape.as_list())
        else:
            noise = tf.random.stateless_normal(tensor.shape, [0, len(tensors)])
            tensors[argument.name] = tf.cast(noise, tensor.dtype)
    run = getattr(tf.raw_ops, op.type)
    function = tf.function(lambda given: run(**given, **sizes, **attributes), autograph=False)
    seconds = []
    for _ in range(repeats + 2):
        start = clock()
        function(tensors)
        seconds.append(clock() - start)
    return statistics.median(seconds[2:])


def _taps(kernel: tf.TensorShape) -> int:
    return _known(_area(kernel) * kernel[2])


def _area(kernel: tf.TensorShape) -> int:
    return _known(kernel[0]) * _known(kernel[1])


def _size(tensor: tf.Tensor) -> int:
    if not tensor.shape.is_fully_defined():
        raise ValueError(f"The shape must be known. Received: {tensor.name} of {tensor.shape}.")
    return math.prod(tensor.shape)


def _known(size: int | None) -> int:
    if size is None:
        raise ValueError("The shapes of all operands must be known. Received: None.")
    return size
