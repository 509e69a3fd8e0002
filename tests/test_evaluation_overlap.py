"""The ratio of FIDs under T and without, held to NumPy on features that NumPy can make."""

import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, FunctionMap, Op, temporarily_registered
from tf_diffaug.evaluation import (
    Extractor,
    compute_statistics,
    evaluate_fid,
    frechet_distance,
    reference_statistics,
    support_overlap,
)

SHAPE = (8, 8, 3)


class Corners(Extractor):
    """The mean colours of the left and the right half; counts the images it sees."""

    def __init__(self):
        super().__init__("corners", "1", resize="none")
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        return super().__call__(images)

    def _features(self, images):
        images = tf.cast(images, tf.float32)
        halves = [images[:, :, :4], images[:, :, 4:]]
        return tf.concat([tf.reduce_mean(half, (1, 2)) for half in halves], axis=-1)


@dataclasses.dataclass(frozen=True)
class BlankOp(Op):
    """Every image becomes the same."""

    name: ClassVar[str] = "blank"
    num_draws: ClassVar[int] = 1
    strength: float = 1.0

    def params(self, uniform, shape):
        return {"unused": uniform[0]}

    def lower(self, params, shape, value_range):
        return FunctionMap(tf.zeros_like)


@dataclasses.dataclass(frozen=True)
class BatchOp(Op):
    """Every image becomes the mean of the batch it came in: the utmost of mixing."""

    name: ClassVar[str] = "batch_mean"
    num_draws: ClassVar[int] = 1
    strength: float = 1.0

    def params(self, uniform, shape):
        return {"unused": uniform[0]}

    def lower(self, params, shape, value_range):
        return FunctionMap(lambda x: tf.zeros_like(x) + tf.reduce_mean(x, 0, keepdims=True))


def images_of(count, seed, low=0, high=180):
    rng = np.random.default_rng(seed)
    base = rng.integers(low, high, (count, 1, 1, 3))
    return (base + rng.integers(0, 70, (count, *SHAPE))).astype(np.uint8)


REALS = images_of(50, 0)


def sample(index, batch_size):
    """Another batch of fakes for each index, a little brighter than the reals."""
    return images_of(batch_size, 100 + index, low=30) / np.float32(127.5) - 1


def measure(policies, **options):
    options = {"num_fakes": 40, "batch_size": 20, "repeats": 2, **options}
    return support_overlap(sample, REALS, Corners(), policies, **options)


def corners(images):
    images = np.asarray(images, np.float64)
    return np.concatenate([images[:, :, :4].mean((1, 2)), images[:, :, 4:].mean((1, 2))], axis=1)


def numpy_fid(first, second):
    """Heusel et al. 2017, equation 6, by the eigenvalues of the product of the covariances."""
    first, second = corners(first), corners(second)
    shift = first.mean(0) - second.mean(0)
    covs = [np.cov(features, rowvar=False) for features in (first, second)]
    roots = np.sqrt(np.linalg.eigvals(covs[0] @ covs[1]).astype(complex)).real
    return shift @ shift + np.trace(covs[0]) + np.trace(covs[1]) - 2 * roots.sum()


def rounded(images):
    """Images in [-1, 1] as uint8, clipped and rounded half up."""
    return np.floor(np.clip(np.asarray(images, np.float64) * 127.5 + 127.5, 0, 255) + 0.5)


def test_without_t_the_ratio_is_one():
    measured = measure(["none", "translation(0, fill=reflect)"])
    assert len(measured["fid"]) == 2
    assert min(measured["fid"]) > 1
    for cell in measured["cells"]:
        np.testing.assert_allclose(cell["ratio"], 1, rtol=1e-9)
        np.testing.assert_allclose(cell["fid"], measured["fid"], rtol=1e-9)


def test_a_t_that_leaves_nothing_leaves_no_distance():
    with temporarily_registered(BlankOp):
        (cell,) = measure(["blank"])["cells"]
    np.testing.assert_allclose(cell["ratio"], 0, atol=1e-9)


@pytest.mark.parametrize("policy", ["brightness:0.8", "cutout(0.5, fill=black)", "color"])
def test_it_is_the_ratio_of_two_fids_in_numpy(policy):
    measured = measure([policy], seed=3)
    augment = DiffAugment(policy, seed=0)
    for repeat in range(2):
        fakes = rounded(np.concatenate([sample(2 * repeat + k, 20) for k in range(2)]))
        under_t = []
        for images, purpose, sizes in (
            (REALS, "augment_real", (17, 17, 16)),
            (fakes, "augment_fake", (20, 20)),
        ):
            seed, parts = random.derive(3, purpose, step=repeat), []
            for index, batch in enumerate(np.split(images, np.cumsum(sizes)[:-1])):
                floats = (batch / 127.5 - 1).astype(np.float32)
                params = augment.sample(floats.shape, random.fold_in(seed, index))
                parts.append(rounded(augment.apply(floats, params)))
            under_t.append(np.concatenate(parts))
        plain, other = numpy_fid(REALS, fakes), numpy_fid(*under_t)
        assert measured["fid"][repeat] == pytest.approx(plain, rel=1e-4)
        (cell,) = measured["cells"]
        assert cell["fid"][repeat] == pytest.approx(other, rel=1e-4)
        assert cell["ratio"][repeat] == pytest.approx(other / plain, rel=1e-4)


