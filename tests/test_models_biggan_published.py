"""BigGAN against its published form."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference_networks import built, stirred
from tf_diffaug.layers import (
    SpectralNormalization,
)
from tf_diffaug.models import BigGANDiscriminator, BigGANGenerator

# What is called here is called as within a step.
pytestmark = pytest.mark.usefixtures("held_norms")

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
    if network.layout == "compare_gan":
        hidden = (hidden + 1.0) / 2.0  # its images are of [0, 1]
    for index in range(4):
        block = getattr(network, f"block{index + 1}")
        plain = index == 0 and network.layout == "author"
        inner = hidden if plain else np.maximum(hidden, 0.0)
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
    # As an augmentation may leave them, below -1 too.
    images = np.random.default_rng(1).uniform(-1.5, 1.5, (4, 32, 32, 3)).astype(np.float32)
    inputs = (images, LABELS) if "num_classes" in options else images
    expected = restated_discriminator(network, images, downsamplings)
    np.testing.assert_allclose(network(inputs), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layout", ["author", "compare_gan"])
def test_labels_start_from_the_published_embedding(layout):
    network = built(BigGANDiscriminator, width=8, num_classes=500, layout=layout, seed=0)
    table = network.embedding.layer.embeddings.numpy()
    expected = 0.02 if layout == "author" else (2 / sum(table.shape)) ** 0.5  # Glorot's
    assert np.std(table) == pytest.approx(expected, rel=0.05)


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
