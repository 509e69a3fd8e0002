import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    assert_trained_alike,
    descent,
    make_conditional_gan,
    make_discriminator,
    make_feature_gan,
    make_gan,
    make_generator,
    make_images,
    values,
)
from tf_diffaug._keras import raw_variables
from tf_diffaug.layers import BatchNorm
from tf_diffaug.training import EMA, GAN
from tf_diffaug.training.strategy import global_mean, make_strategy

POLICY = "color,translation,cutout"


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
        pytest.param({"optimizer": adam}, marks=pytest.mark.slow),
        pytest.param({"d_steps": 2, "regularizers": "r1(1, every=2)"}, marks=pytest.mark.slow),
        pytest.param({"make": make_conditional_gan}, marks=pytest.mark.slow),
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
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(ValueError, match="Did you mean 'mirrored'"):
        make_strategy("miror")
    with pytest.raises(ValueError, match="TF_CONFIG"):
        make_strategy("multi_worker")
    with pytest.raises(ValueError, match=r"No TPU was found.*TPU_NAME=local.*no TPU_NAME"):
        make_strategy("tpu")


@pytest.mark.parametrize("strategy", ["tpu", "auto"])
def test_a_wheel_without_tpus_is_answered_with_the_one_that_has_them(monkeypatch, strategy):
    # TensorFlow's own error: no wheel of the two stacks has the operation.
    monkeypatch.setenv("TPU_NAME", "local")
    with pytest.raises(ValueError, match="no TPU support") as caught:
        make_strategy(strategy)
    text = str(caught.value)
    assert "pip install tensorflow-tpu==2.20.0" in text
    assert "TPU_NAME=local" in text
    assert "\n" not in text
    assert isinstance(caught.value.__cause__, tf.errors.NotFoundError)


def test_a_tpu_that_cannot_be_asked_about_is_one_line(monkeypatch):
    # There is no server that knows of it.
    monkeypatch.setenv("GCE_METADATA_IP", "127.0.0.1:9")
    monkeypatch.setenv("TPU_NAME", "mine")
    with pytest.raises(ValueError, match=r"No TPU was found .*TPU_NAME=mine") as caught:
        make_strategy("tpu")
    assert "\n" not in str(caught.value)


def test_mirrored_takes_all_devices():
    assert make_strategy("mirrored").num_replicas_in_sync == 2


def test_auto_takes_one_device_where_there_is_no_other(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    assert make_strategy("auto").num_replicas_in_sync == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [15, 10])
def test_a_last_batch_that_replicas_share_unevenly_is_one_devices(two_replicas, count):
    # Of 7 images the replicas have 4 and 3; of 2 the second one has none.
    text = "r1:1,lecam(start=0),topk(0.5, every=1),ada,s3gan" + (",cntr" if count == 15 else "")
    runs = []
    for strategy in (make_strategy("one_device"), two_replicas):
        with strategy.scope():
            gan = make_feature_gan(
                conditional=True,
                policy=POLICY,
                augment="both",
                regularizers=text,
                ema=EMA(half_life=50),
                optimizer=descent,
            )
        images, labels = make_images(count), np.arange(count) % gan.num_classes
        history = gan.fit(images, labels, batch_size=8, shuffle=False, verbose=0).history
        runs.append((values(gan), history))
    assert_trained_alike(*runs)


@pytest.mark.slow
def test_a_lazy_penalty_of_a_d_whose_replicas_exchange_statistics(two_replicas):
    runs = []
    for strategy in (make_strategy("one_device"), two_replicas):
        with strategy.scope():
            judge = make_discriminator()
            judge = keras.Sequential([*judge.layers[:1], BatchNorm(), *judge.layers[1:]])
            gan = GAN(make_generator(), judge, regularizers="r1(1, every=2)")
            gan.compile(descent(), descent())
        data = tf.data.Dataset.from_tensor_slices(make_images(24)).batch(8, drop_remainder=True)
        history = gan.fit(data, epochs=1, verbose=0).history
        state = {"generator": values(gan)["generator"]}
        state["weights"] = [v.numpy() for v in raw_variables(judge, trainable=True)]
        runs.append((state, history))
    assert runs[0][1]["r1"][-1] > 0
    assert_trained_alike(*runs)