def test_the_first_repeat_has_the_fakes_of_an_fid_and_each_repeat_others():
    reference = reference_statistics(REALS, Corners(), cache_dir=None)
    record = evaluate_fid(
        sample,
        reference,
        Corners(),
        num_fakes=40,
        batch_size=20,
        protocol={
            "split": "train",
            "ema": False,
            "batch_norm": "moving",
            "labels": "none",
            "truncation": None,
            "step": 0,
            "chosen_on_same_data": False,
        },
    )
    measured = measure(["none"], repeats=3, reference=reference)
    assert measured["fid"][0] == pytest.approx(record["fid"], rel=1e-6)
    assert len(set(measured["fid"])) == 3


def test_reals_and_fakes_and_repeats_get_draws_of_their_own():
    """With the reals as fakes, T drawn alike would leave no distance at all."""

    def almost_reals(index, batch_size):
        return np.clip(REALS[:batch_size] / np.float32(127.5) - 1 + 0.02, -1, 1)

    (cell,) = support_overlap(
        almost_reals,
        REALS,
        Corners(),
        ["brightness:1"],
        num_fakes=50,
        batch_size=50,
        repeats=3,
    )["cells"]
    assert min(cell["fid"]) > 20
    assert len(set(cell["fid"])) == 3


def test_a_cell_does_not_depend_on_the_others():
    alone = measure(["brightness:0.5"], repeats=1)["cells"][0]
    among = measure(["cutout", "brightness:0.5"], repeats=1)["cells"][1]
    assert alone["policy"] == among["policy"]
    for name in ("fid", "ratio"):
        assert alone[name] == pytest.approx(among[name], rel=1e-6)
    other = measure(["brightness:0.5"], repeats=1, seed=1)["cells"][0]
    assert other["fid"] != pytest.approx(alone["fid"], rel=1e-3)


def test_images_mix_with_their_own_kind_only():
    black = np.zeros((30, *SHAPE), np.uint8)
    black[::2] = 20
    white = 255 - black

    def fakes(index, batch_size):
        return white[:batch_size] / np.float32(127.5) - 1

    with temporarily_registered(BatchOp):
        measured = support_overlap(
            fakes, black, Corners(), ["batch_mean"], num_fakes=30, batch_size=30, repeats=1
        )
    # Means 10 and 245 in six features, without spread.
    assert measured["cells"][0]["fid"][0] == pytest.approx(6 * 235**2, rel=1e-6)


def test_plain_features_are_taken_once_a_repeat_and_progress_is_told():
    extractor, told = Corners(), []
    reference = reference_statistics(REALS, Corners(), cache_dir=None)
    support_overlap(
        sample,
        REALS,
        extractor,
        ["cutout", "brightness"],
        num_fakes=41,
        batch_size=20,
        repeats=2,
        reference=reference,
        progress=lambda done, total: told.append((done, total)),
    )
    total = 2 * (41 + 2 * (50 + 41))
    assert sum(extractor.batches) == total
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    # 41 in batches of 20 are no 20, 20 and 1: that one would have nothing to mix with.
    assert min(extractor.batches) > 1


def test_the_record_is_json_and_says_how_it_was_measured():
    measured = measure(["color"], seed=5)
    assert json.loads(json.dumps(measured)) == measured
    assert measured["cells"][0]["policy"] == "color"
    assert measured["protocol"] == {
        "features": {"name": "corners", "version": "1"},
        "resize": "none",
        "channels": "3, grey repeated, alpha on white",
        "num_fakes": 40,
        "num_reals": 50,
        "reference": reference_statistics(REALS, Corners(), cache_dir=None).fingerprint,
        "repeats": 2,
        "seed": 5,
        "batch_size": 20,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 0}, "repeats=0"),
        ({"num_fakes": 1}, "num_fakes=1"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_counts_too_small_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        measure(["none"], **options)


def test_an_unknown_op_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'cutout'"):
        measure(["cutot"])


def test_fakes_that_are_the_reals_cannot_be_divided_by():
    with pytest.raises(ValueError, match="no distance from the reals"):
        support_overlap(
            lambda index, size: REALS[:size] / np.float32(127.5) - 1,
            REALS,
            Corners(),
            ["none"],
            num_fakes=50,
            batch_size=50,
        )


def test_samples_that_are_not_finite_are_named():
    def broken(index, size):
        return np.full((size, *SHAPE), np.nan, np.float32)

    with pytest.raises(ValueError, match="not finite"):
        support_overlap(broken, REALS, Corners(), ["none"], num_fakes=4, batch_size=4)


def test_frechet_of_nothing_left_is_nothing():
    blank = compute_statistics(np.full((4, *SHAPE), 7, np.uint8), Corners())
    assert frechet_distance(blank, blank) == 0


@pytest.mark.parametrize("others", [REALS[:-1], 255 - REALS], ids=["fewer", "as_many"])
def test_a_reference_of_other_reals_is_refused(others):
    other = reference_statistics(others, Corners(), cache_dir=None)
    with pytest.raises(ValueError, match=f"Received: reference of {len(others)}"):
        measure(["none"], reference=other)


def test_a_reference_of_nobody_knows_which_reals_is_refused():
    with pytest.raises(ValueError, match="digest None by '1'"):
        measure(["none"], reference=compute_statistics(REALS, Corners()))
