"""Times DiffAugment beside one elementwise pass and, if given, other implementations.

    python benchmarks/augment.py --reference TENSORFLOW.py
    python benchmarks/augment.py --torch_reference PYTORCH.py --torch_python PYTHON
    python benchmarks/augment.py --other CHECKOUT

A reference is a Python file with a function `DiffAugment(x, policy)`; the TensorFlow one takes
NHWC, the PyTorch one NCHW images. The other checkout is of this repository. All contenders of a row
run in turns, so that a busy machine slows all alike, in processes of their own where they are not
of this checkout's TensorFlow; the run just before a timed one is the same contender's. `passes` is
our time over that of an elementwise pass; the other figures are the time of theirs over ours, so
that one above 1 means that ours is faster.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import records
from benchmarks.timing import CLOCKS, Process, checkout, take_turns

ROOT = Path(__file__).resolve().parents[1]
SIZES = ("64x32x32x3", "256x32x32x3", "16x256x256x3")
POLICIES = ("color", "translation", "cutout", "color,translation,cutout")
# References know these alone.
PUBLISHED = {"color", "translation", "cutout"}
WORKERS = ("tensorflow", "torch")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="a TensorFlow implementation")
    parser.add_argument("--torch_reference", type=Path, help="a PyTorch implementation")
    parser.add_argument(
        "--torch_python", default=sys.executable, help="an interpreter that can import torch"
    )
    parser.add_argument("--other", type=checkout, help="another checkout of this repository")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="NxHxWxC")
    parser.add_argument("--policies", nargs="+", default=POLICIES)
    parser.add_argument("--modes", nargs="+", default=("graph", "xla"), choices=("graph", "xla"))
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of each contender")
    parser.add_argument(
        "--clock",
        default="wall",
        choices=CLOCKS,
        help="cpu: processor time of all threads, which suffers less from a busy machine",
    )
    records.add_flag(parser)
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--checkout", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser.parse_args()


def load_function(path: Path) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DiffAugment


def tensorflow_run(
    function: Callable[[Any], Any], shape: list[int], *, gradient: bool, xla: bool
) -> Callable[[], None]:
    """Runs a function of images once, on fixed ones."""
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

    return lambda: run(images, upstream)


def tensorflow_runs(reference: Path | None) -> Callable[..., Callable[[], None]]:
    """Returns what makes a run of a `contender` of TensorFlow."""
    from tf_diffaug.augment import DiffAugment

    published = load_function(reference) if reference else None

    def make(contender: str, policy: str, shape: list[int], **how: bool) -> Callable[[], None]:
        if contender == "pass":
            return tensorflow_run(lambda x: x * 1.5, shape, **{**how, "gradient": False})
        if contender == "authors":
            return tensorflow_run(lambda x: published(x, policy), shape, **how)
        return tensorflow_run(DiffAugment(policy, seed=0), shape, **how)

    return make


def torch_runs(reference: Path) -> Callable[..., Callable[[], None]]:
    """The same of PyTorch's implementation."""
    import torch

    function = load_function(reference)

    def make(policy: str, shape: list[int], gradient: bool, **_: Any) -> Callable[[], None]:
        n, h, w, c = shape
        images = torch.randn(n, c, h, w, requires_grad=gradient)
        upstream = torch.randn(n, c, h, w)

        def run() -> None:
            output = function(images, policy)
            if gradient:
                torch.autograd.grad(output, images, upstream)

        return run

    return make


def worker(make: Callable[..., Callable[[], None]], clock: Callable[[], float]) -> None:
    """Answers each line, the arguments of a run, with the seconds that it took."""

    @functools.lru_cache(maxsize=4)  # all of a row
    def made(line: str) -> Callable[[], None]:
        return make(**json.loads(line))

    for line in sys.stdin:
        run = made(line)
        run()  # wakes the threads, as the ops before it would in training
        start = clock()
        run()
        print(clock() - start, flush=True)


def start_workers(arguments: argparse.Namespace) -> dict[str, Process]:
    """The processes, by contender."""

    def start(python: str, *flags: object) -> Process:
        return Process([python, __file__, *flags, f"--clock={arguments.clock}"])

    flags = [f"--reference={arguments.reference}"] if arguments.reference else []
    ours = start(sys.executable, "--worker=tensorflow", *flags)
    found = {"ours": ours, "pass": ours}
    if arguments.reference:
        found["authors"] = ours
    if arguments.torch_reference:
        flags = ["--worker=torch", f"--torch_reference={arguments.torch_reference}"]
        found["PyTorch"] = start(arguments.torch_python, *flags)
    if arguments.other:
        flags = ["--worker=tensorflow", f"--checkout={arguments.other}"]
        found["other"] = start(sys.executable, *flags)
    return found


def contenders(processes: dict[str, Process], policy: str, mode: str) -> dict[str, Process]:
    """Those that have the policy in that mode."""
    left_out = set() if {*policy.split(",")} <= PUBLISHED else {"authors", "PyTorch"}
    if mode == "xla":
        left_out.add("PyTorch")
    return {name: process for name, process in processes.items() if name not in left_out}


def main() -> None:
    arguments = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.worker == "torch":
        worker(torch_runs(arguments.torch_reference), CLOCKS[arguments.clock])
        return
    if arguments.worker:
        sys.path.insert(0, str(arguments.checkout))
        worker(tensorflow_runs(arguments.reference), CLOCKS[arguments.clock])
        return
    recorder = records.Recorder(arguments.json)
    if not arguments.reference:
        recorder.missing("the authors' TensorFlow function", "no --reference was given")
    if not arguments.torch_reference:
        recorder.missing("their PyTorch one", "no --torch_reference was given")
    processes = start_workers(arguments)
    for mode in arguments.modes:
        for size in arguments.sizes:
            for policy in arguments.policies:
                for gradient in (False, True):
                    how = {"policy": policy, "shape": [int(part) for part in size.split("x")]}
                    how |= {"gradient": gradient, "xla": mode == "xla"}
                    seconds = take_turns(
                        {
                            name: process.candidate({"contender": name, **how})
                            for name, process in contenders(processes, policy, mode).items()
                        },
                        repeats=arguments.repeats,
                        warmups=2,
                    )
                    row = f"{policy}, {size}" + ", xla" * (mode == "xla")
                    what = "with gradient" if gradient else "forward"
                    record(recorder, row, what, seconds)
    for process in processes.values():
        process.close()


def record(
    recorder: records.Recorder, row: str, what: str, seconds: dict[str, list[float]]
) -> None:
    """Adds what the seconds of one row say."""
    ours = seconds.pop("ours")
    recorder.add(row, f"passes, {what}", records.ratios(ours, seconds.pop("pass")))
    for name, theirs in seconds.items():
        recorder.add(row, f"{name}, {what}", records.ratios(theirs, ours))


if __name__ == "__main__":
    main()
