"""Times the FID's arithmetic and all metrics beside TF-GAN's and torch-fidelity's, or their memory.

    python benchmarks/evaluate.py
    python benchmarks/evaluate.py --torch_python=PYTHON
    python benchmarks/evaluate.py --memory --num_images=50000

All start from the same arrays of features and take turns, so that whatever else the machine does
falls on all. On a busy machine the processor's seconds say more than the clock's: both are stated.
With `--memory` the peak of this process is, for the metrics in `--metrics` or all.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import records
from benchmarks.memory import held_gib, peak_gib
from benchmarks.timing import Process, take_turns
from benchmarks.torch_metrics import FAKES, REALS, make_features
from tf_diffaug.evaluation import Statistics, frechet_distance
from tf_diffaug.evaluation.evaluate import RealFeatures, measure_seeds
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure

CLASSES = 1_000


def make_probabilities(num_images: int) -> np.ndarray:
    """Of classes, as a softmax gives them."""
    logits = np.random.default_rng(7).standard_normal((num_images, CLASSES), np.float32)
    shares = np.exp(3 * logits)
    return shares / shares.sum(axis=1, keepdims=True)


def make_sets(arguments: argparse.Namespace) -> Callable[[bool], FeatureSets]:
    """Returns what makes new sets, with nothing cached, with or without held-out images."""
    shape = arguments.num_images, arguments.num_features
    fakes, reals = (make_features(*shape, seed) for seed in (FAKES, REALS))
    probabilities = make_probabilities(arguments.num_images)
    train = make_features(*shape, 3) if arguments.held_out else None

    def sets(held_out: bool) -> FeatureSets:
        measured = FeatureSet(fakes, probabilities)
        reference = FeatureSet(reals)
        if held_out:
            return FeatureSets(measured, reference, FeatureSet(train), reference)
        return FeatureSets(measured, reference, reference)

    return sets


def load_tfgan() -> ModuleType:
    """TF-GAN's metrics.

    Raises:
        ImportError: where it is not installed, or not for this Keras.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_gan
    except AttributeError as error:
        raise ImportError(str(error)) from error
    return tensorflow_gan.eval


def tfgan_works(fakes: np.ndarray, reals: np.ndarray) -> dict[str, Callable[[], float]]:
    """TF-GAN's FID, in float64 as it should be, and KID."""
    import tensorflow as tf

    metrics = load_tfgan()

    def fid() -> float:
        distance = metrics.frechet_classifier_distance_from_activations
        return float(distance(reals.astype(np.float64), fakes.astype(np.float64)))

    def kid() -> float:
        distance = metrics.kernel_classifier_distance_from_activations
        return float(distance(tf.constant(reals), tf.constant(fakes)))

    return {"TF-GAN's FID": fid, "TF-GAN's KID": kid}


def our_fid(fakes: np.ndarray, reals: np.ndarray) -> float:
    """Means and covariances included."""
    return frechet_distance(Statistics.from_features(reals), Statistics.from_features(fakes))


def over_three_seeds(sets: FeatureSets) -> dict[str, dict[str, float]]:
    """All metrics as `evaluate` takes them; its seeds have other fakes, which take as long."""
    reals = RealFeatures(sets.reals, sets.train, sets.held_out)
    fakes = sets.fakes

    def draw(seed: int) -> FeatureSet:
        return FeatureSet(fakes.features, fakes.probabilities)  # with nothing cached

    return measure_seeds(draw, reals, None, [0, 1, 2])[0]


