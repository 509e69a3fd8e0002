"""Times policies of flips, turns, zooms and shifts beside the same policies of another checkout.

    python benchmarks/geometry.py --other CHECKOUT

Both run in processes of their own, in turns, so that a busy machine slows both alike. A ratio above
1 means that this checkout is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timing import Process, take_turns

SIZES = ("64x32x32x3", "16x256x256x3")
POLICIES = (
    "scale:0.2,rotation:0.1,scale:0.2",
    "zoomout:0.4,flip,translation(0.2, fill=reflect, continuous=True)",
    "rotation:0.1",
    "crop_resize,flip",
    "color,translation,cutout",
)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--other", type=Path, help="a checkout; without one, this one again")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="NxHxWxC")
    parser.add_argument("--policies", nargs="+", default=POLICIES)
    parser.add_argument("--repeats", type=int, default=15, help="timed runs of each")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def worker(checkout: Path) -> None:
    """Answers each line: a description with 0, "run" with the seconds of one run."""
    sys.path.insert(0, str(checkout))
    import tensorflow as tf

    from tf_diffaug.augment import DiffAugment

    run, images = None, None
    for question in map(json.loads, sys.stdin):
        seconds = 0.0
        if question == "run":
            run(images)
            start = time.perf_counter()
            run(images)
            seconds = time.perf_counter() - start
        else:
            augment, gradient = DiffAugment(question["policy"], seed=0), question["gradient"]
            images = tf.random.stateless_normal(question["shape"], [0, 1])

            @tf.function(autograph=False)
            def run(images, augment=augment, gradient=gradient):
                if not gradient:
                    return augment(images)
                with tf.GradientTape() as tape:
                    tape.watch(images)
                    output = augment(images)
                return tape.gradient(output, images)

        print(seconds, flush=True)


def main() -> None:
    arguments = parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.worker:
        worker(arguments.worker)
        return
    here = Path(__file__).resolve().parents[1]
    processes = {
        name: Process([sys.executable, __file__, "--worker", checkout])
        for name, checkout in (("here", here), ("other", arguments.other or here))
    }
    print(f"{'size':13} {'policy':64} {'what':14} {'ms':>8} {'other / here':>12}")
    for size in arguments.sizes:
        shape = [int(part) for part in size.split("x")]
        for policy in arguments.policies:
            for gradient in (False, True):
                for process in processes.values():
                    process.ask({"shape": shape, "policy": policy, "gradient": gradient})
                candidates = {name: p.candidate("run") for name, p in processes.items()}
                seconds = take_turns(candidates, repeats=arguments.repeats, warmups=1)
                pairs = zip(seconds["other"], seconds["here"], strict=True)
                ratio = statistics.median(other / here for other, here in pairs)
                what = "with gradient" if gradient else "forward"
                milliseconds = 1e3 * statistics.median(seconds["here"])
                print(f"{size:13} {policy:64} {what:14} {milliseconds:8.2f} {ratio:12.2f}")
    for process in processes.values():
        process.close()


if __name__ == "__main__":
    main()
