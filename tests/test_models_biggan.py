import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import BigGANDiscriminator, BigGANGenerator
from tf_diffaug._keras import sublayers
from tf_diffaug.layers import (
    BatchNorm,
    SelfAttention,
    SpectralNormalization,
    advance_power_iteration,
)

# What a slim original has; 420 divides into the chunks of every resolution.
ORIGINAL = {"shared_dim": 6, "hierarchical": True, "init": "orthogonal"}


def built(kind, *args, **kwargs):
    network = kind(*args, **kwargs)
    network.build()
    return network


def parameters(network):
    return sum(int(np.prod(w.shape)) for w in network.trainable_weights)


@pytest.mark.parametrize(
    ("num_classes", "of_generator", "of_discriminator"),
    [(10, 4_304_387, 4_207_361), (100, 4_580_867, 4_230_401)],
)
def test_the_parameter_counts_of_the_small_one(num_classes, of_generator, of_discriminator):
    assert parameters(built(BigGANGenerator, num_classes=num_classes)) == of_generator
    assert parameters(built(BigGANDiscriminator, num_classes=num_classes)) == of_discriminator


def generator_parameters(width, multiples, *, condition, first_chunk, shared, attention):
    """By hand: weights and biases of each layer, for vector conditions."""
    sizes = [width * multiple for multiple in multiples]
    count = shared + (first_chunk + 1) * 16 * sizes[0]
    for before, after in itertools.pairwise(sizes):
        count += 9 * before * after + after + 9 * after * after + after
        count += before * after + after
        count += 2 * condition * (before + after)
    count += attention * (2 * (attention // 8) + 2 * (attention // 2)) + 1
    return count + 2 * sizes[-1] + (9 * sizes[-1] + 1) * 3


def discriminator_parameters(width, multiples, *, num_classes, attention, is_compare_gan=False):
    sizes = [3, *(width * multiple for multiple in multiples)]
    count = 0
    for index, (before, after) in enumerate(itertools.pairwise(sizes)):
        count += 9 * before * after + after + 9 * after * after + after
        is_last = index == len(multiples) - 1
        if before != after or not (is_last or is_compare_gan):
            count += before * after + after
    count += attention * (2 * (attention // 8) + 2 * (attention // 2)) + 1
    return count + sizes[-1] + 1 + num_classes * sizes[-1]


def test_the_published_counts_of_the_original():
    # Those of compare_gan's resnet_biggan.py, for 1000 classes and attention at 64 px.
    multiples = (16, 16, 8, 4, 2, 1)
    of_generator = generator_parameters(
        96, multiples, condition=20 + 128, first_chunk=20, shared=128_000, attention=192
    )
    assert of_generator == 70_433_988
    multiples = (1, 2, 4, 8, 16, 16)
    assert discriminator_parameters(96, multiples, num_classes=1000, attention=96) == 87_982_370
    multiples = (16, 16, 8, 8, 4, 2, 1)
    of_generator = generator_parameters(
        96, multiples, condition=20 + 128, first_chunk=20, shared=128_000, attention=192
    )
    assert of_generator == 82_097_604
    multiples = (1, 2, 4, 8, 8, 16, 16)
    of_discriminator = discriminator_parameters(
        96, multiples, num_classes=1000, attention=192, is_compare_gan=True
    )
    assert of_discriminator == 98_635_298


@pytest.mark.parametrize(
    ("resolution", "latent_dim", "attention"), [(128, 120, 64), (256, 140, 128)]
)
def test_slim_originals_have_the_counted_parameters(resolution, latent_dim, attention):
    # Two times the width at either place.
    multiples = {128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1)}[resolution]
    generator = built(
        BigGANGenerator,
        resolution,
        width=4,
        latent_dim=latent_dim,
        num_classes=9,
        attention=attention,
        **{**ORIGINAL, "init": "normal"},
    )
    expected = generator_parameters(
        4, multiples, condition=20 + 6, first_chunk=20, shared=9 * 6, attention=8
    )
    assert parameters(generator) == expected
    # Another upsampling, the same weights.
    same = BigGANGenerator.from_config({**generator.get_config(), "layout": "compare_gan"})
    same.build()
    shapes, of_same = ([w.shape for w in n.trainable_weights] for n in (generator, same))
    assert shapes == of_same
    multiples = {128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16)}[resolution]
    for layout in ("author", "compare_gan"):
        # 8 or 16 channels at 64 px.
        discriminator = built(
            BigGANDiscriminator, resolution, width=8, num_classes=9, attention=64, layout=layout
        )
        expected = discriminator_parameters(
            8,
            multiples,
            num_classes=9,
            attention=8 if resolution == 128 else 16,
            is_compare_gan=layout == "compare_gan",
        )
        assert parameters(discriminator) == expected


@pytest.mark.slow
def test_the_original_at_full_width_has_the_published_counts():
    same = {"width": 96, "num_classes": 1000, "attention": 64}
    generator = built(
        BigGANGenerator, 128, latent_dim=120, shared_dim=128, hierarchical=True, **same
    )
    assert parameters(generator) == 70_433_988
    del generator
    assert parameters(built(BigGANDiscriminator, 128, **same)) == 87_982_370


@pytest.mark.parametrize(
    ("resolution", "layout", "num_classes"),
    [
        (32, "author", None),
        (32, "compare_gan", 5),
        (64, "author", 5),
        (64, "compare_gan", None),
        (128, "author", 5),
        (256, "compare_gan", 5),
    ],
)
def test_shapes_and_ranges(resolution, layout, num_classes):
    is_original = layout == "author"
    options = {"num_classes": num_classes}
    of_generator = {"hierarchical": is_original, "latent_dim": 420, "layout": layout}
    if is_original and num_classes is not None:
        of_generator["shared_dim"] = 6
    generator = BigGANGenerator(resolution, 1, 1, **options, **of_generator)
    discriminator = BigGANDiscriminator(resolution, 1, 1, layout=layout, **options)
    latents = tf.random.stateless_normal((2, 420), seed=(0, 1)) * 100.0
    labels = tf.constant([0, 4])
    given = latents if num_classes is None else (latents, labels)
    images = generator(given, training=True)
    assert images.shape == (2, resolution, resolution, 1)
    assert np.max(np.abs(images)) <= 1.0
    features = discriminator.features(images)
    assert features.shape == (2, discriminator.features_dim)
    given = images if num_classes is None else (images, labels)
    logits = discriminator(given)
    assert logits.shape == (2, 1)
    head = discriminator.head(features, *([] if num_classes is None else [labels]))
    np.testing.assert_array_equal(head, logits)


# Restatements in float64 with the resampling and the convolutions one after the other.


def kernel_of(layer):
    inner = layer.layer
    kernel = inner.embeddings if isinstance(inner, keras.layers.Embedding) else inner.kernel
    return kernel.numpy().astype(np.float64) / layer.sigma().numpy()


def convolved(layer, images):
    kernel = kernel_of(layer)
    size = kernel.shape[0] // 2
    padded = np.pad(images, ((0, 0), (size, size), (size, size), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], (1, 2))
    products = np.tensordot(windows, kernel, ((3, 4, 5), (2, 0, 1)))
    return products + layer.layer.bias.numpy()


def normalized(images, gain, bias):
    mean, variance = images.mean((0, 1, 2)), images.var((0, 1, 2))
    return np.maximum((images - mean) / np.sqrt(variance + 1e-5) * gain + bias, 0.0)


def upsampled(images, layout="author"):
    repeated = images.repeat(2, 1).repeat(2, 2)
    if layout == "compare_gan":
        repeated[:, 1::2] = 0.0
        repeated[:, :, 1::2] = 0.0
    return repeated


def pooled(images):
    return (
        images[:, ::2, ::2] + images[:, 1::2, ::2] + images[:, ::2, 1::2] + images[:, 1::2, 1::2]
    ) / 4.0


def stirred(network):
    """The network with larger kernels, and biases that are not zero."""
    rng = np.random.default_rng(3)
    for weight in network.trainable_weights:
        if len(weight.shape) < 2:
            weight.assign(weight.numpy() + 0.3 * rng.normal(size=weight.shape))
        else:
            weight.assign(rng.normal(size=weight.shape) * 0.3)
    advance_power_iteration(network, 3)
    return network


def conditional_gain_and_bias(norm, condition):
    """`condition` holds rows of numbers, one-hot ones for labels."""
    maps = []
    for part in (norm.gain, norm.bias):
        is_normal = isinstance(part, SpectralNormalization)
        kernel = kernel_of(part) if is_normal else part.kernel.numpy().astype(np.float64)
        maps.append((condition @ kernel)[:, None, None])
    return 1.0 + maps[0], maps[1]


def restated_generator(network, latents, conditions):
    hidden = latents @ kernel_of(network.dense) + network.dense.layer.bias.numpy()
    hidden = hidden.reshape(len(latents), 4, 4, -1)
    for number, condition in enumerate(conditions, 1):
        block = getattr(network, f"block{number}")
        if condition is None:
            norms = [(n.gamma.numpy(), n.beta.numpy()) for n in (block.norm1, block.norm2)]
        else:
            norms = [conditional_gain_and_bias(n, condition) for n in (block.norm1, block.norm2)]
        inner = upsampled(normalized(hidden, *norms[0]), network.layout)
        inner = normalized(convolved(block.conv1, inner), *norms[1])
        shortcut = convolved(block.shortcut, upsampled(hidden, network.layout))
        hidden = convolved(block.conv2, inner) + shortcut
        if hidden.shape[1] == network.attention:
            hidden = network.attention_block(hidden.astype(np.float32)).numpy()
    hidden = normalized(hidden, network.norm.gamma.numpy(), network.norm.beta.numpy())
    return np.tanh(convolved(network.to_image, hidden))


LABELS = np.array([2, 0, 1, 2])
ONE_HOT = np.eye(3)[LABELS]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hierarchical": True},
        {"num_classes": 3},
        {"num_classes": 3, "shared_dim": 5},
        {"num_classes": 3, "hierarchical": True},
        {"num_classes": 3, "shared_dim": 5, "hierarchical": True, "attention": 16},
        {"layout": "compare_gan"},
        {"num_classes": 3, "shared_dim": 5, "hierarchical": True, "layout": "compare_gan"},
    ],
    ids=str,
)
def test_the_generator_is_the_published_one(options):
    network = stirred(built(BigGANGenerator, width=2, latent_dim=8, seed=0, **options))
    latents = np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)
    inputs = (latents, LABELS) if "num_classes" in options else latents
    first, chunks, vectors = latents, None, None
    if "hierarchical" in options:
        first, *chunks = np.split(latents, 4, -1)
    if "num_classes" in options:
        is_shared = "shared_dim" in options
        vectors = ONE_HOT @ network.shared.kernel.numpy() if is_shared else ONE_HOT
    if chunks is None:
        conditions = [vectors] * 3
    else:
        parts = [] if vectors is None else [vectors]
        conditions = [np.concatenate([chunk, *parts], -1) for chunk in chunks]
    expected = restated_generator(network, first, conditions)
    np.testing.assert_allclose(network(inputs, training=True), expected, rtol=1e-3, atol=2e-3)
    assert np.std(expected) > 0.1


