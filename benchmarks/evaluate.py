"""Times all metrics against TF-GAN's FID and KID alone, side by side, and states peak memory.

    python benchmarks/evaluate.py
    python benchmarks/evaluate.py --memory --num_images=50000

All start from the same arrays of features and take turns, so that whatever else the machine does
falls on all. On a busy machine the processor's seconds say more than the clock's: both are printed.
Where torch-fidelity is installed, its FID and KID take a turn. With `--memory` the peak of this
process is printed instead, for the metrics in `--metrics` or all.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.memory import held_gib, peak_gib
from benchmarks.tfgan import import_tfgan
from benchmarks.timing import take_turns
from tf_diffaug.evaluation.evaluate import RealFeatures, measure_seeds
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure

CLASSES = 1_000


def make_features(num_images: int, num_features: int, seed: int) -> np.ndarray:
    """Correlated non-negative float32 features, as a pooled ReLU layer gives them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(num_features, num_features)) / num_features**0.5
    mixing = mixing.astype(np.float32)
    features = rng.standard_normal((num_images, num_features), np.float32) + np.float32(0.1 * seed)
    return np.maximum(features @ mixing, 0)


def make_probabilities(num_images: int) -> np.ndarray:
    """Of classes, as a softmax gives them."""
    logits = np.random.default_rng(7).standard_normal((num_images, CLASSES), np.float32)
    shares = np.exp(3 * logits)
    return shares / shares.sum(axis=1, keepdims=True)


def make_sets(arguments: argparse.Namespace) -> Callable[[bool], FeatureSets]:
    """Returns what makes new sets, with nothing cached, with or without held-out images."""
    shape = arguments.num_images, arguments.num_features
    fakes, reals = (make_features(*shape, seed) for seed in (2, 1))
    probabilities = make_probabilities(arguments.num_images)
    train = make_features(*shape, 3) if arguments.held_out else None

    def sets(held_out: bool) -> FeatureSets:
        measured = FeatureSet(fakes, probabilities)
        reference = FeatureSet(reals)
        if held_out:
            return FeatureSets(measured, reference, FeatureSet(train), reference)
        return FeatureSets(measured, reference, reference)

    return sets


def load_tfgan() -> Callable[[np.ndarray, np.ndarray], tuple[float, float]] | None:
    """Returns TF-GAN's FID in float64 and KID, or None where TF-GAN does not import."""
    tensorflow_gan = import_tfgan()
    if tensorflow_gan is None:
        return None
    import tensorflow as tf

    metrics = tensorflow_gan.eval

    def both(fakes: np.ndarray, reals: np.ndarray) -> tuple[float, float]:
        fid = metrics.frechet_classifier_distance_from_activations(
            reals.astype(np.float64), fakes.astype(np.float64)
        )
        kid = metrics.kernel_classifier_distance_from_activations(
            tf.constant(reals), tf.constant(fakes)
        )
        return float(fid), float(kid)

    return both


def load_torch_fidelity() -> Callable[[np.ndarray, np.ndarray], tuple[float, float]] | None:
    """Returns torch-fidelity's FID and KID, or None where it is not installed."""
    try:
        import torch
        from torch_fidelity import metric_fid, metric_kid
    except ImportError as error:
        print(f"torch-fidelity cannot be imported here ({error}).")
        return None

    def both(fakes: np.ndarray, reals: np.ndarray) -> tuple[float, float]:
        tensors = [torch.from_numpy(rows) for rows in (fakes, reals)]
        moments = [metric_fid.fid_features_to_statistics(rows) for rows in tensors]
        fid = metric_fid.fid_statistics_to_metric(*moments, verbose=False)
        kid = metric_kid.kid_features_to_metric(*tensors, verbose=False)
        return (
            fid["frechet_inception_distance"],
            kid["kernel_inception_distance_mean"],
        )

    return both


def over_three_seeds(sets: FeatureSets) -> dict[str, dict[str, float]]:
    """All metrics as `evaluate` takes them; its seeds have other fakes, which take as long."""
    reals = RealFeatures(sets.reals, sets.train, sets.held_out)
    fakes = sets.fakes

    def draw(seed: int) -> FeatureSet:
        return FeatureSet(fakes.features, fakes.probabilities)  # with nothing cached

    return measure_seeds(draw, reals, None, [0, 1, 2])[0]


def compare(arguments: argparse.Namespace) -> None:
    """Times all in turns and prints the table."""
    sets = make_sets(arguments)
    fakes, reals = sets(False).fakes.features, sets(False).reals.features
    works: dict[str, Callable[[], object]] = {"tf_diffaug": lambda: measure(sets(False))}
    if arguments.held_out:
        works["with held-out images"] = lambda: measure(sets(True))
        works["C_T alone"] = lambda: measure(sets(True), ["ct"])
        works["FLD gap alone"] = lambda: measure(sets(True), ["fld_gap"])
    works["three seeds"] = lambda: over_three_seeds(sets(arguments.held_out))
    for name, load in (("tf-gan", load_tfgan), ("torch-fidelity", load_torch_fidelity)):
        if both := load():
            works[name] = lambda both=both: both(fakes, reals)
    values, processor = {}, {name: [] for name in works}

    def timed(name: str, work: Callable[[], object]) -> float:
        start, used = time.perf_counter(), time.process_time()
        values[name] = work()
        processor[name].append(time.process_time() - used)
        return time.perf_counter() - start

    candidates = {name: functools.partial(timed, name, work) for name, work in works.items()}
    clock = take_turns(candidates, repeats=arguments.repeats, warmups=0)
    for name, found in values.items():
        print(name, found)
    alone = ("C_T alone", "FLD gap alone", "three seeds")
    others = [name for name in ("tf-gan", "torch-fidelity") if name in works]
    for kind, seconds in (("clock", clock), ("processor", processor)):
        for name, times in seconds.items():
            listed = ", ".join(f"{each:.1f}" for each in times)
            print(f"{kind}: {name:22s} {statistics.median(times):8.2f} s  ({listed})")
            for other in others if name not in (*others, *alone) else ():
                shares = [a / b for a, b in zip(times, seconds[other], strict=True)]
                print(f"{kind}: {name} / {other}: {statistics.median(shares):.3f}")


def state_memory(arguments: argparse.Namespace) -> None:
    """Prints the process's peak before and after the metrics."""
    sets = make_sets(arguments)(arguments.held_out)
    before, held = peak_gib(), held_gib()
    start = time.perf_counter()
    names = arguments.metrics.split(",") if arguments.metrics else None
    measure(sets, names)
    print(f"{arguments.num_images} images: {held:.2f} GiB are held once the features are there,")
    print(
        f"with a peak of {before:.2f} GiB until then. The peak after {arguments.metrics or 'all'}"
    )
    print(f"is {peak_gib():.2f} GiB, {time.perf_counter() - start:.1f} s later.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num_images", type=int, default=10_000)
    parser.add_argument("--num_features", type=int, default=2_048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--held_out", action="store_true", help="also with held-out images")
    parser.add_argument("--memory", action="store_true", help="state the peak instead")
    parser.add_argument("--metrics", help="with --memory: names with commas between, not all")
    arguments = parser.parse_args()
    (state_memory if arguments.memory else compare)(arguments)


if __name__ == "__main__":
    main()
