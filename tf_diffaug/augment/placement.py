"""Where a function is going to run, as far as it can be told while it is traced."""

from __future__ import annotations

import tensorflow as tf


def accelerated() -> bool:
    """Whether this process has a device other than CPUs."""
    return any(device.device_type != "CPU" for device in tf.config.list_logical_devices())


def traced_for_xla() -> bool:
    """Whether the function being traced is compiled by XLA.

    There is no public way to ask. Only speed may depend on the answer: a function traced under XLA
    can be called from elsewhere later, and where TensorFlow no longer tells the answer is no.
    """
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    while graph is not None:
        context = getattr(graph, "_get_control_flow_context", lambda: None)()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False