def restated_discriminator(network, images, downsamplings):
    hidden = images.astype(np.float64)
    for index in range(4):
        block = getattr(network, f"block{index + 1}")
        inner = hidden if index == 0 else np.maximum(hidden, 0.0)
        inner = convolved(block.conv2, np.maximum(convolved(block.conv1, inner), 0.0))
        keeps = hidden.shape[-1] == inner.shape[-1]
        is_down = index < downsamplings
        shortcut = hidden
        if network.layout == "compare_gan" and keeps:
            shortcut = np.zeros_like(inner)
        elif is_down or not keeps:
            shortcut = convolved(block.shortcut, hidden)
        hidden = inner + shortcut
        if is_down:
            hidden = pooled(hidden)
        # The first map of that size.
        if is_down and hidden.shape[1] == network.attention:
            hidden = network.attention_block(hidden.astype(np.float32)).numpy()
    features = np.maximum(hidden, 0.0).sum((1, 2))
    logits = features @ kernel_of(network.to_logit) + network.to_logit.layer.bias.numpy()
    if network.num_classes is not None:
        logits += (ONE_HOT @ kernel_of(network.embedding) * features).sum(-1, keepdims=True)
    return logits


@pytest.mark.parametrize(
    ("options", "widths", "downsamplings"),
    [
        ({}, (8, 8, 8, 8), 2),
        ({"num_classes": 3, "attention": 8}, (8, 8, 8, 8), 2),
        ({"num_classes": 3, "layout": "compare_gan", "attention": 16}, (4, 4, 4, 4), 3),
    ],
    ids=str,
)
def test_the_discriminator_is_the_published_one(options, widths, downsamplings):
    network = stirred(built(BigGANDiscriminator, width=2, seed=0, **options))
    found = [getattr(network, f"block{n}").conv1.layer.filters for n in (1, 2, 3, 4)]
    assert tuple(found) == widths
    images = np.random.default_rng(1).uniform(-1.0, 1.0, (4, 32, 32, 3)).astype(np.float32)
    inputs = (images, LABELS) if "num_classes" in options else images
    expected = restated_discriminator(network, images, downsamplings)
    np.testing.assert_allclose(network(inputs), expected, rtol=1e-3, atol=1e-3)


