import numpy as np
import pytest

from tf_diffaug.evaluation.nearest import nearest_vectors


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
