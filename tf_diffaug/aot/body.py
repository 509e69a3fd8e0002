"""Takes the variables out of a graph or a function, whose nodes then pass their values on."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

RESOURCE = tf.resource.as_datatype_enum
# Marks for a TPU's runtime, and checks, which a compiled step leaves out.
_DROPPED = ("Assert", "NoOp", "TPUReplicateMetadata", "TPUReplicatedInput", "TPUCompilationResult")
_FUNCTIONS = {
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
}
_UPDATES = {"AssignAddVariableOp": "AddV2", "AssignSubVariableOp": "Sub"}


class Variable(NamedTuple):
    """The tensor of a variable's present value, and what it holds."""

    value: str
    dtype: int
    shape: Any


class Body:
    """Nodes that are taken one after the other, in an order that their inputs allow.

    Control edges put the reads and writes of one variable in order; nodes that are gone leave a
    `NoOp` of their name for them.

    Args:
        library: the functions by name; those without variables are added to it.
        arguments: a function's; None for a graph. A function spells tensors `node:result:index`,
            a graph `node:index`.
    """

    def __init__(self, library: dict[str, Any], arguments: Sequence[str] | None = None) -> None:
        self.nodes: list[Any] = []
        self.variables: dict[str, Variable] = {}  # by the tensor of the handle
        self.written: set[str] = set()
        self._library = library
        self._functional = arguments is not None
        self._arguments = arguments or ()
        self._copies: dict[str, str] = {}  # tensors of handles that are copies of others
        self._values: dict[str, str] = {}  # tensors of nodes that are gone

    def take_all(self, nodes: Iterable[Any]) -> None:
        """Takes nodes, each after those that it depends on."""
        nodes = list(nodes)
        self._followed = {f"^{node.name}" for node in nodes}
        for node in _in_order(nodes):
            self._take(node)

    def value(self, tensor: str) -> str:
        """The tensor that now has the value of one of the nodes that were taken."""
        tensor = self._spelled(tensor)
        return self._values.get(tensor, tensor)

    def written_places(self) -> list[int]:
        """Which of a function's arguments are variables that it writes."""
        return [place for place, name in enumerate(self._arguments) if name in self.written]

    def _spelled(self, tensor: str) -> str:
        return tensor if self._functional or ":" in tensor else f"{tensor}:0"

    def _result(self, node: Any, result: str, index: int = 0) -> str:
        return f"{node.name}:{result}:{index}" if self._functional else f"{node.name}:{index}"

    def _handle(self, tensor: str) -> str | None:
        """The variable's handle that a tensor is, if it is one."""
        tensor = self._spelled(tensor)
        tensor = self._copies.get(tensor, tensor)
        return tensor if tensor in self.variables else None

    def _set(self, handle: str, value: str) -> None:
        self.variables[handle] = self.variables[handle]._replace(value=value)
        self.written.add(handle)

    def _add(self, node: Any, op: str, inputs: Sequence[str] = (), **attributes: Any) -> Any:
        """A node in the place of another, after all that this was to follow."""
        made = type(node)(name=node.name, op=op)
        made.input.extend([*inputs, *(name for name in node.input if name in self._followed)])
        for name, value in attributes.items():
            made.attr[name].CopyFrom(value)
        self.nodes.append(made)
        return made

    def _take(self, node: Any) -> None:
        inputs = [name for name in node.input if not name.startswith("^")]
        handles = [self._handle(name) for name in inputs]
        if node.op in _DROPPED:
            self._add(node, "NoOp")
        elif not any(handles):
            attributes = {k: v for k, v in node.attr.items() if not k.startswith("_")}
            self._add(node, node.op, map(self.value, inputs), **attributes)
        elif node.op in _FUNCTIONS:
            self._call(node, inputs, handles)
        else:
            self._use(node, handles[0], [self.value(name) for name in inputs[1:]])

    def _use(self, node: Any, handle: str, others: Sequence[str]) -> None:
        """A node that copies a handle, or reads or writes its variable."""
        variable = self.variables[handle]
        dtype = tf.compat.v1.AttrValue(type=variable.dtype)
        if node.op in _UPDATES:
            self._add(node, _UPDATES[node.op], [variable.value, *others], T=dtype)
            self._set(handle, self._result(node, "z"))
        elif node.op == "ResourceGather":
            self._gather(node, variable, others[0])
        else:
            self._add(node, "NoOp")
            if node.op == "Identity":
                self._copies[self._result(node, "output")] = handle
            elif node.op == "ReadVariableOp":
                self._values[self._result(node, "value")] = variable.value
            elif node.op == "AssignVariableOp":
                self._set(handle, others[0])
            else:
                raise NotImplementedError(f"A step with {node.op} of a variable ({node.name}).")

    def _gather(self, node: Any, variable: Variable, indices: str) -> None:
        axis = type(node)(name=f"{node.name}/axis", op="Const")
        axis.attr["dtype"].type = tf.int32.as_datatype_enum
        axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0, tf.int32))
        self.nodes.append(axis)
        made = self._add(
            node,
            "GatherV2",
            [variable.value, indices, self._result(axis, "output")],
            batch_dims=node.attr["batch_dims"],
            Tindices=node.attr["Tindices"],
        )
        made.attr["Tparams"].type = variable.dtype
        made.attr["Taxis"].type = tf.int32.as_datatype_enum
        self._values[self._result(node, "output")] = self._result(made, "output")

    def _call(self, node: Any, inputs: Sequence[str], handles: Sequence[str | None]) -> None:
        """A node that calls functions, of which each gets values and gives the new ones back."""
        first = 1 if len(_FUNCTIONS[node.op]) > 1 else 0  # a condition's first input is its own
        passed = [self.variables[h] if h else None for h in handles]
        given = [
            self.value(n) if v is None else v.value for n, v in zip(inputs, passed, strict=True)
        ]
        attributes = {k: v for k, v in node.attr.items() if not k.startswith("_")}
        made = self._add(node, node.op, given, **attributes)
        for place, variable in enumerate(passed[first:]):
            if variable is not None:
                made.attr["Tin"].list.type[place] = variable.dtype
        functions = [self._library[node.attr[n].func.name] for n in _FUNCTIONS[node.op]]
        bodies = [_function_body(self._library, f, passed[first:]) for f in functions]
        written = sorted({place for body in bodies for place in body.written_places()})
        _refuse_shared(node, [handles[first + place] for place in written])
        for name, function, body in zip(_FUNCTIONS[node.op], functions, bodies, strict=True):
            made.attr[name].func.name = _add_pure(self._library, function, body, written)
        count = len(node.attr["Tout"].list.type)
        for index, place in enumerate(written):
            variable = passed[first + place]
            made.attr["Tout"].list.type.append(variable.dtype)
            if len(node.attr["output_shapes"].list.shape):
                made.attr["output_shapes"].list.shape.append(variable.shape)
            self._set(handles[first + place], self._result(node, "output", count + index))


