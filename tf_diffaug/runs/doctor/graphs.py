"""What of a traced graph is run, and the graphs that it calls."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def needed_ops(graph: Any) -> dict[str, tf.Operation]:
    """The ops by name that outputs and side effects depend on: the others never run."""
    waiting = [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    found: dict[str, tf.Operation] = {}
    while waiting:
        op = waiting.pop()
        if op.name not in found:
            found[op.name] = op
            waiting += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return found


def called_graphs(op: tf.Operation, graph: Any) -> list[Any]:
    """The graphs of the functions that an op of a graph calls."""
    names = []
    for attribute in op.op_def.attr if op.op_def else ():
        if attribute.type == "func":
            names.append(op.get_attr(attribute.name).name)
        elif attribute.type == "list(func)":
            names += [function.name for function in op.get_attr(attribute.name)]
    # No public way leads from a function's name to its graph with the shapes in it.
    return [graph._get_function(name).graph for name in names]
