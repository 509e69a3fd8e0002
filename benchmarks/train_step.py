"""Times one D and one G step of each model against the machine's limit and against PyTorch.

    python benchmarks/train_step.py --torch_reference --torch_python=PYTHON

The limit is the time that the step's matrix products and convolutions would take at the rate of the
best of several large square matrix products, measured in the same run; the graph of the step says
how many operations they are (`operations.py`). A bare 3 × 3 convolution stands beside it, forward
and with its gradients, since convolutions need not reach a matrix product's rate. PyTorch has the
same networks and step (`torch_networks.py`) and counts in the faster of its two memory layouts.

The step is `GAN.train_step` in a graph, one turn of D, with R1 at every step for StyleGAN2 as its
recipes have it. All candidates take turns; each ratio is the median of the rounds' ratios. Every
model runs in a process of its own, which is what its peak memory is of. The batch is that of the
recipe, halved until a step takes less than 20 s.

What a step of a run costs beyond the compiled step, as shares of it: `loop`, the input pipeline,
the bar and Python; `logging`, the metrics' record at the default cadence.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

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
COLUMNS = (
    # Key, heading, format.
    ("model", "model", "<10"),
    ("batch_size", "batch", "5d"),
    ("seconds", "s", "7.3f"),
    ("gflop", "GFLOP", "7.0f"),
    ("matrix_rate", "GFLOP/s", "8.0f"),
    ("of_limit", "of limit", "8.2f"),
    ("of_convolution", "of conv", "8.2f"),
    ("of_gradients", "of grad", "8.2f"),
    ("torch", "torch", "6.2f"),
    ("gain", "gain", "5.2f"),
    ("convolution_gain", "conv gain", "9.2f"),
    ("loop", "loop", "6.2%"),
    ("logging", "logging", "7.2%"),
    ("peak_gib", "GiB", "5.2f"),
    ("torch_peak_gib", "torch GiB", "9.2f"),
)
LEGEND = """\
GFLOP/s: of the best matrix product. of limit: the limit over the step's time; of conv, of grad: the
time that the bare convolution, or it with its gradients, would need for the step's operations over
the step's time (1 is as fast). torch: PyTorch's time over ours. gain: float32's time over
bfloat16's, of the step and of the bare convolution."""


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
    parser.add_argument("--torch_reference", action="store_true", help="time PyTorch's networks")
    parser.add_argument("--torch_python", default=sys.executable, help="one that imports torch")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--worker", choices=RECIPES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch_reference and arguments.policy != "none":
        parser.error("PyTorch's step has no augmentation: leave one of the two flags.")
    return arguments


def measure(arguments: argparse.Namespace, model: str) -> dict[str, Any]:
    """One model's row; in a process of its own."""
    import tensorflow as tf

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
    if arguments.torch_reference:
        torch = start_torch(arguments, row)
        contenders |= {layout: torch.candidate(layout) for layout in LAYOUTS}
    row["rounds"] = take_turns(contenders, repeats=arguments.repeats, warmups=1)
    row |= ratios(row["rounds"], work)
    if torch:
        row["torch_peak_gib"] = torch.ask("peak")
        torch.close()
    if arguments.loop_steps:
        row |= training_loop.overhead(
            recipe, arguments.precision, step, arguments.loop_steps, clock
        )
    if arguments.operations:
        row["operations"] = operations.time_each(step.graph, clock=clock)
    row["tensorflow"] = tf.__version__
    return row


def ratios(rounds: dict[str, list[float]], work: dict[str, float]) -> dict[str, Any]:
    """What is read off the seconds of every round.

    Args:
        rounds: seconds by contender; a matrix product's name begins with "matrix".
        work: their GFLOP; `convolution`, `gradients` and the float32 twins are optional.
    """

    def median_ratio(above: str, below: str, factor: float = 1.0) -> float:
        pairs = zip(rounds[above], rounds[below], strict=True)
        return statistics.median(factor * a / b for a, b in pairs)

    matrices = [name for name in rounds if name.startswith("matrix")]
    per_gflop = [[s / work[name] for s in rounds[name]] for name in matrices]
    best = [min(seconds) for seconds in zip(*per_gflop, strict=True)]
    found: dict[str, Any] = {
        "seconds": statistics.median(rounds["step"]),
        "matrix_rate": 1 / statistics.median(best),
        "of_limit": statistics.median(
            limit * work["step"] / seconds
            for limit, seconds in zip(best, rounds["step"], strict=True)
        ),
    }
    for name in ("convolution", "gradients"):
        found[f"of_{name}"] = median_ratio(name, "step", work["step"] / work[name])
    layouts = [layout for layout in LAYOUTS if layout in rounds]
    if layouts:
        faster = min(layouts, key=lambda layout: statistics.median(rounds[layout]))
        found |= {"torch": median_ratio(faster, "step"), "torch_layout": faster}
    if "step in float32" in rounds:
        found["gain"] = median_ratio("step in float32", "step")
        found["convolution_gain"] = median_ratio("convolution in float32", "convolution")
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


def table(rows: list[dict[str, Any]], columns: Sequence[tuple[str, str, str]] = COLUMNS) -> str:
    """The rows as text, without the columns that no row has."""
    shown = [column for column in columns if any(column[0] in row for row in rows)]
    lines = [[heading for _, heading, _ in shown]]
    for row in rows:
        lines.append([format(row[key], how) if key in row else "" for key, _, how in shown])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        " ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def operations_table(row: dict[str, Any], least: float = 0.005) -> str:
    """Where the time of a step's products goes: those that take a share of `least` of the step."""
    lines = [f"{row['model']}: products timed alone: ms, GFLOP/s, how many"]
    for item in row["operations"]:
        if item["seconds"] >= least * row["seconds"]:
            rate = item["operations"] / item["seconds"] / 1e9
            number = f"{item['seconds'] * 1e3:8.1f} {rate:6.0f} {item['times']:4d}"
            lines.append(f"{number}  {item['signature']}")
    total = sum(item["seconds"] for item in row["operations"])
    lines.append(f"{total * 1e3:8.1f} all of them, {total / row['seconds']:.2f} of the step's time")
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
    if arguments.worker:
        print(json.dumps(measure(arguments, arguments.worker)))
        return
    if arguments.precision == "bfloat16":
        print(note_on_bfloat16())
    rows = []
    for model in arguments.models:
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", model]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"{model}: the process ended with {done.returncode}; its error is above.")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        if arguments.operations:
            print(operations_table(rows[-1]), flush=True)
    print(table(rows))
    print(LEGEND)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
