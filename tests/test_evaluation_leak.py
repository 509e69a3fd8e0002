import math

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment
from tf_diffaug.data import load
from tf_diffaug.evaluation.leak import LeakGauge
from tf_diffaug.images import to_float
from tf_diffaug.models import BigGANGenerator, SNDCGANGenerator

STEPS = 100


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


def test_range_and_rounding_give_nothing_away(gauge, images, augment):
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
    first = [
        LeakGauge(images[:400], augment, seed=seed, steps=1)._probe(samples) for seed in (0, 1)
    ]
    assert np.abs(first[0] - first[1]).max() > 0.03


def test_share_and_threshold_are_their_formulas(gauge, monkeypatch):
    counts = {4: (3, 1, 0), 10: (7, 3, 10)}  # 10 are like neither, and are left out
    monkeypatch.setattr(gauge, "_counts", lambda images: np.array(counts[int(images.shape[0])]))
    monkeypatch.setattr(gauge, "_plain", 0.1)
    monkeypatch.setattr(gauge, "_augmented", 0.9)
    monkeypatch.setattr(gauge, "_calibrated_on", 40)
    for n, (_, found, _) in counts.items():
        leak = gauge(tf.zeros([n, 16, 16, 3]))
        assert leak.share == pytest.approx((found / n - 0.1) / 0.8)
        error = math.sqrt(0.1 * 0.9 * (1 / n + 1 / 40))
        assert leak.threshold == pytest.approx(min(3 * error / 0.8, 1.0))


def test_an_augmentation_without_a_trace_is_said_to_have_none(images):
    gauge = LeakGauge(images[:64], DiffAugment("translation:0", seed=0), seed=0, steps=5)
    assert not gauge.is_usable
    with pytest.raises(ValueError, match="Received: policy='translation:0'"):
        gauge(to_float(tf.constant(images[:8])))


@pytest.fixture(scope="module")
def faces():
    images = load("emoji_faces").images
    return tf.cast(tf.round(tf.image.resize(images, (32, 32), antialias=True)), tf.uint8).numpy()


@pytest.fixture(scope="module")
def paper(faces):
    """The gauge of the first paper's augmentation."""
    return LeakGauge(faces, DiffAugment("color,translation,cutout", seed=0), seed=0, steps=100)


def blurred(images, side):
    small = tf.image.resize(images, (side, side), antialias=True)
    return tf.image.resize(small, images.shape[1:3])


def of_untrained(make):
    generator = make(width=16, seed=0)
    return generator(random.normal([128, generator.latent_dim], tf.constant([1, 2])))


@pytest.mark.parametrize(
    "make",
    [
        lambda: of_untrained(SNDCGANGenerator),
        lambda: of_untrained(BigGANGenerator),
        lambda: random.uniform([128, 32, 32, 3], tf.constant([1, 2]), -1.0, 1.0),
        lambda: 0.1 * random.normal([128, 32, 32, 3], tf.constant([1, 2])),
        lambda: tf.zeros([128, 32, 32, 3]),
    ],
    ids=["sndcgan", "biggan", "noise", "faint noise", "grey"],
)
def test_of_what_is_neither_plain_nor_augmented_it_says_nothing(paper, make):
    leak = paper(make())
    assert leak.neither > 0.9
    assert leak.share is None
    assert leak.threshold is None
    assert not leak.is_leaking


def test_of_faces_plain_blurred_and_augmented_it_says_what_they_are(paper, faces):
    plain = to_float(tf.constant(faces))
    for images in (plain, blurred(plain, 16)):
        leak = paper(images)
        assert leak.share < 0.1
        assert not leak.is_leaking
    augment = DiffAugment("color,translation,cutout", seed=0)
    for images in (augment(plain, seed=5), augment(blurred(plain, 16), seed=6)):
        assert paper(images).share > 0.9


def test_reals_that_it_takes_for_neither_make_it_useless(images, monkeypatch):
    monkeypatch.setattr(LeakGauge, "_counts", lambda self, images: np.array([0, 0, len(images)]))
    gauge = LeakGauge(images[:64], DiffAugment("cutout", seed=0), seed=0, steps=1)
    assert not gauge.is_usable


def test_few_images_are_refused():
    with pytest.raises(ValueError, match="Received: 7 images"):
        LeakGauge(np.zeros([7, 8, 8, 3], np.uint8), DiffAugment("cutout"), seed=0)
