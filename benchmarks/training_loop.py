"""What a run's loop costs beside the compiled step: input pipeline, bar, signals and Python.

    python benchmarks/training_loop.py
    python benchmarks/training_loop.py --width=64 --steps=10 --repeats=5

Three take turns, each on networks of its own: the compiled step on one fixed batch; the loop that
`train` has; and Keras' `fit` without callbacks of ours. By default the networks are slim and the
batch is small, so that the host is the limit. Seconds of all are a step's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import keras

from benchmarks import candidates, records
from benchmarks.timing import Candidate, take_turns
from tf_diffaug.data import ImageData, batches
from tf_diffaug.runs import RunDirectory, hooks
from tf_diffaug.runs.config import Config
from tf_diffaug.runs.progress import Progress
from tf_diffaug.training.loop import Loop, Steps, stopped_by_signals

NUM_IMAGES = 10_000
# One call of the devices for each record of the metrics, as in a run.
MOST_STEPS = Config().log_every


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sndcgan", choices=("sndcgan", "biggan", "stylegan2"))
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--policy", default="color,translation,cutout")
    parser.add_argument("--steps", type=int, default=5 * MOST_STEPS, help="of each, in a round")
    parser.add_argument("--repeats", type=int, default=9, help="rounds")
    records.add_flag(parser)
    arguments = parser.parse_args()
    recipe = {
        "model": arguments.model,
        "width": arguments.width,
        "batch_size": arguments.batch_size,
        "policy": arguments.policy,
        "latent_dim": 128,
        "num_classes": None,
    }
    step = candidates.Step(recipe, "float32")
    with tempfile.TemporaryDirectory() as folder:
        turns = {
            "step": step.seconds(steps=arguments.steps),
            "loop": _loop(recipe, "float32", arguments.steps, RunDirectory(folder)),
            "fit": _fit(recipe, arguments.steps),
        }
        rounds = take_turns(turns, repeats=arguments.repeats, warmups=1)
    recorder = records.Recorder(arguments.json)
    beyond = {
        name: [whole - bare for whole, bare in zip(rounds[name], rounds["step"], strict=True)]
        for name in ("loop", "fit")
    }
    for name, seconds in rounds.items():
        recorder.add(name, "a step", [1000 * some for some in seconds], "ms")
        if name in beyond:
            more = [1000 * some for some in beyond[name]]
            recorder.add(name, "beyond the compiled step", more, "ms")
    recorder.add("loop", "of `fit`'s", records.ratios(beyond["loop"], beyond["fit"]))


def overhead(
    recipe: Mapping[str, Any],
    precision: str,
    step: candidates.Step,
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """What a run takes beyond the compiled step, as shares of it.

    Args:
        recipe: as of `candidates.make_gan`, with `batch_size`.
        precision: of the networks.
        step: the compiled step.
        steps: of the loop in each of five rounds.
        clock: seconds.

    Returns:
        A share for each round: `loop`, what the loop's steps take over the bare steps' time, less
        1; `metrics`, a record of the metrics every so many steps as by default.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(folder)
        gan = candidates.make_gan(recipe, precision)
        turns = {
            "step": step.seconds(clock, steps),
            "loop": _loop(recipe, precision, steps, run, clock),
            "record": _record(gan, recipe, run, clock),
        }
        rounds = take_turns(turns, repeats=5, warmups=1)
    loop, record = (records.ratios(rounds[name], rounds["step"]) for name in ("loop", "record"))
    return {
        "loop": [ratio - 1 for ratio in loop],
        "metrics": [ratio / Config().log_every for ratio in record],
    }


def _data(recipe: Mapping[str, Any]) -> ImageData:
    images, *labels = candidates.images_and_labels(recipe, NUM_IMAGES)
    return ImageData("random", images, *labels, flip=True)


def _loop(
    recipe: Mapping[str, Any],
    precision: str,
    steps: int,
    run: RunDirectory,
    clock: Callable[[], float] = time.perf_counter,
) -> Candidate:
    """Steps of a run that goes on with every turn, its bar drawn to nowhere."""
    gan, data = candidates.make_gan(recipe, precision), _data(recipe)
    loop = Loop(gan, lambda _: batches(data, recipe["batch_size"], seed=0), most_steps=MOST_STEPS)
    loop.run(1)  # builds the graph

    def seconds() -> float:
        last = int(gan.step.numpy()) + steps
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            start = clock()
            with stopped_by_signals(loop):
                loop.run(last, [Progress(run, last)])
            return (clock() - start) / steps

    return seconds


def _record(
    gan: candidates.GAN,
    recipe: Mapping[str, Any],
    run: RunDirectory,
    clock: Callable[[], float],
) -> Candidate:
    """One record of the metrics."""
    data = _data(recipe)
    metrics = hooks.Metrics(
        gan,
        run,
        Config().log_every,
        images=data.images,
        labels=data.labels,
        batch_size=recipe["batch_size"],
    )

    def seconds() -> float:
        metrics.after(Steps(1, {"d_loss": [0.0], "g_loss": [0.0]}, 1.0, is_first=False))
        start = clock()
        metrics.act(1)
        return clock() - start

    return seconds


class _Clock(keras.callbacks.Callback):
    """Times `fit` from the end of its first step to that of its last."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.end = time.perf_counter()
        if not batch:
            self.start = self.end


def _fit(recipe: Mapping[str, Any], steps: int) -> Candidate:
    gan = candidates.make_gan(recipe, "float32")
    dataset = batches(_data(recipe), recipe["batch_size"], seed=0)

    def seconds() -> float:
        clock = _Clock()
        gan.fit(dataset, steps_per_epoch=steps + 1, verbose=0, callbacks=[clock])
        return (clock.end - clock.start) / steps

    return seconds


if __name__ == "__main__":
    main()
