"""Checks what a feature extractor sees: real images against real images, as they are and changed.

    python tools/check_features.py --dataset=cifar10 --data_dir=data

Training images against as many test images: as they are, with noise, with a hole, shifted, of half
of the classes, and a few of them over and over. A change that the features see lies well above the
distance of two equal samples, which is the bias of few images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from tf_diffaug.data import ImageData, load
from tf_diffaug.evaluation import load_extractor
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure

METRICS = ("fid", "kid", "mind")
GREY, BATCH = 127, 200


def changes(
    data: ImageData, rng: np.random.Generator, count: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and uint8 images: the test images, changed."""
    picks = rng.permutation(len(data.test))[:count]
    test, side = data.test[picks], data.test.shape[1]
    yield "test images", test
    for deviation in (5, 10, 25):
        noise = rng.normal(0, deviation, test.shape)
        yield f"noise of {deviation} grey levels", np.uint8(np.clip(test + noise + 0.5, 0, 255))
    for part in (8, 4):
        yield f"a grey hole of {side // part} pixels", with_hole(test, rng, side // part)
    for part in (16, 8):
        yield f"shifted by {side // part} pixels", np.roll(test, side // part, axis=2)
    if data.test_labels is not None:
        half = np.unique(data.test_labels)[::2]
        yield "half of the classes", data.test[np.isin(data.test_labels, half)][:count]
    few = test[: max(count // 20, 1)]
    yield f"{len(few)} images over and over", np.tile(few, (count // len(few), 1, 1, 1))


def with_hole(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """The images with a grey square each, anywhere."""
    images, side = images.copy(), images.shape[1]
    for image, (top, left) in zip(
        images, rng.integers(0, side - size + 1, (len(images), 2)), strict=True
    ):
        image[top : top + size, left : left + size] = GREY
    return images


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="cifar10", help="one that has test images")
    parser.add_argument("--data_dir", help="where its files are")
    parser.add_argument("--fid_features", default="efficientnet-lite0:128", help="the extractor")
    parser.add_argument("--num_images", type=int, default=2000, help="of each side")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data = load(args.dataset, data_dir=args.data_dir)
    if data.test is None:
        parser.error(f"--dataset={args.dataset} has no test images.")
    count = min(args.num_images, len(data.test), len(data.images) // 2)
    rng, extractor = np.random.default_rng(args.seed), load_extractor(args.fid_features)
    order = rng.permutation(len(data.images))
    train, others = (data.images[order[k : k + count]] for k in (0, count))

    def features(images: np.ndarray) -> FeatureSet:
        batches = np.array_split(images, -(-len(images) // BATCH))
        return FeatureSet(np.concatenate([extractor(batch) for batch in batches]))

    reals = features(train)
    print(f"{count:,} training images of {args.dataset} by {extractor.name} against", flush=True)
    print(f"{'':32}" + "".join(f"{name:>10}" for name in METRICS))
    for name, images in [("other training images", others), *changes(data, rng, count)]:
        values = measure(FeatureSets(features(images), reals), METRICS, seed=args.seed)
        print(f"{name:32}" + "".join(f"{values[m]:10.4g}" for m in METRICS), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
