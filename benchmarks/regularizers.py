"""Times SNDCGAN's step with each regularizer, or paired logits, against the plain step's.

S3GAN's, which needs classes, is held against BigGAN's, the path length, which needs styles, against
StyleGAN2's without R1, the reconstruction, which needs maps, against FastGAN's; all at their
published batch and width.

    python benchmarks/regularizers.py

The step is `GAN.train_step` in a graph, one turn of D; that of a penalty in every so many steps is
the mean of as many, as is that of its plain step. All steps take turns; each ratio is the median of
the rounds' ratios. Regularizers that look at the augmentation, or work through it, have a cheap
one; where that stands in the adversarial losses (`both`), the plain step has it too.

Beside the measured ratio stand two that follow from arithmetic, in matrix products and convolutions
(`operations.py`). `implied` is of the views: every view more that D judges in its own update costs
it a pass forward and the gradients of its weights, one in G's update a pass and the gradient of the
images; a pass forward of D or G that trains nothing costs itself; there is none for those whose
cost is elsewhere. `counted` is of the step's graph, with
gradients of gradients, projection heads and further passes of G. The aim is a measured ratio of
at most 1.10 times the implied one, and 1.02 for LeCam, ADA, APA and diffusion.

The peak of memory is that of a process for each step alone, less what it held with its networks
made and no step taken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import records
from benchmarks.memory import held_gib, peak_gib
from benchmarks.timing import CLOCKS, take_turns
from benchmarks.train_step import RECIPES

# Plain steps, and what each of the others differs in from one of them. `views`: how many D judges
# in its own and in G's update, where that is all that it costs but for `passes`: those of D and of
# G that train nothing. `steps`: those of a turn, one of which is the dear one of a lazy penalty.
PLAIN: dict[str, dict[str, Any]] = {
    "plain": {"policy": "none"},
    "plain, augmented in both": {"augment": "both"},
    "plain, diffusion_noise in both": {"augment": "both", "policy": "diffusion_noise"},
    "plain, 16 steps": {"policy": "none", "steps": 16},
    "plain BigGAN": {"policy": "none", "model": "biggan"},
    "plain StyleGAN2": {"policy": "none", "model": "stylegan2", "steps": 4},
    "plain FastGAN": {"policy": "none", "model": "fastgan"},
}
# `train_step.py` has no PyTorch's of these.
_MORE_RECIPES = {
    "fastgan": {"width": 64, "batch_size": 8, "latent_dim": 256, "num_classes": None},
}
VIEWS = (2, 1)
CASES: dict[str, dict[str, Any]] = {
    "cr": {"regularizers": "cr:10", "views": (3, 1)},
    "bcr": {"regularizers": "bcr:10", "views": (4, 1)},
    "cntr": {"regularizers": "cntr:0.1", "views": (6, 1)},
    "cntr+bcr": {"regularizers": "cntr:0.1,bcr:5", "views": (6, 1)},
    "lecam": {"policy": "none", "views": VIEWS, "most": 1.02},
    "ada": {"augment": "both", "views": VIEWS, "most": 1.02},
    "apa": {"policy": "none", "views": VIEWS, "most": 1.02},
    "diffusion": {"augment": "both", "policy": "diffusion_noise", "views": VIEWS, "most": 1.02},
    "topk": {"policy": "none", "views": VIEWS},
    # Each fake is judged beside a real, in G's update too.
    "relativistic": {
        "regularizers": "none",
        "loss": "relativistic",
        "policy": "none",
        "views": (2, 2),
    },
    # A queue of 5 % of CIFAR-10.
    "insgen": {
        "regularizers": "insgen(queue=2500)",
        "augment": "both",
        "views": VIEWS,
        "passes": (3, 1),
    },
    "fakeclr": {
        "regularizers": "fakeclr(queue=2500)",
        "augment": "both",
        "views": VIEWS,
        "passes": (2, 1),
    },
    "chain": {"policy": "none", "normalization": "chain", "views": VIEWS},
    "ssgan": {"policy": "none", "views": (3, 2)},
    "augself": {"augment": "both", "views": (4, 2)},
    "r1, every=16": {"regularizers": "r1(every=16)", "policy": "none", "steps": 16},
    "s3gan": {"policy": "none", "model": "biggan"},
    "path_length": {"policy": "none", "model": "stylegan2", "steps": 4},
    "reconstruction": {"policy": "none", "model": "fastgan"},
}
MOST = 1.10
COLUMNS = {
    # What is measured: its column and unit.
    "seconds": ("step", "s"),
    "measured": ("measured", ""),
    "implied": ("implied", ""),
    "counted": ("counted", ""),
    "of_implied": ("measured / implied", ""),
    "aim": ("aim of that", ""),
    "gib": ("peak", "GiB"),
    "memory": ("memory", ""),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", nargs="+", help="rows, in place of all")
    parser.add_argument("--width", type=int, help="in place of the published ones")
    parser.add_argument("--batch_size", type=int, help="in place of the published ones")
    parser.add_argument("--policy", default="translation", help="the augmentation if one is needed")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--no_memory", action="store_true", help="leave the peaks of memory out")
    records.add_flag(parser)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def cases(names: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """The rows: those of `CASES`, and every other regularizer that there is with its defaults.

    Raises:
        ValueError: for a name that is none of them.
    """
    from tf_diffaug.naming import unknown
    from tf_diffaug.training.regularizers import REGULARIZERS
    from tf_diffaug.training.regularizers.base import PolicyRegularizer

    found: dict[str, dict[str, Any]] = {}
    for name, kind in REGULARIZERS.items():
        found[name] = {} if issubclass(kind, PolicyRegularizer) else {"policy": "none"}
    found |= CASES
    for name in names or ():
        if name not in found:
            raise ValueError(unknown("row", name, found))
    return {name: found[name] for name in names or found}


def recipe(name: str, case: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """What `candidates.make_gan` takes."""
    model = case.get("model", "sndcgan")
    made = dict((RECIPES | _MORE_RECIPES)[model], model=model)
    for key in ("width", "batch_size"):
        made[key] = getattr(arguments, key) or made[key]
    made["policy"] = case.get("policy", arguments.policy)
    made["regularizers"] = case.get("regularizers", "none" if name in PLAIN else name)
    made |= {key: case[key] for key in ("augment", "normalization", "loss") if key in case}
    return made


def base(case: dict[str, Any]) -> str:
    """The plain step that a step is held against."""
    keys = ("model", "augment", "steps", *(["policy"] if "augment" in case else []))
    return next(
        name for name, plain in PLAIN.items() if all(plain.get(k) == case.get(k) for k in keys)
    )


def make_steps(chosen: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> dict[str, Any]:
    """The steps by name."""
    from benchmarks import candidates

    return {
        name: candidates.Step(recipe(name, case, arguments), arguments.precision)
        for name, case in chosen.items()
    }


def arithmetic(name: str, case: dict[str, Any], steps: dict[str, Any]) -> dict[str, float]:
    """The ratios that follow from operations."""
    from benchmarks import candidates, operations, views

    plain, found = operations.count(steps[base(case)].graph), {}
    if "views" in case:
        step = steps[base(case)]
        (generator, discriminator), size = step.networks, step.batch_size
        costs = views.of_view(discriminator, size, candidates.RESOLUTION)
        more = sum(
            cost * (seen - usual)
            for cost, seen, usual in zip(costs, case["views"], VIEWS, strict=True)
        )
        if "passes" in case:
            images = (size, candidates.RESOLUTION, candidates.RESOLUTION, 3)
            shapes = images, (size, generator.latent_dim)
            costs = views.of_pass((discriminator, generator), shapes)
            more += sum(cost * n for cost, n in zip(costs, case["passes"], strict=True))
        found["implied"] = 1 + more / plain
    try:
        # A graph has both branches of a lazy penalty; only one of so many steps takes the dear one.
        more = operations.count(steps[name].graph) / plain - 1
        found["counted"] = 1 + more / case.get("steps", 1)
    except ValueError as error:
        print(f"{name} can't be counted: {error}", file=sys.stderr)
    return found


def ratios(row: dict[str, Any], rounds: dict[str, list[float]]) -> dict[str, Any]:
    """What is read off the seconds of every round.

    Args:
        row: a row with its `name`, the name of what it is held `against`, perhaps `implied`,
            `counted` and `aim`.
        rounds: seconds by name.
    """
    measured = records.ratios(rounds[row["name"]], rounds[row["against"]])
    found: dict[str, Any] = {"seconds": rounds[row["name"]], "measured": measured}
    if "implied" in row:
        found["of_implied"] = [ratio / row["implied"] for ratio in measured]
    return found


def memory(names: list[str]) -> dict[str, dict[str, float]]:
    """Peaks of memory in GiB by name, all of it and above what there was before the first step."""
    found = {}
    for name in names:
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: the process ended with {done.returncode}; its error is above.")
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_memory(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """One step's peak of memory; in a process of its own."""
    case = {**PLAIN, **cases()}[name]
    step = make_steps({name: case}, arguments)[name]
    before = held_gib()
    for _ in range(3):
        step()
    return {"gib": peak_gib(), "step_gib": peak_gib() - before}


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows without their memory."""
    chosen = cases(arguments.names)
    bases = {base(case) for case in chosen.values()}
    chosen = {name: PLAIN[name] for name in PLAIN if name in bases} | chosen
    steps = make_steps(chosen, arguments)
    rows = []
    for name in steps:
        case = chosen[name]
        row: dict[str, Any] = {"name": name, "against": base(case)}
        row |= arithmetic(name, case, steps) if name not in PLAIN else {}
        if "implied" in row:
            row["aim"] = case.get("most", MOST)
        rows.append(row)
    clock = CLOCKS[arguments.clock]
    contenders = {
        name: step.seconds(clock, chosen[name].get("steps", 1)) for name, step in steps.items()
    }
    rounds = take_turns(contenders, repeats=arguments.repeats, warmups=2)
    for row in rows:
        row |= ratios(row, rounds)
    return rows


def record(recorder: records.Recorder, rows: list[dict[str, Any]]) -> None:
    """Adds the rows; a plain step's ratios to itself are left out."""
    for row in rows:
        plain = row["name"] in PLAIN
        name = row["name"] if plain else f"{row['name']} / {row['against']}"
        for key, (column, unit) in COLUMNS.items():
            if key in row and not (plain and not unit):
                recorder.add(name, column, row[key], unit)


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        print(json.dumps(measure_memory(arguments.worker, arguments)))
        return
    rows = measure(arguments)
    if not arguments.no_memory:
        peaks = memory([row["name"] for row in rows])
        for row in rows:
            peak, plain = peaks[row["name"]], peaks[row["against"]]
            row |= {"gib": peak["gib"], "memory": peak["step_gib"] / plain["step_gib"]}
    record(records.Recorder(arguments.json), rows)


if __name__ == "__main__":
    main()
