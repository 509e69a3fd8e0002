"""Checks what is read as copying: AuthPct, C_T and the FLD gap of images whose origin is known.

    python tools/check_readings.py --dataset=cifar10 --data_dir=data

In the place of fakes stand training images, as they are and changed a little, other real images,
and one tenth of the former among the latter. Held-out images are others still. Each value is the
least and the greatest of several draws of all sets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from tf_diffaug.data import load
from tf_diffaug.evaluation import load_extractor
from tf_diffaug.evaluation.evaluate import batches_of, extract
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure

METRICS = ("auth_pct", "ct", "fld_gap")


def fakes_of(train: np.ndarray, new: np.ndarray, rng: np.random.Generator) -> Iterator[tuple]:
    """Names and uint8 images, as many as there are new ones."""
    copies = train[np.arange(len(new)) % len(train)]
    shifted = np.roll(copies, 1, axis=2)
    noisy = {}
    for deviation in (5, 10):
        noise = rng.normal(0, deviation, copies.shape)
        noisy[deviation] = np.uint8(np.clip(copies + noise + 0.5, 0, 255))
    yield "copies", copies
    yield "mirrored", copies[:, :, ::-1]
    yield "shifted by 1 pixel", shifted
    yield "shifted by 2 pixels", np.roll(copies, 2, axis=2)
    yield "noise of 5 grey levels", noisy[5]
    yield "noise of 10 grey levels", noisy[10]
    few = len(new) // 10
    yield "new, a tenth copies", np.concatenate([copies[:few], new[few:]])
    yield "new, a tenth with noise of 5", np.concatenate([noisy[5][:few], new[few:]])
    yield "new, a tenth shifted by 1", np.concatenate([shifted[:few], new[few:]])
    yield "new", new


def measured(
    images: np.ndarray,
    count: int,
    num_fakes: int,
    features: Callable[[np.ndarray], FeatureSet],
    seed: int,
) -> dict[str, dict[str, float]]:
    """The values of each kind of fakes, of one draw of all sets."""
    rng = np.random.default_rng(seed)
    drawn = images[rng.permutation(len(images))[: count + 2 * num_fakes]]
    train, held_out, new = np.split(drawn, [count, count + num_fakes])
    reals, others = features(train), features(held_out)
    return {
        name: measure(FeatureSets(features(fakes), reals, reals, others), METRICS, seed=seed)
        for name, fakes in fakes_of(train, new, rng)
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data_dir", help="where its files are")
    parser.add_argument("--fid_features", default="efficientnet-lite0:128", help="the extractor")
    parser.add_argument("--num_images", type=int, nargs="+", default=[1000, 100], help="trained on")
    parser.add_argument("--num_fakes", type=int, default=1000, help="and held-out images")
    parser.add_argument("--repeats", type=int, default=3, help="draws of all sets")
    args = parser.parse_args()
    images = load(args.dataset, data_dir=args.data_dir).images
    extractor = load_extractor(args.fid_features)
    if len(images) < max(args.num_images) + 2 * args.num_fakes:
        parser.error(f"{len(images):,} images are too few. Received: --num_fakes={args.num_fakes}.")

    def features(some: np.ndarray) -> FeatureSet:
        return extract(batches_of(some), extractor, len(some))

    for count in args.num_images:
        draws = [
            measured(images, count, args.num_fakes, features, seed) for seed in range(args.repeats)
        ]
        print(f"\n{count:,} images of {args.dataset} trained on, {args.num_fakes:,} fakes and as")
        print(f"many held-out images, by {extractor.name}")
        print(f"{'':30}" + "".join(f"{name:>24}" for name in METRICS))
        for kind in draws[0]:
            ends = [[f([d[kind][m] for d in draws]) for f in (min, max)] for m in METRICS]
            row = "".join(f"{f'{low:.4g} to {high:.4g}':>24}" for low, high in ends)
            print(f"{kind:30}{row}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