def test_the_class_embedding_is_what_the_blocks_share():
    network = BigGANGenerator(width=1, num_classes=3, shared_dim=5)
    assert network.class_embedding is network.shared
    assert BigGANGenerator(width=1, num_classes=3).class_embedding is None


@pytest.mark.parametrize("kind", [BigGANGenerator, BigGANDiscriminator])
def test_the_layout_is_part_of_the_configuration(kind):
    network = kind(width=1, layout="compare_gan")
    assert kind.from_config(network.get_config()).layout == "compare_gan"
    assert kind(width=1).get_config()["layout"] == "author"


def test_the_gradients_of_the_zeros_are_those_of_the_published_steps():
    """A block's, with the zeros put in and then convolved, one after the other."""
    network = stirred(built(BigGANGenerator, width=2, latent_dim=8, layout="compare_gan", seed=0))
    block = network.block1
    hidden = tf.random.stateless_normal((2, 4, 4, 8), seed=(0, 1))
    weights = block.trainable_weights

    def published(hidden):
        def convolved(layer, images):
            kernel = layer.layer.kernel / layer.sigma()
            return tf.nn.conv2d(images, kernel, 1, "SAME") + layer.layer.bias

        def spread(images):
            zeros = tf.zeros_like(images)
            rows = tf.stack([images, zeros], 2)
            both = tf.stack([rows, tf.zeros_like(rows)], 4)
            return tf.reshape(both, (2, 8, 8, -1))

        inner = spread(tf.nn.relu(block.norm1(hidden, training=False)))
        inner = tf.nn.relu(block.norm2(convolved(block.conv1, inner), training=False))
        return convolved(block.conv2, inner) + convolved(block.shortcut, spread(hidden))

    found = []
    for function in (lambda x: block(x, training=False), published):
        # The moving statistics: behind those of the batch conv1's bias has no gradient.
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            outputs = function(hidden)
            loss = tf.reduce_sum(tf.sin(outputs))
        found.append([outputs, *tape.gradient(loss, [hidden, *weights])])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.max(np.abs(theirs)))


