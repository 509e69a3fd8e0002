"""`train --dry_run --compile_for=tpu-v3-8`: the step compiled for a TPU, and nothing written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tf_diffaug.aot.topologies import TOPOLOGIES
from tf_diffaug.commands import OK
from tf_diffaug.errors import Failure, UserError
from tf_diffaug.naming import unknown

if TYPE_CHECKING:
    from tf_diffaug.runs.recipe import Recipe  # which loads TensorFlow


def check(name: str, *, dry_run: bool) -> None:
    """Refuses what cannot be compiled, before TensorFlow is loaded.

    Args:
        name: of the topology, as the user typed it.
        dry_run: whether that was asked for too.

    Raises:
        UserError: naming what is wrong, or what must be installed.
    """
    from tf_diffaug.aot import stages

    received = f"--compile_for={name}"
    if name not in TOPOLOGIES:
        raise UserError(unknown("topology", name, TOPOLOGIES, received=received))
    if not dry_run:
        raise UserError(f"--compile_for is a kind of dry run: add --dry_run. Received: {received}.")
    missing = stages.missing_wheels()
    if missing:
        raise UserError(
            f"--compile_for needs {', '.join(missing)}: `make setup STACK=tpu` makes an "
            "environment with them, .venv-tpu, or pip install -r requirements-tpu.txt. "
            f"Received: {received}."
        )
    # TensorFlow's TPU wheel reads these when it is loaded.
    for key, value in stages.ENVIRONMENT.items():
        os.environ.setdefault(key, value)


def try_out(recipe: Recipe, name: str) -> int:
    """Loads the data, compiles a step for the cores of a topology, and says what they would need.

    Raises:
        UserError: if the step does not fit a core's memory, or the batch not the replicas.
        Failure: if it does not compile.
    """
    from tf_diffaug.aot import stages
    from tf_diffaug.aot.compile import DoesNotFit
    from tf_diffaug.runs import parts

    topology = TOPOLOGIES[name]
    data = parts.load_data(recipe.config)
    case = stages.case_of(recipe.config, parts.data_facts(data), topology.replicas)
    print(
        f"Compiling for {topology.replicas} replicas; each part takes a minute, or several.",
        flush=True,
    )
    try:
        step, (compiled,) = stages.compile_case(case, [topology], progress=_say)
    except DoesNotFit as error:
        raise UserError(
            f"{error} A smaller --batch_size or --width needs less. Received: "
            f"--compile_for={name} --batch_size={recipe.config.batch_size}."
        ) from error
    except RuntimeError as error:
        raise Failure(f"it does not compile for {name}: {error}") from error
    if step.suspects:
        raise Failure(f"a step would wait for the host: {', '.join(step.suspects[:3])}")
    sums = step.instructions.get("all-reduce", 0)
    lines = [
        "Dry run: it compiles, and no run was written. It has not run on a TPU.",
        f"  images      {len(data.images):,}, {'x'.join(map(str, data.images.shape[1:]))}",
        f"  replicas    {topology.replicas}, each on a core or chip of {compiled.device}; "
        f"{recipe.config.batch_size // topology.replicas} images each",
        f"  each step   {compiled.flops:.3g} floating-point operations and {sums} sums over the "
        "replicas, a replica",
        f"  memory      {compiled.memory:,.0f} MiB a replica: state {compiled.state:,.0f}, "
        f"temporary {compiled.temporary:,.0f}, program {compiled.program:,.0f}",
        f"  traced by   {step.traced_by}",
    ]
    print("\n".join(lines))
    return OK


def _say(done: str, seconds: float) -> None:
    print(f"  {done:<11} in {seconds:.0f} s", flush=True)
