"""Checks what a feature extractor sees: real images against real images, as they are and changed.

    python tools/check_features.py --dataset=cifar10 --data_dir=data

Training images against other training images, and against test images, or where there are none
against those others: as they are, with noise, with a hole, shifted, of half of the classes, and a
few of them over and over. A change that the features see lies well above the distance of two equal
samples, which is the bias of few images: behind each mean stands in brackets by how many deviations
it lies above that, the deviations being those over `--repeats` draws of all images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from tf_diffaug.data import ImageData, load
from tf_diffaug.evaluation import Extractor, load_extractor
from tf_diffaug.evaluation.metrics import FeatureSet, FeatureSets, measure

METRICS = ("fid", "kid", "mind")
GREY, BATCH = 127, 200
EQUAL = "other training images"


def changes(
    images: np.ndarray, labels: np.ndarray | None, rng: np.random.Generator, count: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and uint8 images: a draw of the test images, as they are and changed."""
    picks = rng.permutation(len(images))[:count]
    chosen, side = images[picks], images.shape[1]
    yield "test images", chosen
    for deviation in (5, 10, 25):
        noise = rng.normal(0, deviation, chosen.shape)
        yield f"noise of {deviation} grey levels", np.uint8(np.clip(chosen + noise + 0.5, 0, 255))
    for part in (8, 4):
        yield f"a grey hole of {side // part} pixels", with_hole(chosen, rng, side // part)
    for part in (16, 8):
        yield f"shifted by {side // part} pixels", np.roll(chosen, side // part, axis=2)
    if labels is not None:
        some = np.flatnonzero(np.isin(labels, np.unique(labels)[::2]))
        yield "half of the classes", images[rng.permutation(some)[:count]]
    few = chosen[: max(count // 20, 1)]
    yield f"{len(few)} images over and over", np.tile(few, (count // len(few), 1, 1, 1))


def with_hole(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """The images with a grey square each, anywhere."""
    images, side = images.copy(), images.shape[1]
    for image, (top, left) in zip(
        images, rng.integers(0, side - size + 1, (len(images), 2)), strict=True
    ):
        image[top : top + size, left : left + size] = GREY
    return images


def sides(
    data: ImageData, rng: np.random.Generator, count: int, num_reals: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Reals, others like them, and what is changed with its labels."""
    order = rng.permutation(len(data.images))
    half = len(order) // 2
    reals = order[: min(num_reals, half)]
    others = order[len(reals) :][: min(count, half)]
    if data.test is not None:
        return data.images[reals], data.images[others], data.test, data.test_labels
    labels = None if data.labels is None else data.labels[others]
    return data.images[reals], data.images[others], data.images[others], labels


def features(extractor: Extractor, images: np.ndarray) -> FeatureSet:
    batches = np.array_split(images, -(-len(images) // BATCH))
    return FeatureSet(np.concatenate([extractor(batch) for batch in batches]))


def row(name: str, values: dict[str, np.ndarray], equal: dict[str, np.ndarray]) -> str:
    """A line of the table: of each metric the mean, and how far above two equal samples' it is."""
    text = f"{name:32}"
    for metric in METRICS:
        deviation = equal[metric].std(ddof=1) if len(equal[metric]) > 1 else 0.0
        above = values[metric].mean() - equal[metric].mean()
        text += f"{values[metric].mean():10.4g}"
        text += f" ({above / deviation:+8.1f})" if deviation > 0 and name != EQUAL else " " * 11
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="cifar10", help="as in train")
    parser.add_argument("--data_dir", help="where its files are")
    parser.add_argument("--resolution", type=int, help="of the images, if not their own")
    parser.add_argument("--fid_features", default="efficientnet-lite0:128", help="the extractor")
    parser.add_argument("--num_images", type=int, default=2000, help="changed, as many as fakes")
    parser.add_argument("--num_reals", type=int, help="by default as many as are changed")
    parser.add_argument("--repeats", type=int, default=3, help="draws of all images")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data = load(args.dataset, data_dir=args.data_dir, resolution=args.resolution)
    extractor = load_extractor(args.fid_features)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for repeat in range(args.repeats):
        rng = np.random.default_rng((args.seed, repeat))
        count = args.num_images
        reals, others, images, labels = sides(data, rng, count, args.num_reals or count)
        count = min(len(others), len(images))
        seen = features(extractor, reals)
        for name, changed in [(EQUAL, others[:count]), *changes(images, labels, rng, count)]:
            sets = FeatureSets(features(extractor, changed), seen)
            for metric, value in measure(sets, METRICS, seed=repeat).items():
                found[name][metric].append(value)
    table = {name: {m: np.array(v) for m, v in values.items()} for name, values in found.items()}
    counts = f"{count:,} images of {args.dataset} against {len(reals):,} training images"
    print(f"{counts} by {extractor.name}, {args.repeats} draws")
    print(f"{'':32}" + "".join(f"{name:>10}{'':11}" for name in METRICS))
    for name, values in table.items():
        print(row(name, values, table[EQUAL]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