def test_where_the_original_has_attention():
    generator = built(BigGANGenerator, 128, width=1, latent_dim=120, attention=64)
    discriminator = built(BigGANDiscriminator, 128, width=1, attention=64)
    # After the fourth block of one and the first of the other.
    assert generator.attention_block.o.layer.filters == 2
    assert discriminator.attention_block.o.layer.filters == 1
    assert sublayers(built(BigGANGenerator, width=1), SelfAttention) == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (BigGANGenerator, {"num_classes": 3, "latent_dim": 8, "attention": 16, **ORIGINAL}),
        (BigGANDiscriminator, {"num_classes": 3, "attention": 16}),
    ],
)
def test_spectral_norms_are_one_after_100_iterations(kind, options):
    network = built(kind, width=8, seed=0, **{**options, "init": "normal"})
    advance_power_iteration(network, 100)
    layers = sublayers(network, SpectralNormalization)
    assert len(layers) > 10
    for layer in layers:
        inner = layer.layer
        kernel = inner.embeddings if isinstance(inner, keras.layers.Embedding) else inner.kernel
        matrix = kernel.numpy().reshape(-1, kernel.shape[-1]) / layer.sigma().numpy()
        np.testing.assert_allclose(np.linalg.svd(matrix)[1][0], 1.0, rtol=0.01)


def test_what_has_spectral_normalization():
    """All but the batch norms, the shared embedding, and the small one's tables of labels."""
    for options, plain in (
        ({"num_classes": 3}, 2 * 3 * 2),
        ({"num_classes": 3, "latent_dim": 8, "attention": 16, **ORIGINAL}, 1),
    ):
        network = built(BigGANGenerator, width=2, **options)
        kernels = [w for w in network.trainable_weights if len(w.shape) > 1]
        normal = sublayers(network, SpectralNormalization)
        assert len(kernels) - len(normal) == plain
    network = built(BigGANDiscriminator, width=2, num_classes=3, attention=16)
    kernels = [w for w in network.trainable_weights if len(w.shape) > 1]
    assert len(kernels) == len(sublayers(network, SpectralNormalization))