def _refuse_shared(node: Any, handles: Sequence[str]) -> None:
    if len({*handles}) < len(handles):
        raise NotImplementedError(
            f"A function that has a variable twice and writes it ({node.name})."
        )


def _function_body(library: dict, function: Any, passed: Sequence[Variable | None]) -> Body:
    """A function's nodes without the variables among its arguments."""
    body = Body(library, [argument.name for argument in function.signature.input_arg])
    for argument, variable in zip(function.signature.input_arg, passed, strict=True):
        if variable is not None:
            body.variables[argument.name] = variable._replace(value=argument.name)
    body.take_all(function.node_def)
    return body


def _add_pure(library: dict, function: Any, body: Body, written: Sequence[int]) -> str:
    """Adds the function of such a body to the library; returns its name.

    Args:
        library: the functions by name.
        function: as it was.
        body: its nodes, rewritten.
        written: the arguments whose new values are results, after those that there were.
    """
    made = type(function)()
    made.CopyFrom(function)
    arguments = made.signature.input_arg
    made.signature.name = f"{function.signature.name}_of_values"
    made.arg_attr.clear()
    made.resource_arg_unique_id.clear()
    del made.node_def[:]
    made.node_def.extend(body.nodes)
    for argument in arguments:
        if argument.name in body.variables:
            argument.type = body.variables[argument.name].dtype
            argument.ClearField("handle_data")
    for name, tensor in function.ret.items():
        made.ret[name] = body.value(tensor)
    for place in written:
        argument = arguments[place]
        name = f"written_{place}"
        made.signature.output_arg.add(name=name, type=argument.type)
        made.ret[name] = body.variables[argument.name].value
    library[made.signature.name] = made
    return made.signature.name


def _in_order(nodes: list[Any]) -> list[Any]:
    """Nodes after all that they depend on, otherwise in the order that they have."""
    places = {node.name: place for place, node in enumerate(nodes)}
    waits, followers = [0] * len(nodes), [[] for _ in nodes]
    for place, node in enumerate(nodes):
        sources = {name.lstrip("^").split(":")[0] for name in node.input}
        for source in sources & places.keys():
            followers[places[source]].append(place)
            waits[place] += 1
    ready = [place for place, count in enumerate(waits) if not count]
    ordered = []
    while ready:
        place = heapq.heappop(ready)
        ordered.append(nodes[place])
        for follower in followers[place]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, follower)
    return ordered
