"""Times DiffAugment beside one elementwise pass and, if given, other implementations.

    python benchmarks/augment.py --reference TENSORFLOW.py --torch-reference PYTORCH.py

A reference is a Python file with a function `DiffAugment(x, policy)`; the TensorFlow one takes
NHWC, the PyTorch one NCHW images. All candidates of a row run in turns, and each figure is the
median of its runs, so that a busy machine slows all alike; the run just before a timed one is the
same candidate's. A ratio above 1 means that ours is faster.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timing import CLOCKS, Candidate, Process, take_turns

SIZES = ("64x32x32x3", "256x32x32x3", "16x256x256x3")
POLICIES = ("color", "translation", "cutout", "color,translation,cutout")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="a TensorFlow implementation")
    parser.add_argument("--torch-reference", type=Path, help="a PyTorch implementation")
    parser.add_argument(
        "--torch-python", default=sys.executable, help="an interpreter that can import torch"
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="NxHxWxC")
    parser.add_argument("--policies", nargs="+", default=POLICIES)
    parser.add_argument("--modes", nargs="+", default=("graph", "xla"), choices=("graph", "xla"))
    parser.add_argument("--repeats", type=int, default=31, help="timed runs of each candidate")
    parser.add_argument(
        "--clock",
        default="wall",
        choices=CLOCKS,
        help="cpu: processor time of all threads, which suffers less from a busy machine",
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--torch-worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def load_function(path: Path) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DiffAugment


def tensorflow_candidate(
    function: Callable[[Any], Any], shape: list[int], *, gradient: bool, xla: bool, clock: str
) -> Candidate:
    """A function that runs `function` once on fixed images and returns the seconds it took."""
    import tensorflow as tf

    images = tf.random.stateless_normal(shape, [0, 1])
    upstream = tf.random.stateless_normal(shape, [0, 2])

    @tf.function(jit_compile=xla, autograph=False)
    def run(images, upstream):
        if not gradient:
            return function(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = function(images)
        return output, tape.gradient(output, images, output_gradients=upstream)

    def seconds() -> float:
        run(images, upstream)  # wakes the threads, as the ops before it would in training
        start = CLOCKS[clock]()
        run(images, upstream)
        return CLOCKS[clock]() - start

    return seconds


def torch_candidate(torch: Process, shape: list[int], policy: str, *, gradient: bool) -> Candidate:
    """One run of the PyTorch implementation, in its own process."""
    torch.ask({"shape": shape, "policy": policy, "gradient": gradient})
    return torch.candidate("run")


def torch_worker(reference: Path, clock: Callable[[], float]) -> None:
    """Answers each line: a description with 0, "run" with the seconds of one run."""
    import torch

    function = load_function(reference)

    def run() -> float:
        start = clock()
        output = function(images, described["policy"])
        if described["gradient"]:
            torch.autograd.grad(output, images, upstream)
        return clock() - start

    described, images, upstream = {}, None, None
    for question in map(json.loads, sys.stdin):
        seconds = 0.0
        if question == "run":
            run()
            seconds = run()
        else:
            described = question
            n, h, w, c = question["shape"]
            images = torch.randn(n, c, h, w, requires_grad=question["gradient"])
            upstream = torch.randn(n, c, h, w)
        print(seconds, flush=True)


def medians(candidates: dict[str, Candidate], repeats: int) -> dict[str, float]:
    seconds = take_turns(candidates, repeats=repeats)
    return {name: statistics.median(times) for name, times in seconds.items()}


def measure(arguments: argparse.Namespace, torch: Process | None):
    """Yields one row after the other: size, policy, mode, what, and seconds by candidate."""
    from tf_diffaug.augment import DiffAugment

    reference = load_function(arguments.reference) if arguments.reference else None
    for size in arguments.sizes:
        shape = [int(part) for part in size.split("x")]
        for policy in arguments.policies:
            augment = DiffAugment(policy, seed=0)
            for mode in arguments.modes:
                for gradient in (False, True):
                    how = {"gradient": gradient, "xla": mode == "xla", "clock": arguments.clock}
                    candidates = {"ours": tensorflow_candidate(augment, shape, **how)}
                    plain = {**how, "gradient": False}
                    candidates["pass"] = tensorflow_candidate(lambda x: x * 1.5, shape, **plain)
                    if reference:
                        published = lambda x, policy=policy: reference(x, policy)  # noqa: E731
                        candidates["reference"] = tensorflow_candidate(published, shape, **how)
                    if torch and mode == "graph":
                        candidates["torch"] = torch_candidate(
                            torch, shape, policy, gradient=gradient
                        )
                    yield {
                        "size": size,
                        "policy": policy,
                        "mode": mode,
                        "what": "with gradient" if gradient else "forward",
                        "seconds": medians(candidates, arguments.repeats),
                    }


def line(row: dict[str, Any]) -> str:
    seconds = row["seconds"]
    cells = [f"{row['size']:13} {row['policy']:25} {row['mode']:6} {row['what']:14}"]
    cells.append(f"{seconds['ours'] * 1e3:8.2f} {seconds['ours'] / seconds['pass']:8.1f}")
    for name in ("reference", "torch"):
        cells.append(f"{seconds[name] / seconds['ours']:9.2f}" if name in seconds else " " * 9)
    return " ".join(cells)


def main() -> None:
    arguments = parse_arguments()
    if arguments.torch_worker:
        torch_worker(arguments.torch_worker, CLOCKS[arguments.clock])
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    torch = None
    if arguments.torch_reference:
        worker = [__file__, "--torch-worker", arguments.torch_reference]
        torch = Process([arguments.torch_python, *worker, "--clock", arguments.clock])
    print(f"{'size':13} {'policy':25} {'mode':6} {'what':14} {'ms':>8} {'passes':>8} "
          f"{'reference':>9} {'torch':>9}")  # fmt: skip
    rows = []
    for row in measure(arguments, torch):
        rows.append(row)
        print(line(row), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
