"""R3GAN against its published form, written again in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.models import R3GANDiscriminator, R3GANGenerator

KINDS = (R3GANGenerator, R3GANDiscriminator)
SMALL = {"cardinality": 4, "full_width_until": 8}


def generator(resolution=16, width=8, seed=0, **kwargs):
    network = R3GANGenerator(resolution, 3, width, seed=seed, **{"latent_dim": 5, **kwargs})
    network.build()
    return network


def discriminator(resolution=16, width=8, seed=0, **kwargs):
    network = R3GANDiscriminator(resolution, 3, width, seed=seed, **kwargs)
    network.build()
    return network


def shaken(network, scale=0.3):
    """The network with no weight at its initial value: those of a block's end are 0."""
    rng = np.random.default_rng(5)
    for weight in network.trainable_weights:
        noise = rng.normal(size=weight.shape) * scale
        weight.assign(weight.numpy() + np.asarray(noise, weight.numpy().dtype))
    return network


def normal(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


# Parameter counts, from R3GAN/Networks.py and the presets of train.py in brownvc/R3GAN, commit
# 19a7ddf, written here by width, cardinality and blocks of each stage.


def count_blocks(widths, cardinalities, blocks=2, expansion=2):
    total = 0
    for width, groups in zip(widths, cardinalities, strict=True):
        inner = width * expansion
        # Two biases, two 1 x 1 convolutions and a grouped 3 x 3 one.
        total += blocks * (2 * inner + 2 * width * inner + 9 * inner * (inner // groups))
    changes = itertools.pairwise(widths)
    return total + sum(one * other for one, other in changes if one != other)


def count_generator(widths, cardinalities, latent_dim=64, classes=0):
    length = 2 * latent_dim if classes else latent_dim
    basis = 16 * widths[0] + length * widths[0]
    return count_blocks(widths, cardinalities) + basis + 3 * widths[-1] + classes * latent_dim


def count_discriminator(widths, cardinalities, classes=0):
    last = widths[0] * (widths[0] if classes else 1)
    basis = 16 * widths[0]
    return count_blocks(widths, cardinalities) + 3 * widths[-1] + basis + last + classes * widths[0]


CIFAR10 = ([768] * 4, [96] * 4)
FFHQ64 = ([*[768] * 4, 384], [*[96] * 4, 48])
FFHQ256 = ([*[768] * 4, 384, 192, 96], [*[96] * 4, 48, 24, 12])
IMAGENET32 = ([1536] * 4, [96] * 4)
IMAGENET64 = ([1536] * 5, [96] * 5)


@pytest.mark.parametrize(
    ("stages", "classes", "of_generator", "of_discriminator"),
    [
        (CIFAR10, 10, 20_781_952, 21_280_512),
        (CIFAR10, 0, 20_732_160, 20_683_776),
        (FFHQ256, 0, 23_057_952, 23_009_568),
        (IMAGENET32, 1000, 82_914_304, 86_548_992),
    ],
)
def test_published_counts_as_written_down(stages, classes, of_generator, of_discriminator):
    assert count_generator(*stages, classes=classes) == of_generator
    assert count_discriminator(*stages, classes=classes) == of_discriminator


@pytest.mark.parametrize(
    ("stages", "resolution", "classes", "options"),
    [
        (CIFAR10, 32, 10, {}),
        (FFHQ256, 256, None, {"cardinality": 96}),
        (FFHQ64, 64, None, {}),
        (CIFAR10, 32, None, {"cardinality": 96}),
        (IMAGENET32, 32, 1000, {"cardinality": 96}),
        (IMAGENET64, 64, 1000, {"cardinality": 96, "full_width_until": 64}),
    ],
)
def test_parameter_counts_are_the_published_ones(stages, resolution, classes, options):
    expected = {R3GANGenerator: count_generator, R3GANDiscriminator: count_discriminator}
    for kind, count in expected.items():
        network = kind(resolution, 3, stages[0][0], num_classes=classes, **options)
        network.build()
        assert network.count_params() == count(*stages, classes=classes or 0)
        assert not network.non_trainable_weights


# The functions, in float64: convolutions as sums over taps, resampling by zeros and a filter.


def convolved(images, kernel, groups=1):
    size = kernel.shape[0]
    pad = size // 2
    padded = np.pad(images, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    height, width = images.shape[1:3]
    found = []
    for part, own in zip(
        np.split(padded, groups, axis=3), np.split(kernel, groups, axis=3), strict=True
    ):
        found.append(
            sum(
                part[:, y : y + height, x : x + width] @ own[y, x]
                for y in range(size)
                for x in range(size)
            )
        )
    return np.concatenate(found, axis=3)


# R3GAN/Resamplers.py: [1, 2, 1] convolved with [1, 1], on both axes, summing to 1.
TAPS = np.convolve([1.0, 2.0, 1.0], [1.0, 1.0])
FILTER = np.outer(TAPS, TAPS) / np.sum(TAPS) ** 2


def filtered(images, before, after):
    padded = np.pad(images, [(0, 0), (before, after), (before, after), (0, 0)])
    height, width = (size - 3 for size in padded.shape[1:3])
    return sum(
        FILTER[y, x] * padded[:, y : y + height, x : x + width] for y in range(4) for x in range(4)
    )


def doubled(images):
    n, height, width, channels = images.shape
    zeros = np.zeros((n, 2 * height, 2 * width, channels))
    zeros[:, ::2, ::2] = images
    return 4.0 * filtered(zeros, 2, 1)


def halved(images):
    return filtered(images, 1, 1)[:, ::2, ::2]


def leaky(x):
    # TensorFlow keeps the slope as a float32, for float64 too.
    return np.where(x > 0, x, np.float64(np.float32(0.2)) * x)


def block_by_hand(block, images, groups):
    (expand, bias), (grouped, other_bias) = block.expand.get_weights(), block.grouped.get_weights()
    hidden = leaky(convolved(images, expand) + bias)
    hidden = leaky(convolved(hidden, grouped, groups) + other_bias)
    return images + convolved(hidden, block.contract.get_weights()[0])


def stage_by_hand(network, side, images, groups, depth=2):
    for number in range(1, depth + 1):
        images = block_by_hand(getattr(network, f"block{side}_{number}"), images, groups)
    return images


def embedded(network, labels):
    return network.embedding.get_weights()[0][labels]


# Sides 4 and 8 have 8 channels, 16 inside a block, in 4 groups; side 16 half of each.
GROUPS = {4: 4, 8: 4, 16: 2}


@pytest.mark.parametrize("classes", [None, 3])
def test_the_generator_by_hand(classes):
    network = shaken(generator(num_classes=classes, dtype="float64", **SMALL))
    latents, labels = normal(2, 5), np.array([2, 0])
    given = latents if classes is None else (latents, tf.constant(labels))
    vector = latents
    if classes is not None:
        vector = np.concatenate([latents, embedded(network, labels)], axis=1)
    kernel, basis = (weight.numpy() for weight in (network.basis.kernel, network.basis.basis))
    images = (vector @ kernel)[:, None, None, :] * basis
    images = stage_by_hand(network, 4, images, GROUPS[4])
    images = stage_by_hand(network, 8, doubled(images), GROUPS[8])
    images = doubled(convolved(images, network.narrow16.get_weights()[0]))
    images = stage_by_hand(network, 16, images, GROUPS[16])
    images = convolved(images, network.to_image.get_weights()[0])
    np.testing.assert_allclose(network(given), images, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("classes", [None, 3])
def test_the_discriminator_by_hand(classes):
    network = shaken(discriminator(num_classes=classes, dtype="float64", **SMALL))
    images, labels = normal(2, 16, 16, 3), np.array([2, 0])
    given = images if classes is None else (images, tf.constant(labels))
    hidden = convolved(images, network.from_image.get_weights()[0])
    hidden = halved(stage_by_hand(network, 16, hidden, GROUPS[16]))
    hidden = convolved(hidden, network.widen16.get_weights()[0])
    hidden = halved(stage_by_hand(network, 8, hidden, GROUPS[8]))
    hidden = stage_by_hand(network, 4, hidden, GROUPS[4])
    features = np.einsum("nyxc,yxc->nc", hidden, network.basis.basis.numpy())
    logits = features @ network.to_logit.get_weights()[0]
    if classes is not None:
        logits = np.sum(logits * embedded(network, labels), axis=1, keepdims=True)
    judged = network(given, return_features=True)
    np.testing.assert_allclose(judged["features"], features, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(judged["logits"], logits, rtol=1e-9, atol=1e-9)


def test_r1_and_its_gradient_by_differences():
    network = shaken(discriminator(8, 4, depth=1, cardinality=2, dtype="float64"))
    images = tf.constant(normal(2, 8, 8, 3))

    def penalty():
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = network(images)
        return tf.reduce_sum(tape.gradient(logits, images) ** 2)

    weights = network.trainable_weights
    with tf.GradientTape() as tape:
        value = penalty()
    found = tape.gradient(value, weights)
    initial = [weight.numpy() for weight in weights]
    ways = [normal(*value.shape, seed=7 + index) for index, value in enumerate(initial)]
    # Small against the distance to the leaky ReLUs' kinks.
    step, ends = 1e-6, []
    for sign in (1.0, -1.0):
        for weight, start, way in zip(weights, initial, ways, strict=True):
            weight.assign(start + sign * step * way)
        ends.append(float(penalty()))
    expected = sum(
        float(np.sum(gradient * way))
        for gradient, way in zip(found, ways, strict=True)
        if gradient is not None
    )
    np.testing.assert_allclose((ends[0] - ends[1]) / (2.0 * step), expected, rtol=1e-5)


# Initial weights, from Networks.py: N(0, (gain / sqrt(fan-in))²).


def test_initial_weights():
    width, depth, stages, classes = 64, 1, 2, 40
    sizes = {"depth": depth, "cardinality": 8, "num_classes": classes, "full_width_until": 4}
    gain = np.sqrt(2.0 / 1.04) * (depth * stages) ** -0.25
    networks = (generator(8, width, latent_dim=50, **sizes), discriminator(8, width, **sizes))
    for network in networks:
        for block in (network.block4_1, network.block8_1):
            inner = block.expand.filters
            kernels = [np.std(layer.get_weights()[0]) for layer in (block.expand, block.grouped)]
            expected = [gain / np.sqrt(inner / 2), gain / np.sqrt(9 * 16)]
            np.testing.assert_allclose(kernels, expected, rtol=0.06)
            for zero in (block.contract.get_weights()[0], block.expand.get_weights()[1]):
                assert not np.any(zero)
    first, second = networks
    expected = {
        first.embedding: 1 / np.sqrt(classes),
        first.narrow8: 1 / np.sqrt(width),
        first.to_image: 1 / np.sqrt(width / 2),
        second.from_image: 1 / np.sqrt(3),
        second.widen8: 1 / np.sqrt(width / 2),
        second.basis: 1 / 4,
        second.to_logit: 1 / np.sqrt(width),
        second.embedding: 1 / np.sqrt(classes) / np.sqrt(width),
    }
    for layer, deviation in expected.items():
        np.testing.assert_allclose(np.std(layer.get_weights()[0]), deviation, rtol=0.2)
    np.testing.assert_allclose(np.std(first.basis.basis), 1.0, rtol=0.1)
    np.testing.assert_allclose(np.std(first.basis.kernel), 1 / np.sqrt(100), rtol=0.1)


def test_at_first_every_block_is_the_identity():
    network, latents = generator(dtype="float64", **SMALL), normal(2, 5)
    kernel, basis = (weight.numpy() for weight in (network.basis.kernel, network.basis.basis))
    images = doubled((latents @ kernel)[:, None, None, :] * basis)
    images = doubled(convolved(images, network.narrow16.get_weights()[0]))
    images = convolved(images, network.to_image.get_weights()[0])
    np.testing.assert_allclose(network(latents), images, rtol=1e-9, atol=1e-9)


def test_no_two_layers_share_draws():
    first = [
        weight.numpy().ravel()[:4]
        for network in (
            generator(num_classes=4, **SMALL),
            discriminator(num_classes=4, **SMALL),
        )
        for weight in network.trainable_weights
        if np.any(weight.numpy())
    ]
    assert len(first) == 2 * 6 * 2 + 5 + 5
    assert len({tuple(np.round(values / values[0], 4)) for values in first}) == len(first)


# Sizes, precision, mistakes.


@pytest.mark.parametrize("resolution", [4, 32, 64, 128, 256])
def test_every_resolution(resolution):
    images = generator(resolution, 16, depth=1)(normal(1, 5))
    assert images.shape == (1, resolution, resolution, 3)
    network = discriminator(resolution, 16, depth=1)
    judged = network(images, return_features=True)
    assert judged["logits"].shape == (1, 1)
    assert judged["features"].shape == (1, 16)
    assert len(network.blocks()) == len(network.sides)


def test_groups_of_16_channels_or_as_many_groups_as_asked():
    def groups(**kwargs):
        network = discriminator(64, depth=1, **kwargs)
        return [getattr(network, f"block{side}_1").grouped.groups for side in (4, 32, 64)]

    assert groups(width=32) == [4, 4, 2]
    assert groups(width=32, cardinality=8) == [8, 8, 4]
    assert groups(width=32, cardinality=1) == [1, 1, 1]
    # 88 channels: no 5 groups, but 4 of 22.
    assert groups(width=44) == [4, 4, 2]
    assert groups(width=4) == [1, 1, 1]
    assert groups(width=32, expansion=3) == [6, 6, 3]


def test_the_smallest_maps_stay_float32_under_mixed_precision():
    latents = normal(2, 5).astype(np.float32)
    for dtype, inner in (("mixed_bfloat16", "bfloat16"), ("mixed_float16", "float16")):
        network = shaken(generator(8, depth=1, dtype=dtype), 0.1)
        assert network.basis.compute_dtype == network.block4_1.grouped.compute_dtype == "float32"
        assert network.block8_1.grouped.compute_dtype == inner
        precise = generator(8, depth=1)
        precise.set_weights(network.get_weights())
        images, expected = network(latents), precise(latents)
        assert images.dtype == tf.float32
        np.testing.assert_allclose(images, expected, rtol=0.1, atol=0.1)
        judge, exact = (discriminator(8, depth=1, dtype=kind) for kind in (dtype, "float32"))
        assert judge.block4_1.compute_dtype == "float32"
        found = judge(tf.cast(images, inner))
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, exact(expected), rtol=0.1, atol=0.1)


def test_labels_where_they_belong():
    images = tf.constant(normal(2, 16, 16, 3), tf.float32)
    network, plain = discriminator(num_classes=3), discriminator()
    with pytest.raises(ValueError, match="takes a pair"):
        network(images)
    with pytest.raises(ValueError, match="takes labels"):
        network.head(network.features(images))
    with pytest.raises(ValueError, match="takes no labels"):
        plain.head(plain.features(images), tf.constant([0, 1]))
    half = tf.constant([[0.5, 0.5, 0.0]] * 2)
    mixed = generator(num_classes=3, seed=2)
    latents = tf.constant(normal(2, 5), tf.float32)
    whole = [mixed((latents, tf.constant([label] * 2))) for label in (0, 1)]
    # At first the blocks are the identity, and G is linear in the embedding.
    np.testing.assert_allclose(mixed((latents, half)), (whole[0] + whole[1]) / 2, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resolution": 24}, "powers of two.*resolution=24"),
        ({"resolution": 2}, "powers of two.*resolution=2"),
        ({"full_width_until": 12}, "powers of two.*full_width_until=12"),
        ({"width": 0}, "width=0"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"cardinality": 0}, "cardinality=0"),
        ({"depth": 0}, "depth=0"),
        ({"expansion": 0}, "expansion=0"),
        ({"width": 16, "cardinality": 5}, "multiple of `cardinality`.*width=16, cardinality=5"),
    ],
)
def test_wrong_arguments_are_refused(kind, wrong, said):
    with pytest.raises(ValueError, match=said) as caught:
        kind(**wrong)
    assert "\n" not in str(caught.value)


def test_a_wrong_length_of_latents_is_refused():
    with pytest.raises(ValueError, match="latent_dim=0"):
        R3GANGenerator(latent_dim=0)
