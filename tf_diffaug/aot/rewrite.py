"""One replica's step as a pure function: variables are arguments, and new values are results.

TensorFlow lowers ahead of time only what holds no variables. What is rewritten is the description
of a graph, node by node; nothing is traced anew, so that what is lowered is what was traced.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tf_diffaug.aot.body import RESOURCE, Body, Variable
from tf_diffaug.aot.trace import DTYPE, NAME, SHAPE


class Replica(NamedTuple):
    """A step of one replica.

    Args:
        graph: its nodes; what it takes is named in it, and stands in `inputs` and `variables`.
        inputs: the replica's number, images, and labels if there are any.
        variables: by the same kind of name.
        names: of each variable the name that `trace.variables_of` has.
        losses: the tensors of the losses, in the order of their names.
        written: the tensors of the new values of those variables that a step changes.
    """

    graph: tf.compat.v1.GraphDef
    inputs: dict[str, tf.TensorSpec]
    variables: dict[str, tf.TensorSpec]
    names: dict[str, str]
    losses: list[str]
    written: dict[str, str]

    def __call__(self, *arguments: tf.Tensor) -> list[tf.Tensor]:
        """The losses, then the new values of the variables in `written`.

        Args:
            *arguments: those of `inputs`, then the values of `variables`.
        """
        used = {tensor for node in self.graph.node for tensor in node.input}
        places = [f"{place}:0" for place in (*self.inputs, *self.variables)]
        given = dict(zip(places, arguments, strict=True))
        results = [*self.losses, *self.written.values()]
        # A variable may be given what is no node's: its old value, or another's.
        made = [name for name in results if name not in given]
        values = tf.graph_util.import_graph_def(
            self.graph,
            input_map={place: value for place, value in given.items() if place in used},
            return_elements=made,
            name="",
        )
        given |= dict(zip(made, values, strict=True))
        return [given[name] for name in results]

    @property
    def specs(self) -> list[tf.TensorSpec]:
        """What it is called with."""
        return [*self.inputs.values(), *self.variables.values()]


def rewrite(traced: tf.compat.v1.GraphDef) -> Replica:
    """Takes one replica's step out of a graph that `trace_step` made.

    Raises:
        NotImplementedError: if the step does to a variable what is not known here.
    """
    nodes = {node.name: node for node in traced.node}
    library = {function.signature.name: function for function in traced.library.function}
    # What stands outside of the replica are its marks, inputs and outputs, and captured constants.
    inside = [n for n in traced.node if "_tpu_replicate" in n.attr or n.op == "Const"]
    body = Body(library)
    found = Replica(tf.compat.v1.GraphDef(), {}, {}, {}, [], {})
    for node in traced.node:
        if node.op == "TPUReplicatedInput":
            _take_input(body, found, node, _source(nodes, node.input[0]))
    body.take_all(inside)
    for node in traced.node:
        if node.op == "TPUReplicatedOutput":
            name = node.input[0]
            while "_tpu_replicate" not in nodes[name.split(":")[0]].attr:
                name = nodes[name.split(":")[0]].input[0]
            found.losses.append(body.value(name))
    for place in found.variables:
        if place + ":0" in body.written:
            found.written[place] = body.variables[place + ":0"].value
    found.graph.node.extend(body.nodes)
    found.graph.versions.CopyFrom(traced.versions)
    found.graph.library.function.extend(library.values())
    return found


def _source(nodes: dict, name: str) -> tf.compat.v1.NodeDef:
    """The node that a tensor comes from, through copies from device to device."""
    node = nodes[name.split(":")[0]]
    return _source(nodes, node.input[0]) if node.op == "Identity" else node


def _take_input(
    body: Body, found: Replica, node: tf.compat.v1.NodeDef, first: tf.compat.v1.NodeDef
) -> None:
    """Takes what has a value on each replica; `first` is the node of the first one's."""
    if node.attr["T"].type == RESOURCE:
        dtype, shape = first.attr[DTYPE].type, first.attr[SHAPE].shape
        body.variables[f"{node.name}:0"] = Variable(f"{node.name}:0", dtype, shape)
        found.names[node.name] = first.attr[NAME].s.decode()
    else:
        dtype = node.attr["T"].type
        is_number = first.op == "Const"
        shape = first.attr["value"].tensor.tensor_shape if is_number else first.attr["shape"].shape
    spec = tf.TensorSpec(tf.TensorShape(shape), tf.as_dtype(dtype))
    (found.variables if node.name in found.names else found.inputs)[node.name] = spec
