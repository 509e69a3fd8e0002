"""torch-fidelity's FID and KID of made-up features, to time beside ours.

As a script, of an interpreter that has torch-fidelity, it answers each line with the seconds of
both, by the clock and of the processor, and with their values:

    python benchmarks/torch_metrics.py --num_images=10000 --num_features=2048
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

FAKES, REALS = 2, 1


def make_features(num_images: int, num_features: int, seed: int) -> np.ndarray:
    """Correlated non-negative float32 features, as a pooled ReLU layer gives them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(num_features, num_features)) / num_features**0.5
    mixing = mixing.astype(np.float32)
    features = rng.standard_normal((num_images, num_features), np.float32) + np.float32(0.1 * seed)
    return np.maximum(features @ mixing, 0)


def main() -> None:
    import torch
    from torch_fidelity import metric_fid, metric_kid

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num_images", type=int, required=True)
    parser.add_argument("--num_features", type=int, required=True)
    asked = parser.parse_args()
    shape = asked.num_images, asked.num_features
    tensors = [torch.from_numpy(make_features(*shape, seed)) for seed in (FAKES, REALS)]
    for _ in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        moments = [metric_fid.fid_features_to_statistics(rows) for rows in tensors]
        found = metric_fid.fid_statistics_to_metric(*moments, verbose=False)
        size = min(1000, asked.num_images)
        found |= metric_kid.kid_features_to_metric(*tensors, verbose=False, kid_subset_size=size)
        seconds = time.perf_counter() - start, time.process_time() - used
        print(json.dumps([*seconds, found["frechet_inception_distance"]]), flush=True)


if __name__ == "__main__":
    main()
