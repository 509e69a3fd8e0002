from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import descent, make_gan, make_images, values
from tf_diffaug.runs import CheckpointStore
from tf_diffaug.training.calls import Outputs
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import TopK, parse_regularizers


def turn(logits, index=0, dtype=tf.float32):
    outputs = {"fake_aug": Outputs(tf.cast(logits, dtype)[:, None])}
    return SimpleNamespace(outputs=outputs, mode=MODES["both"], index=tf.constant(index, tf.int64))


def make_term(*args, **options):
    term = TopK(*args, **options)
    term.build(None)
    return term


def test_topk_is_its_formula_update_by_update(rng):
    term = make_term(0.4, decay=0.8, every=2)
    ks = []
    for index in range(14):
        logits, losses = rng.normal(size=(2, 10))
        k = max(round(10 * max(0.8 ** (index // 2), 0.4)), 1)
        expected = np.zeros(10)
        best = np.argsort(-logits)[:k]
        expected[best] = losses[best] * 10 / k
        found = term.weigh_fakes(turn(logits, index), tf.constant(losses, tf.float32))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_allclose(np.mean(found), losses[best].mean(), rtol=1e-4, atol=1e-6)
        ks.append(float(term.gauges()["topk_k"]))
        assert ks[-1] == k
    assert (ks[0], ks[-1]) == (10, 4)


def test_one_fake_counts_at_least():
    found = make_term(0.01, decay=0.01, every=1).weigh_fakes(turn([1.0, 3.0, 2.0], 5), tf.ones(3))
    np.testing.assert_array_equal(found, [0, 3, 0])


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_of_ties_the_first_count(dtype):
    logits = [0.0, 1.0, 0.0, 0.0, -1.0, 0.0]
    term = make_term(0.5, decay=0.5, every=1)
    np.testing.assert_array_equal(
        term.weigh_fakes(turn(logits, 1, dtype), tf.ones(6)), [2, 2, 2, 0, 0, 0]
    )


def test_the_others_get_no_gradient_and_the_rank_none():
    logits = tf.Variable([0.3, -0.2, 0.9, 0.1])
    term = make_term(0.5, decay=0.5, every=1)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(term.weigh_fakes(turn(logits, 1), tf.nn.softplus(-logits)))
    expected = 2 * -1 / (1 + np.exp(logits.numpy().astype(np.float64))) * [1, 0, 1, 0]
    np.testing.assert_allclose(tape.gradient(total, logits), expected, rtol=1e-5)


def step_of(**options):
    gan = make_gan(optimizer=descent, **options)
    logs = gan.train_step(tf.constant(make_images(8)))
    return values(gan, "generator", "discriminator"), logs


def test_it_moves_g_alone():
    plain, plain_logs = step_of()
    found, logs = step_of(regularizers="topk(decay=1)")  # k is the batch
    for group in plain:
        for a, b in zip(plain[group], found[group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    found, logs = step_of(regularizers=[Half()])
    assert float(logs["topk_k"]) == 4
    assert float(logs["g_loss"]) < float(plain_logs["g_loss"])  # the fakes that fool D
    pairs = zip(plain["generator"], found["generator"], strict=True)
    assert max(np.abs(a - b).max() for a, b in pairs) > 1e-5
    for a, b in zip(plain["discriminator"], found["discriminator"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


class Half(TopK):
    """k is half of the batch from the start."""

    def weigh_fakes(self, turn, values):
        later = SimpleNamespace(outputs=turn.outputs, mode=turn.mode, index=turn.index + 10**6)
        return super().weigh_fakes(later, values)


def test_k_falls_to_its_share_under_xla_too():
    gan = make_gan(regularizers="topk(decay=0.8, every=2)")
    gan.compile(descent(), descent(), jit_compile=True)
    history = gan.fit(make_images(64), batch_size=16, epochs=3, verbose=0).history
    assert history["topk_k"] == [13, 8, 8]
    assert "topk" not in history


def test_a_batch_of_unknown_size(rng):
    term = make_term(0.5, decay=0.5, every=1)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None])])
    def weigh(logits):
        return term.weigh_fakes(turn(logits, 1), tf.ones_like(logits))

    for size in (6, 4):
        logits = rng.permutation(size).astype(np.float32)
        np.testing.assert_array_equal(weigh(tf.constant(logits)), 2.0 * (logits >= size / 2))


def test_a_resumed_run_goes_on_with_its_k(tmp_path):
    def make():
        return make_gan(regularizers="topk(decay=0.8, every=2)", optimizer=descent)

    def train(gan, steps):
        return [
            float(gan.train_step(tf.constant(make_images(8, step)))["topk_k"]) for step in steps
        ]

    whole, first, second = make(), make(), make()
    ks = train(first, range(3))
    CheckpointStore(first, tmp_path).save()
    CheckpointStore(second, tmp_path).restore()
    assert float(second.regularizers[0].gauges()["topk_k"]) == ks[-1]
    assert train(whole, range(6)) == ks + train(second, range(3, 6))
    for a, b in zip(values(whole)["generator"], values(second)["generator"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_two_replicas_rank_the_global_batch(two_replicas):
    ends, histories = [], []
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        with strategy.scope():
            gan = make_gan(
                policy="color", regularizers="topk(0.3, decay=0.7, every=3)", optimizer=descent
            )
        dataset = tf.data.Dataset.from_tensor_slices(make_images(64)).repeat().batch(8)
        histories.append(gan.fit(dataset, steps_per_epoch=20, verbose=0).history)
        ends.append(values(gan))
    assert histories[0]["topk_k"] == histories[1]["topk_k"] == [2]
    for group, expected in ends[0].items():
        for a, b in zip(expected, ends[1][group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5, err_msg=group)


def test_it_is_read_and_written():
    (term,) = parse_regularizers("topk:0.75")
    assert str(term) == "topk(least=0.75, decay=0.99, every=1000)"
    assert str(parse_regularizers(str(term))[0]) == str(term)
    for wrong in ("least=0", "least=1.5", "decay=x", "decay=True", "every=0"):
        with pytest.raises(ValueError, match=f"Received: topk {wrong.split('=')[0]}="):
            parse_regularizers(f"topk({wrong})")
