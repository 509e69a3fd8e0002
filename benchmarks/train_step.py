"""Times one D and one G step of each model against the machine's limit and against PyTorch.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --torch_python=PYTHON

The limit is the time that the step's matrix products and convolutions would take at the rate of the
best of several large square matrix products, measured in the same run; the graph of the step says
how many operations they are (`operations.py`). A bare 3 × 3 convolution stands beside it, forward
and with its gradients, since convolutions need not reach a matrix product's rate. PyTorch, in an
interpreter that has it, has the same networks and step (`torch_networks.py`) and counts in the
faster of its two memory layouts.

The step is `GAN.train_step` in a graph, one turn of D, with R1 at every step for StyleGAN2 as its
recipes have it. All candidates take turns; each ratio is the median of the rounds' ratios. Every
model runs in a process of its own, which is what its peak memory is of. The batch is that of the
recipe, halved until a step takes less than 20 s.

What a step of a run costs beyond the compiled step, as shares of it: `loop`, the input pipeline,
the bar and Python; `metrics`, their record at the default cadence.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import records
from benchmarks.memory import peak_gib
from benchmarks.timing import CLOCKS, Process, take_turns

# Published widths, batches, losses and regularisation of the recipes.
RECIPES: dict[str, dict[str, Any]] = {
    "sndcgan": {"width": 64, "batch_size": 64, "latent_dim": 128, "num_classes": None},
    "biggan": {"width": 64, "batch_size": 50, "latent_dim": 128, "num_classes": 10},
    "stylegan2": {
        "width": 128,
        "batch_size": 32,
        "latent_dim": 512,
        "num_classes": None,
        "loss": "non_saturating",
        "regularizers": "r1:0.1",
    },
}
LAYOUTS = ("contiguous", "channels_last")
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")
LONGEST_STEP = 20.0
COLUMNS = {
    # What is measured: its column, unit, and what it is multiplied with.
    "seconds": ("step", "s", 1),
    "gflop": ("work", "GFLOP", 1),
    "matrix_rate": ("best matrix product", "GFLOP/s", 1),
    "of_limit": ("of limit", "", 1),
    "of_convolution": ("of convolution", "", 1),
    "of_gradients": ("of gradients", "", 1),
    "torch": ("PyTorch", "", 1),
    "gain": ("gain", "", 1),
    "convolution_gain": ("gain of convolution", "", 1),
    "loop": ("loop", "%", 100),
    "metrics": ("metrics", "%", 100),
    "peak_gib": ("peak", "GiB", 1),
    "torch_peak_gib": ("PyTorch's peak", "GiB", 1),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--width", type=int, help="base channels, in place of the published ones")
    parser.add_argument("--batch_size", type=int, help="where halving starts")
    parser.add_argument("--policy", default="none", help="the augmentation, as in train.py")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--matrix_sizes", nargs="+", type=int, default=(1024, 2048, 4096))
    parser.add_argument("--loop_steps", type=int, default=10, help="steps of a run timed; 0: none")
    parser.add_argument("--operations", action="store_true", help="also time each product alone")
    parser.add_argument("--torch_python", help="one that imports torch: time its networks too")
    records.add_flag(parser)
    parser.add_argument("--worker", choices=RECIPES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch_python and arguments.policy != "none":
        parser.error("PyTorch's step has no augmentation: leave one of the two flags.")
    return arguments


def measure(arguments: argparse.Namespace, model: str) -> dict[str, Any]:
    """One model's row; in a process of its own."""
    from benchmarks import candidates, operations, training_loop

    clock = CLOCKS[arguments.clock]
    recipe = dict(RECIPES[model], model=model, policy=arguments.policy)
    recipe["width"] = arguments.width or recipe["width"]
    recipe["batch_size"] = arguments.batch_size or recipe["batch_size"]
    step = candidates.largest_step(recipe, arguments.precision, LONGEST_STEP)
    row: dict[str, Any] = {
        **{key: recipe[key] for key in ("model", "width", "num_classes")},
        "batch_size": step.batch_size,
        "precision": arguments.precision,
        "parameters": [candidates.parameters(n) for n in step.networks],
        "peak_gib": peak_gib(),  # before the large matrices of the references
        "gflop": operations.count(step.graph) / 1e9,
    }
    recipe["batch_size"] = step.batch_size
    contenders, work = {"step": step.seconds(clock)}, {"step": row["gflop"]}
    references = candidates.references(arguments, step.batch_size, clock)
    for name, (contenders[name], gflop) in references.items():
        work[name] = gflop
    if arguments.precision == "bfloat16":
        contenders["step in float32"] = candidates.Step(recipe, "float32").seconds(clock)
    torch = None
    if arguments.torch_python:
        torch = start_torch(arguments, row)
        contenders |= {layout: torch.candidate(layout) for layout in LAYOUTS}
    row |= ratios(take_turns(contenders, repeats=arguments.repeats, warmups=1), work)
    if torch:
        row["torch_peak_gib"] = torch.ask("peak")
        torch.close()
    if arguments.loop_steps:
        row |= training_loop.overhead(
            recipe, arguments.precision, step, arguments.loop_steps, clock
        )
    if arguments.operations:
        row["operations"] = operations.time_each(step.graph, clock=clock)
    return row


