"""Measures the most memory that augmentation holds beside the images, in batches of images.

    python benchmarks/augment_memory.py

Each figure comes from a fresh process: its peak while it augments once, in graph mode, less what it
held with the images made and the same policy run on small ones, over the size of the images. The
output counts, and with the gradient the output, what went back into it and the gradient.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import records
from benchmarks.memory import held_gib, peak_gib
from benchmarks.timing import checkout

COMBINED = ("color,translation,cutout", "scale:0.2,rotation:0.1,scale:0.2")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="32x1024x1024x3", help="NxHxWxC")
    parser.add_argument("--policies", nargs="+", help="by default every op and some together")
    parser.add_argument("--other", type=checkout, help="a checkout to measure in this one's place")
    records.add_flag(parser)
    parser.add_argument("--worker", nargs=2, metavar=("POLICY", "WHAT"), help=argparse.SUPPRESS)
    return parser.parse_args()


def worker(policy: str, gradient: bool, shape: list[int]) -> None:
    """Prints the peak beside the images, in batches of images."""
    import tensorflow as tf

    from tf_diffaug.augment import DiffAugment

    augment = DiffAugment(policy, seed=0)

    @tf.function(autograph=False)
    def run(images):
        if not gradient:
            return augment(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = augment(images)
        # Of the output, as a loss's is: what depends on nothing would run beside the output.
        return output, tape.gradient(output, images, output_gradients=tf.square(output))

    run(tf.zeros([2, *(min(side, 128) for side in shape[1:3]), shape[3]]))
    images = tf.fill(shape, 0.5)
    held = held_gib()
    run(images)
    print((peak_gib() - held) * 2**30 / (4 * math.prod(shape)))


def every_policy() -> list[str]:
    from tf_diffaug.augment.testing import makes_of_ops

    return [*makes_of_ops(), *COMBINED]


def main() -> None:
    arguments = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(arguments.other or Path(__file__).resolve().parents[1]))
    shape = [int(part) for part in arguments.size.split("x")]
    if arguments.worker:
        policy, what = arguments.worker
        worker(policy, what == "gradient", shape)
        return
    recorder = records.Recorder(arguments.json)
    for policy in arguments.policies or every_policy():
        for what, column in (("forward", "forward"), ("gradient", "with gradient")):
            command = [sys.executable, __file__, "--size", arguments.size]
            command += ["--other", str(arguments.other)] if arguments.other else []
            command += ["--worker", policy, what]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            recorder.add(policy, column, float(done.stdout), "batches")


if __name__ == "__main__":
    main()
