import numpy as np
import pytest

from tf_diffaug.evaluation import nearest
from tf_diffaug.evaluation.nearest import Smallest, nearest_vectors


def test_the_nearest_are_those_of_all_differences_whatever_the_blocks(rng):
    queries, vectors = rng.normal(size=(5, 7)), rng.normal(size=(23, 7))
    distances = np.sqrt(((queries[:, None] - vectors) ** 2).sum(-1))
    order = distances.argsort(1, kind="stable")[:, :4]
    for size in (1, 5, 23):
        blocks = [(vectors[k : k + size],) for k in range(0, 23, size)]
        found = nearest_vectors(queries, blocks, 4)
        np.testing.assert_array_equal(found.indices, order)
        np.testing.assert_allclose(found.distances, np.take_along_axis(distances, order, 1))
        assert not found.variants.any()


def test_a_copy_has_no_distance_and_of_equals_the_first_counts(rng):
    pixels = rng.integers(0, 256, (6, 3072)).astype(np.uint8)
    found = nearest_vectors(pixels[[2]], [(pixels,), (pixels,)], 3)
    np.testing.assert_array_equal(found.distances[0, :2], 0)
    np.testing.assert_array_equal(found.indices[0, :2], [2, 8])


def test_a_vector_is_as_near_as_its_nearest_variant():
    plain, mirrored = np.array([[0.0, 3], [5, 5]]), np.array([[3.0, 0], [5, 5]])
    found = nearest_vectors([[3, 1]], [(plain, mirrored)], 2)
    np.testing.assert_array_equal(found.indices, [[0, 1]])
    np.testing.assert_array_equal(found.variants, [[1, 0]])
    np.testing.assert_allclose(found.distances, [[1, 20**0.5]])


def test_more_than_there_are_is_an_error():
    with pytest.raises(ValueError, match=r"2 vectors\. Received: count=3"):
        nearest_vectors(np.zeros([1, 2]), [(np.zeros([2, 2]),)], 3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 100), (50, 160), (50, 400)])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_smallest_are_those_of_sorted_rows_whatever_the_tiles(rng, height, width, transposed):
    values = rng.integers(0, 90, (50, 400)).astype(np.float32)  # with many equals
    found = Smallest(50, 5, np.float32)
    for top in range(0, 50, height):
        where = slice(top, min(top + height, 50))
        for left in range(0, 400, width):
            tile = values[where, left : left + width]
            tile = np.asfortranarray(tile) if transposed else tile
            found.offer(where, tile, left + np.arange(tile.shape[1]))
    order = values.argsort(1, kind="stable")[:, :5]
    np.testing.assert_array_equal(found.labels, order)
    np.testing.assert_array_equal(found.values, np.take_along_axis(values, order, 1))


def test_fewer_than_wanted_leave_infinity(rng):
    found = Smallest(2, 3, np.float64)
    found.offer(slice(0, 1), np.array([[4.0, 2.0]]), np.arange(2))
    np.testing.assert_array_equal(found.values, [[2, 4, np.inf], [np.inf] * 3])


def test_one_vector_is_left_out_of_each_query(monkeypatch, rng):
    monkeypatch.setattr(nearest, "ROWS", 4)
    vectors = rng.normal(size=(11, 3)).astype(np.float32)
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2) + np.diag(np.full(11, np.inf))
    blocks = [(vectors[:4],), (vectors[4:],)]
    found = nearest_vectors(vectors, blocks, 1, left_out=np.arange(11))
    np.testing.assert_array_equal(found.indices[:, 0], distances.argmin(1))
    with pytest.raises(ValueError, match=r"There are 1 vectors\. Received: count=1"):
        nearest_vectors(vectors[:1], [(vectors[:1],)], 1, left_out=np.zeros(1, int))