def ratios(rounds: dict[str, list[float]], work: dict[str, float]) -> dict[str, Any]:
    """What is read off the seconds of every round.

    Args:
        rounds: seconds by contender; a matrix product's name begins with "matrix".
        work: their GFLOP; `convolution`, `gradients` and the float32 twins are optional.
    """

    matrices = [name for name in rounds if name.startswith("matrix")]
    per_gflop = [[s / work[name] for s in rounds[name]] for name in matrices]
    best = [min(seconds) for seconds in zip(*per_gflop, strict=True)]
    found: dict[str, Any] = {
        "seconds": rounds["step"],
        "matrix_rate": [1 / seconds for seconds in best],
        "of_limit": records.ratios([s * work["step"] for s in best], rounds["step"]),
    }
    for name in ("convolution", "gradients"):
        factor = work["step"] / work[name]
        found[f"of_{name}"] = records.ratios([factor * s for s in rounds[name]], rounds["step"])
    if layouts := [layout for layout in LAYOUTS if layout in rounds]:
        faster = min(layouts, key=lambda layout: statistics.median(rounds[layout]))
        found["torch"] = records.ratios(rounds[faster], rounds["step"])
        found["torch_layout"] = faster
    if "step in float32" in rounds:
        found["gain"] = records.ratios(rounds["step in float32"], rounds["step"])
        found["convolution_gain"] = records.ratios(
            rounds["convolution in float32"], rounds["convolution"]
        )
    return found


def start_torch(arguments: argparse.Namespace, row: dict[str, Any]) -> Process:
    """PyTorch's process; makes sure that its networks are of the same size.

    Raises:
        RuntimeError: if they are not, or there is no PyTorch.
    """
    flags = {key: row[key] for key in ("model", "batch_size", "width", "precision")}
    flags["clock"] = arguments.clock
    script = Path(__file__).with_name("torch_networks.py")
    words = [f"--{name}={value}" for name, value in flags.items()]
    torch = Process([arguments.torch_python, script, *words])
    if (theirs := torch.ask("parameters")) != row["parameters"]:
        raise RuntimeError(f"PyTorch's networks have {theirs} parameters, not {row['parameters']}.")
    return torch


def record(recorder: records.Recorder, row: dict[str, Any]) -> None:
    """Adds what was measured of a model."""
    name = f"{row['model']}, batch {row['batch_size']}"
    for key, (column, unit, factor) in COLUMNS.items():
        if key in row:
            found = row[key]
            many = isinstance(found, list)
            recorder.add(
                name, column, [factor * each for each in found] if many else factor * found, unit
            )


def operations_table(row: dict[str, Any], least: float = 0.005) -> str:
    """Where the time of a step's products goes: those that take a share of `least` of the step."""
    step = statistics.median(row["seconds"])
    lines = [f"{row['model']}: products timed alone: ms, GFLOP/s, how many"]
    for item in row["operations"]:
        if item["seconds"] >= least * step:
            rate = item["operations"] / item["seconds"] / 1e9
            number = f"{item['seconds'] * 1e3:8.1f} {rate:6.0f} {item['times']:4d}"
            lines.append(f"{number}  {item['signature']}")
    total = sum(item["seconds"] for item in row["operations"])
    lines.append(f"{total * 1e3:8.1f} all of them, {total / step:.2f} of the step's time")
    return "\n".join(lines)


def note_on_bfloat16(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Which of a CPU's instructions for bfloat16 there are."""
    words = set(cpu_info.read_text().split()) if cpu_info.exists() else set()
    found = [flag for flag in BFLOAT16_FLAGS if flag in words]
    if found:
        return f"This CPU has {' and '.join(found)}."
    return f"This CPU has none of {', '.join(BFLOAT16_FLAGS)}: bfloat16 is emulated."


def main() -> None:
    arguments = parse_arguments()
    recorder = records.Recorder(arguments.json)
    if arguments.worker:
        row = measure(arguments, arguments.worker)
        record(recorder, row)
        if arguments.operations:
            print(operations_table(row), flush=True)
        return
    if arguments.precision == "bfloat16":
        print(note_on_bfloat16(), flush=True)
    if not arguments.torch_python:
        recorder.missing("PyTorch", "no --torch_python was given")
    for model in arguments.models:
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", model]
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(f"{model}: the process ended with {code}; its error is above.")


if __name__ == "__main__":
    main()
