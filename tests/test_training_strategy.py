import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_conditional_gan, make_gan, make_images, values
from tf_diffaug.training.strategy import global_mean, make_strategy

POLICY = "color,translation,cutout"


def descent():
    return keras.optimizers.SGD(0.02, momentum=0.5)


def adam():
    # Its published epsilon, 1e-8, makes a whole step of what is rounding alone, such as the
    # gradient of a bias before a batch norm.
    return keras.optimizers.Adam(1e-3, epsilon=0.1)


def train(strategy, *, optimizer=descent, make=make_gan, **options):
    with strategy.scope():
        gan = make(policy=POLICY, optimizer=optimizer, **options)
    images = make_images(64)
    if gan.num_classes is not None:
        images = images, np.arange(64) % gan.num_classes
    dataset = (
        tf.data.Dataset.from_tensor_slices(images)
        .repeat()
        .batch(8 * gan.d_steps, drop_remainder=True)
    )
    history = gan.fit(dataset, steps_per_epoch=20, verbose=0).history
    return gan, history


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": adam},
        {"d_steps": 2, "regularizers": "r1(1, every=2)"},
        {"make": make_conditional_gan},
    ],
)
def test_two_replicas_end_where_one_does(two_replicas, options):
    one, one_history = train(make_strategy("one_device"), **options)
    two, two_history = train(two_replicas, **options)
    assert (one.num_replicas, two.num_replicas) == (1, 2)
    for group, expected in values(one).items():
        for a, b in zip(expected, values(two)[group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5, err_msg=group)
    for name, expected in one_history.items():
        np.testing.assert_allclose(two_history[name], expected, rtol=1e-3, atol=1e-4)


def test_shares_of_the_mean_sum_to_it(two_replicas):
    parts = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.range(3.0) + 10 * context.replica_id_in_sync_group
    )
    shares = two_replicas.run(global_mean, args=(parts,))
    total = two_replicas.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
    assert float(total) == pytest.approx(np.mean([0, 1, 2, 10, 11, 12]))


def test_mistakes_are_named(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="Did you mean 'mirrored'"):
        make_strategy("miror")
    with pytest.raises(ValueError, match="TF_CONFIG"):
        make_strategy("multi_worker")
    with pytest.raises(ValueError, match="No TPU was found"):
        make_strategy("tpu")


def test_mirrored_takes_all_devices():
    assert make_strategy("mirrored").num_replicas_in_sync == 2


def test_auto_takes_one_device_where_there_is_no_other(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    assert make_strategy("auto").num_replicas_in_sync == 1