def test_initial_weights():
    for kind in (BigGANGenerator, BigGANDiscriminator):
        for init in ("normal", "orthogonal"):
            network = built(kind, width=16, num_classes=40, seed=0, init=init)
            for weight in network.trainable_weights:
                value = weight.numpy()
                if value.ndim > 1 and init == "orthogonal":
                    matrix = value.reshape(-1, value.shape[-1])
                    values = np.linalg.svd(matrix, compute_uv=False)
                    np.testing.assert_allclose(values, 1.0, atol=1e-4)
                elif value.ndim > 1 and value.size > 1000:
                    np.testing.assert_allclose(value.std(), 0.02, rtol=0.1)
                    np.testing.assert_allclose(value.mean(), 0.0, atol=0.002)
                elif weight.name.startswith("gamma"):
                    np.testing.assert_array_equal(value, 1.0)
                elif weight.name.startswith(("bias", "beta")):
                    np.testing.assert_array_equal(value, 0.0)


def test_no_two_kernels_share_draws():
    options = {"width": 8, "num_classes": 3, "attention": 16, "seed": 0}
    networks = [
        built(BigGANGenerator, latent_dim=32, shared_dim=16, hierarchical=True, **options),
        built(BigGANGenerator, **options),
        built(BigGANDiscriminator, **options),
    ]
    for network in (networks[0], networks[1], networks[2]):
        first = [w.numpy().ravel()[0] for w in network.trainable_weights if len(w.shape) > 1]
        assert len(set(first)) == len(first)
    ours, theirs = (
        {w.numpy().ravel()[0] for w in network.trainable_weights if len(w.shape) > 1}
        for network in networks[1:]
    )
    assert not ours & theirs


def test_every_batch_norm_is_found():
    network = built(BigGANGenerator, width=2, num_classes=3)
    assert len(sublayers(network, BatchNorm)) == 2 * 3 + 1


def test_labels_matter_and_only_to_their_own_example():
    network = stirred(built(BigGANGenerator, width=2, latent_dim=8, num_classes=3, seed=0))
    latents = tf.random.stateless_normal((2, 8), seed=(0, 1))
    first = network((latents, tf.constant([0, 1])))
    other = network((latents, tf.constant([0, 2])))
    np.testing.assert_array_equal(first[0], other[0])
    assert np.max(np.abs(first[1] - other[1])) > 0.01


@pytest.mark.parametrize("kind", [BigGANGenerator, BigGANDiscriminator])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resolution": 48}, r"\(32, 64, 128, 256\) px.*resolution=48"),
        ({"resolution": 512}, "resolution=512"),
        ({"channels": 0}, "channels=0"),
        ({"width": 0}, "width=0"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"init": "glorot"}, "Unknown init .* Received: init='glorot'"),
        ({"attention": 64}, "at 32 px, one of .*attention=64"),
        ({"attention": 4}, "attention=4"),
        ({"layout": "paper"}, "Unknown layout .* Received: layout='paper'"),
    ],
)
def test_wrong_arguments_are_refused(kind, wrong, said):
    with pytest.raises(ValueError, match=said):
        kind(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"shared_dim": 0, "num_classes": 2}, "shared_dim=0"),
        ({"shared_dim": 8}, "needs classes.*Received: shared_dim=8"),
        ({"latent_dim": 10, "hierarchical": True}, "multiple of 4.*latent_dim=10"),
        (
            {"resolution": 128, "latent_dim": 128, "hierarchical": True},
            "6 chunks.*multiple of 6.*latent_dim=128",
        ),
    ],
)
def test_wrong_arguments_of_the_generator_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        BigGANGenerator(**wrong)


def test_wrong_arguments_of_the_discriminator_are_refused():
    with pytest.raises(ValueError, match="takes labels"):
        BigGANDiscriminator(width=2, num_classes=3).head(tf.ones((1, 8)))
    with pytest.raises(ValueError, match="takes no labels"):
        BigGANDiscriminator(width=2).head(tf.ones((1, 8)), tf.ones((1,)))
