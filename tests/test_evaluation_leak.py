import math

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.augment import DiffAugment
from tf_diffaug.data import load
from tf_diffaug.evaluation.leak import LeakGauge
from tf_diffaug.images import to_float

STEPS = 60


def emoji(count):
    return load("emoji").images[:count, ::4, ::4]


@pytest.fixture(scope="module")
def images():
    return emoji(800)


@pytest.fixture(scope="module")
def augment():
    return DiffAugment("translation:0.25,cutout", seed=0)


@pytest.fixture(scope="module")
def gauge(images, augment):
    return LeakGauge(images[:400], augment, seed=0, steps=STEPS)


def test_plain_images_do_not_leak_and_augmented_ones_do(gauge, images, augment):
    plain = to_float(tf.constant(images[400:]))
    augmented = augment(plain, seed=5)
    assert gauge.is_usable
    assert not gauge(plain).is_leaking
    assert gauge(augmented).share > 0.9
    half = gauge(tf.concat([plain[:200], augmented[:200]], axis=0))
    assert half.is_leaking
    assert half.share == pytest.approx(0.5, abs=0.15)


def test_range_and_rounding_give_no_t_away(gauge, images, augment):
    plain = to_float(tf.constant(images[400:]))
    odd = plain * 1.05 + tf.random.stateless_uniform(plain.shape, [1, 2], -1e-3, 1e-3)
    assert not gauge(odd).is_leaking


def test_the_same_seed_is_the_same_probe(gauge, images, augment):
    twin = LeakGauge(images[:400], augment, seed=0, steps=STEPS)
    samples = augment(to_float(tf.constant(images[400:500])), seed=1)
    expected = gauge(samples)
    # Several threads may round the probe's training otherwise: an image in a hundred on the edge.
    assert twin(samples).share == pytest.approx(expected.share, abs=0.03)
    assert twin(samples).threshold == pytest.approx(expected.threshold, abs=0.03)
    other = LeakGauge(images[:400], augment, seed=1, steps=1)
    assert other(samples).share != pytest.approx(expected.share, abs=0.03)


def test_share_and_threshold_are_their_formulas(gauge, monkeypatch):
    counts = {4: 1, 10: 3}
    monkeypatch.setattr(gauge, "_count", lambda images: counts[int(images.shape[0])])
    monkeypatch.setattr(gauge, "_plain", 0.1)
    monkeypatch.setattr(gauge, "_augmented", 0.9)
    monkeypatch.setattr(gauge, "_calibrated_on", 40)
    for n, found in counts.items():
        leak = gauge(tf.zeros([n, 16, 16, 3]))
        assert leak.share == pytest.approx((found / n - 0.1) / 0.8)
        error = math.sqrt(0.1 * 0.9 * (1 / n + 1 / 40))
        assert leak.threshold == pytest.approx(min(3 * error / 0.8, 1.0))


def test_a_t_without_a_trace_is_said_to_have_none(images):
    gauge = LeakGauge(images[:64], DiffAugment("translation:0", seed=0), seed=0, steps=5)
    assert not gauge.is_usable
    with pytest.raises(ValueError, match="Received: policy='translation:0'"):
        gauge(to_float(tf.constant(images[:8])))


def test_few_images_are_refused():
    with pytest.raises(ValueError, match="Received: 7 images"):
        LeakGauge(np.zeros([7, 8, 8, 3], np.uint8), DiffAugment("cutout"), seed=0)
