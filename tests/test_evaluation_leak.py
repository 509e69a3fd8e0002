import math

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment
from tf_diffaug.data import load
from tf_diffaug.evaluation.leak import LeakGauge
from tf_diffaug.images import to_float
from tf_diffaug.models import BigGANGenerator, SNDCGANDiscriminator, SNDCGANGenerator
from tf_diffaug.training import GAN

STEPS = 100
# G's steps after which it makes grids and blobs.
YOUNG = 40


def emoji(count):
    # Shuffled: the dataset goes by subject, and samples are of the images that a gauge knows.
    images = load("emoji").images[:count, ::4, ::4]
    return images[np.random.default_rng(0).permutation(count)]


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


def of_young(make, images, steps):
    """What a G makes after few steps of training by the paper's augmentation."""
    gan = GAN(
        make(width=8, seed=0),
        SNDCGANDiscriminator(width=8, seed=0),
        policy="color,translation,cutout",
        seed=0,
    )
    gan.compile()
    batches = tf.data.Dataset.from_tensor_slices(images).repeat().shuffle(128, seed=0).batch(16)
    gan.fit(batches, steps_per_epoch=steps, verbose=0)
    return gan.generator(random.normal([128, gan.latent_dim], tf.constant([1, 2])))


def textured(kind):
    """Early textures, drawn: float (128, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    strength = rng.uniform(0.2, 1.0, [128, 1, 1, 3])
    y, x = np.mgrid[:32, :32]
    grid = np.cos(np.pi * x / 2) * np.cos(np.pi * y / 2)
    board = np.where((x + y) % 2, 1.0, -1.0)
    if kind == "blobs":
        field = tf.image.resize(rng.normal(size=[128, 4, 4, 3]), [32, 32], "bicubic").numpy()
        return tf.constant(np.clip(2.0 * field, -1, 1), tf.float32)
    pattern = {"grid": grid, "checkerboard": board}[kind]
    square = (np.maximum(abs(x - 15.5), abs(y - 15.5)) < 12)[..., None]
    return tf.constant(strength * pattern[..., None] * square, tf.float32)


@pytest.fixture(scope="module")
def shapes():
    """Discs and squares in two colors on a shaded ground, uint8 (128, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    images = np.zeros([128, 32, 32, 3])
    for image in images:
        low, high = rng.uniform(30, 110, 3), rng.uniform(140, 250, 3)
        image[:] = low + y[..., None]
        center, radius = rng.uniform(12, 20, 2), rng.uniform(6, 11)
        across, down = abs(x - center[0]), abs(y - center[1])
        round_ = rng.random() < 0.5
        inside = across**2 + down**2 < radius**2 if round_ else np.maximum(across, down) < radius
        image[inside] = high
    return np.clip(images + rng.normal(0, 4, images.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def drawn(shapes):
    return LeakGauge(shapes, DiffAugment("color,translation,cutout", seed=0), seed=0, steps=100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "make"), [("faces", BigGANGenerator), ("shapes", SNDCGANGenerator)]
)
def test_of_a_young_generator_it_says_nothing(data, make, request):
    images = request.getfixturevalue(data)
    gauge = request.getfixturevalue({"faces": "paper", "shapes": "drawn"}[data])
    samples = of_young(make, images, YOUNG)
    leak = gauge(samples)
    assert leak.neither > 0.6
    assert leak.share is None
    assert leak.verdict == "not yet like the images"


@pytest.mark.parametrize("kind", ["grid", "checkerboard", "blobs"])
@pytest.mark.parametrize("gauge", ["paper", pytest.param("drawn", marks=pytest.mark.slow)])
def test_of_textures_it_says_nothing(gauge, kind, request):
    leak = request.getfixturevalue(gauge)(textured(kind))
    assert leak.neither > 0.9
    assert leak.share is None


def test_of_blobs_with_the_spectrum_of_reals_it_says_nothing(gauge, images):
    reals = images[400:] / 127.5 - 1.0
    mean = reals.mean(axis=(1, 2), keepdims=True)
    noise = np.fft.fft2(np.random.default_rng(0).normal(size=reals.shape[:3]))
    turned = np.fft.fft2(reals - mean, axes=(1, 2)) * (noise / np.abs(noise))[..., None]
    blobs = mean + np.fft.ifft2(turned, axes=(1, 2)).real
    leak = gauge(tf.constant(np.clip(blobs, -1, 1), tf.float32))
    assert leak.neither > 0.6
    assert leak.share is None


@pytest.mark.slow
def test_of_shapes_it_says_what_they_are(drawn, shapes):
    plain = to_float(tf.constant(shapes))
    augmented = DiffAugment("color,translation,cutout", seed=0)(plain, seed=5)
    assert drawn(plain).share < 0.1
    assert drawn(augmented).share > 0.9
    mixed = drawn(tf.concat([plain[:64], augmented[64:]], axis=0))
    assert mixed.is_leaking


def test_of_faces_plain_blurred_and_augmented_it_says_what_they_are(paper, faces):
    plain = to_float(tf.constant(faces))
    for images in (plain, blurred(plain, 16)):
        leak = paper(images)
        assert leak.share < 0.1
        assert not leak.is_leaking
    augment = DiffAugment("color,translation,cutout", seed=0)
    for images in (augment(plain, seed=5), augment(blurred(plain, 16), seed=6)):
        assert paper(images).share > 0.9


@pytest.mark.parametrize("kind", ["blurred", "of a part", "blended", "of half"])
def test_a_leak_need_be_neither_sharp_nor_whole(paper, faces, kind):
    plain = to_float(tf.constant(faces))
    augmented = DiffAugment("color,translation,cutout", seed=0)(plain, seed=5)
    leak = paper(
        {
            "blurred": lambda: blurred(augmented, 24),
            "of a part": lambda: DiffAugment("translation,cutout", seed=0)(plain, seed=5),
            "blended": lambda: 0.5 * (plain + augmented),
            "of half": lambda: tf.concat([plain[:64], augmented[64:]], axis=0),
        }[kind]()
    )
    assert leak.neither < 0.45
    assert leak.is_leaking


def test_reals_that_it_takes_for_neither_make_it_useless(images, monkeypatch):
    monkeypatch.setattr(LeakGauge, "_counts", lambda self, images: np.array([0, 0, len(images)]))
    gauge = LeakGauge(images[:64], DiffAugment("cutout", seed=0), seed=0, steps=1)
    assert not gauge.is_usable


def test_few_images_are_refused():
    with pytest.raises(ValueError, match="Received: 7 images"):
        LeakGauge(np.zeros([7, 8, 8, 3], np.uint8), DiffAugment("cutout"), seed=0)