def our_works(arguments: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """What is timed of ours."""
    sets = make_sets(arguments)
    fakes, reals = sets(False).fakes.features, sets(False).reals.features
    works: dict[str, Callable[[], object]] = {
        "FID": lambda: our_fid(fakes, reals),
        "all metrics": lambda: measure(sets(False)),
        "all metrics of three seeds": lambda: over_three_seeds(sets(arguments.held_out)),
    }
    if arguments.held_out:
        works["all metrics, with held-out images"] = lambda: measure(sets(True))
        works["C_T"] = lambda: measure(sets(True), ["ct"])
        works["FLD gap"] = lambda: measure(sets(True), ["fld_gap"])
    return works


class Timed:
    """Contenders for `take_turns`, and the seconds of the processor that they took.

    Args:
        works: by name.
    """

    def __init__(self, works: Mapping[str, Callable[[], object]]) -> None:
        self.values: dict[str, object] = {}
        self.processor: dict[str, list[float]] = {}
        self.contenders = {
            name: functools.partial(self._run, name, work) for name, work in works.items()
        }

    def _run(self, name: str, work: Callable[[], object]) -> float:
        start, used = time.perf_counter(), time.process_time()
        self.values[name] = work()
        seconds = time.perf_counter() - start
        self.processor.setdefault(name, []).append(time.process_time() - used)
        return seconds

    def add(self, name: str, process: Process) -> None:
        """One in a process of its own, which answers with seconds of both kinds and a value."""

        def run() -> float:
            seconds, used, self.values[name] = process.ask("run")
            self.processor.setdefault(name, []).append(used)
            return seconds

        self.contenders[name] = run


def compare(arguments: argparse.Namespace, recorder: records.Recorder) -> None:
    """Times all in turns."""
    works = our_works(arguments)
    features = [
        make_features(arguments.num_images, arguments.num_features, seed) for seed in (FAKES, REALS)
    ]
    try:
        works |= tfgan_works(*features)
    except ImportError as error:
        recorder.missing("TF-GAN", f"it cannot be imported here ({error})")
    timed = Timed(works)
    other = start_torch(arguments)
    if other:
        timed.add("torch-fidelity's FID and KID", other)
    else:
        recorder.missing("torch-fidelity", "no --torch_python that has it was given")
    clock = take_turns(timed.contenders, repeats=arguments.repeats, warmups=0)
    if other:
        other.close()
    for kind, seconds in (("clock", clock), ("processor", timed.processor)):
        for name, times in seconds.items():
            recorder.add(name, kind, times, "s")
        for row, times, ours in held_against(seconds):
            recorder.add(row, kind, records.ratios(times, seconds[ours]))
    distance = timed.values["FID"]
    for name in ("TF-GAN's FID", "torch-fidelity's FID and KID"):
        if name in timed.values:
            print(f"{name} strays from ours by {abs(timed.values[name] / distance - 1):.2g}.")


def held_against(seconds: Mapping[str, list[float]]) -> Iterator[tuple[str, list[float], str]]:
    """A row's name, theirs, and what of ours it is over."""
    if "TF-GAN's FID" in seconds:
        fid, kid = seconds["TF-GAN's FID"], seconds["TF-GAN's KID"]
        yield "TF-GAN's FID / our FID", fid, "FID"
        both = [a + b for a, b in zip(fid, kid, strict=True)]
        yield "TF-GAN's FID and KID / all our metrics", both, "all metrics"
    if (name := "torch-fidelity's FID and KID") in seconds:
        yield f"{name} / all our metrics", seconds[name], "all metrics"


def start_torch(arguments: argparse.Namespace) -> Process | None:
    """torch-fidelity's process; None if there is none."""
    python = arguments.torch_python
    if python is None or subprocess.run([python, "-c", "import torch_fidelity"]).returncode:
        return None
    script = Path(__file__).with_name("torch_metrics.py")
    sizes = [f"--num_images={arguments.num_images}", f"--num_features={arguments.num_features}"]
    return Process([python, script, *sizes])


def state_memory(arguments: argparse.Namespace, recorder: records.Recorder) -> None:
    """The process's peak before and after the metrics."""
    sets = make_sets(arguments)(arguments.held_out)
    recorder.add("features and probabilities", "held", held_gib(), "GiB")
    recorder.add("features and probabilities", "peak", peak_gib(), "GiB")
    measure(sets, arguments.metrics.split(",") if arguments.metrics else None)
    recorder.add(f"{arguments.metrics or 'all metrics'}", "peak", peak_gib(), "GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num_images", type=int, default=10_000)
    parser.add_argument("--num_features", type=int, default=2_048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--held_out", action="store_true", help="also with held-out images")
    parser.add_argument("--memory", action="store_true", help="state the peak instead")
    parser.add_argument("--metrics", help="with --memory: names with commas between, not all")
    parser.add_argument("--torch_python", help="an interpreter that has torch-fidelity")
    records.add_flag(parser)
    arguments = parser.parse_args()
    (state_memory if arguments.memory else compare)(arguments, records.Recorder(arguments.json))


if __name__ == "__main__":
    main()
