import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.evaluation.texture import Textures, texture_statistics


def kinds(count, seed, statistics=5):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=[statistics, statistics])
    narrow = rng.normal(size=[count, statistics]) @ mixing
    return narrow, 30.0 + 3.0 * rng.normal(size=[count, statistics])


def test_distances_are_mahalanobis_to_the_nearest_kind():
    first, second = kinds(300, 0)
    textures = Textures([first, second], np.concatenate(kinds(100, 1)))
    points = np.concatenate([*kinds(10, 2), np.zeros([1, 5]) + 15.0])
    expected = []
    for kind in (first, second):
        deviation = kind.std(0) + 1e-3
        scaled = kind / deviation
        covariance = 0.95 * np.cov(scaled.T, bias=True) + 0.05 * np.eye(5)
        gaps = points / deviation - scaled.mean(0)
        expected.append([np.sqrt(gap @ np.linalg.solve(covariance, gap)) for gap in gaps])
    np.testing.assert_allclose(textures._distances(points), np.min(expected, axis=0), rtol=1e-6)
    assert textures.are_unlike(points)[-1]


def test_four_in_five_of_those_held_out_are_ordinary():
    held_out = np.concatenate(kinds(100, 1))
    textures = Textures(kinds(300, 0), held_out)
    assert textures.are_unlike(held_out).mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("shape", [(8, 8, 1), (16, 12, 4), (33, 32, 3), (2, 2, 3)])
def test_statistics_are_their_formulas(shape):
    images = np.random.default_rng(0).uniform(-1, 1, (3, *shape))
    rows = []
    for image in images:
        row = [*image.mean((0, 1)), *np.log(image.std((0, 1)) + 0.02)]
        for _ in range(4):
            if min(image.shape[:2]) < 4:
                break
            across, down = np.diff(image, axis=1), np.diff(image, axis=0)
            for gaps in (across, down, np.diff(across, axis=0)):
                square = (gaps**2).mean()
                row += [np.log(square + 1e-3), np.abs(gaps).mean() / np.sqrt(square + 1e-4)]
            height, width = image.shape[:2]
            image = np.array(
                [
                    [image[y : y + 2, x : x + 2].mean((0, 1)) for x in range(0, width, 2)]
                    for y in range(0, height, 2)
                ]
            )
        rows.append(row)
    found = texture_statistics(tf.constant(images, tf.float32))
    np.testing.assert_allclose(found, rows, rtol=1e-3, atol=1e-4)
