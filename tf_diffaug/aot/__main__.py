"""`python -m tf_diffaug.aot PARTS FOLDER ...`: parts of `stages`, each a process of its own."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

from tf_diffaug.aot.stages import GRAPH, LOWERED, PROGRAM, Case


def _trace(folder: pathlib.Path) -> None:
    import keras
    import tensorflow as tf

    from tf_diffaug.aot import trace
    from tf_diffaug.runs import Config, parts, settle
    from tf_diffaug.runs.recipe import images_per_step

    case = Case(**json.loads((folder / "case.json").read_text()))
    trace.make_cores(case.replicas)
    recipe = settle(Config(**case.settings))
    gan = parts.make_gan(recipe, trace.tpu_strategy(case.replicas), case.facts)
    rows = images_per_step(recipe.config) // case.replicas
    graph = trace.trace_step(gan, rows)
    (folder / GRAPH).write_bytes(graph.SerializeToString())
    by = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    (folder / "traced_by").write_text(by)
    _say("traced")


def _lower(folder: pathlib.Path, platform: str) -> None:
    import tensorflow as tf

    from tf_diffaug.aot.lower import lower_step
    from tf_diffaug.aot.rewrite import rewrite

    graph = tf.compat.v1.GraphDef.FromString((folder / GRAPH).read_bytes())
    lowered = lower_step(rewrite(graph), platform)
    (folder / PROGRAM).write_bytes(lowered.program)
    found = {
        "traced_by": (folder / "traced_by").read_text(),
        "instructions": lowered.instructions,
        "suspects": lowered.suspects,
    }
    (folder / LOWERED).write_text(json.dumps(found))
    _say("lowered")


def _compile(folder: pathlib.Path, replicas: str, *names: str) -> None:
    from tf_diffaug.aot.compile import DoesNotFit, compile_for
    from tf_diffaug.aot.topologies import topology_named

    program = (folder / PROGRAM).read_bytes()
    for name in names:
        try:
            found = compile_for(program, topology_named(name), replicas=int(replicas))
            _say("compiled", compiled=found._asdict())
        except DoesNotFit as error:
            _say("compiled", does_not_fit=str(error))


def _say(done: str, **found: Any) -> None:
    print(json.dumps({"done": done, **found}), flush=True)


def main(parts: str, folder: str, *arguments: str) -> None:
    """Does the parts, such as `trace,lower`, on what a folder holds.

    Args:
        parts: their names.
        folder: where they read and write.
        *arguments: those of the last.
    """
    work = pathlib.Path(folder)
    *firsts, last = parts.split(",")
    for part in firsts:
        {"trace": _trace}[part](work)
    {"trace": _trace, "lower": _lower, "compile": _compile}[last](work, *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
