import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import random


def words(seed):
    return tuple(seed.numpy().tolist())


def test_every_coordinate_gives_another_seed():
    seeds = [
        words(random.derive(seed, purpose, step=step, replica=replica))
        for seed, purpose, step, replica in itertools.product(
            (0, 1, 2**40), random.PURPOSES, (None, 0, 1, 2), (None, 0, 1)
        )
    ]
    assert len(set(seeds)) == len(seeds)


def test_streams_are_uncorrelated():
    draws = [random.normal([4000], random.derive(0, "latent", step=step)) for step in range(6)]
    draws += [random.normal([4000], random.derive(0, purpose)) for purpose in ("init", "sample")]
    correlation = np.corrcoef(np.stack(draws)) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_seeds_are_the_same_in_a_graph_and_from_a_variable():
    step = tf.Variable(7, dtype=tf.int64)

    @tf.function
    def in_graph():
        return random.derive(3, "latent", step=step, replica=tf.constant(1))

    assert words(in_graph()) == words(random.derive(3, "latent", step=7, replica=1))


def test_an_integer_and_its_words_are_the_same_seed():
    assert words(random.derive(5, "latent", step=1)) == words(
        random.derive(random.as_seed(5), "latent", step=1)
    )


@pytest.mark.parametrize("seed", [0, -1, 2**31, 2**63])
def test_any_integer_is_a_seed(seed):
    assert random.derive(seed, "init").shape == (2,)


def test_derive_int_is_stable_and_distinct():
    values = [random.derive_int(0, "init", index=k) for k in range(100)]
    assert len(set(values)) == 100
    assert values == [random.derive_int(0, "init", index=k) for k in range(100)]
    assert all(0 <= value < 2**31 for value in values)


def test_replicas_keep_rows_of_one_draw(two_replicas):
    def draw(count):
        numbers = random.uniform([count, 3], random.as_seed(4))
        return {"a": numbers, "b": tf.range(count)}

    rows = two_replicas.run(lambda: random.global_rows(draw, 4))
    for name, expected in random.global_rows(draw, 8).items():
        parts = two_replicas.experimental_local_results(rows[name])
        np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 2.0, 6.0])
def test_a_truncated_normal_is_a_normal_without_its_tails(threshold):
    drawn = random.truncated_normal([200_000], random.as_seed(1), threshold).numpy()
    assert np.abs(drawn).max() <= threshold
    many = np.random.default_rng(0).normal(size=4_000_000)
    kept = many[np.abs(many) <= threshold]
    quantiles = [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999]
    np.testing.assert_allclose(
        np.quantile(drawn, quantiles), np.quantile(kept, quantiles), atol=0.06 * threshold**0.5
    )
    np.testing.assert_allclose(drawn.std(), kept.std(), rtol=0.01)


def test_labels_have_their_frequencies():
    drawn = random.categorical(100_000, random.as_seed(2), [3, 0, 1, 4, 0]).numpy()
    assert drawn.dtype == np.int32
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    np.testing.assert_allclose(shares, [3 / 8, 0, 1 / 8, 1 / 2, 0], atol=0.006)
    assert shares[1] == shares[4] == 0


def test_mistakes_are_named():
    for frequencies in ([], [0, 0], [1, -1], [float("nan")]):
        with pytest.raises(ValueError, match="Received: "):
            random.categorical(1, random.as_seed(0), frequencies)
    with pytest.raises(ValueError, match="Received: threshold=0"):
        random.truncated_normal([1], random.as_seed(0), 0)
    with pytest.raises(ValueError, match="Received: purpose='latents'"):
        random.derive(0, "latents")
    with pytest.raises(ValueError, match=r"Received: shape=\(3,\)"):
        random.derive(tf.zeros([3], tf.int32), "init")
