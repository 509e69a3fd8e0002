"""Times the FID's arithmetic against TF-GAN's, side by side, and prints the ratio.

Both start from the same two arrays of features and end with the distance, means and covariances
included. The two take turns, so that whatever else the machine does falls on both.

    python benchmarks/fid.py --num_images=10000 --num_features=2048
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.tfgan import import_tfgan
from tf_diffaug.evaluation import Statistics, frechet_distance


def make_features(num_images: int, num_features: int, seed: int) -> np.ndarray:
    """Correlated non-negative float32 features, as a pooled ReLU layer gives them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(num_features, num_features)) / num_features**0.5
    features = rng.normal(loc=0.1 * seed, size=(num_images, num_features)) @ mixing
    return np.maximum(features, 0).astype(np.float32)


def ours(reals: np.ndarray, fakes: np.ndarray) -> float:
    return frechet_distance(Statistics.from_features(reals), Statistics.from_features(fakes))


def load_tfgan() -> Callable[[np.ndarray, np.ndarray], float] | None:
    """Returns TF-GAN's distance in float64, or None where TF-GAN does not import."""
    tensorflow_gan = import_tfgan()
    if tensorflow_gan is None:
        return None
    distance = tensorflow_gan.eval.frechet_classifier_distance_from_activations
    return lambda reals, fakes: float(
        distance(reals.astype(np.float64), fakes.astype(np.float64)).numpy()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num_images", type=int, default=10000)
    parser.add_argument("--num_features", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    reals, fakes = (make_features(args.num_images, args.num_features, seed) for seed in (1, 2))
    contenders = {"tf_diffaug": ours}
    tfgan = load_tfgan()
    if tfgan is not None:
        contenders["tf-gan"] = tfgan

    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    distances = {}
    for _ in range(args.repeats):
        for name, distance in contenders.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            distances[name] = distance(reals, fakes)
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)

    for name, times in seconds.items():
        print(
            f"{name:10s}  {statistics.median(times):8.3f} s  "
            f"(processor {statistics.median(cpu[name]):.3f} s)  distance {distances[name]:.9g}"
        )
    if tfgan is not None:
        ratios = [b / a for a, b in zip(seconds["tf_diffaug"], seconds["tf-gan"], strict=True)]
        error = abs(distances["tf_diffaug"] / distances["tf-gan"] - 1)
        listed = ", ".join(f"{ratio:.1f}" for ratio in ratios)
        print(f"tf-gan / tf_diffaug: {statistics.median(ratios):.2f} times as long ({listed})")
        print(f"relative difference of the distances: {error:.2g}")


if __name__ == "__main__":
    main()
