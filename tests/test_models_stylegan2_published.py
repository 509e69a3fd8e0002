"""StyleGAN2 against its published form."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.stylegan2 import discriminator, generator, images_of, latents_of, shaken
from tests.test_layers_equalized import activated
from tests.test_layers_modulated import direct
from tests.test_layers_resample import upfirdn
from tf_diffaug.models import StyleGAN2Discriminator, StyleGAN2Generator

# TensorFlow keeps the leaky ReLU's 0.2 as a float32, for float64 too.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


# Parameter counts, from networks_stylegan2.py: every convolution of the generator has a kernel, an
# affine layer from w, a bias and, but for those to RGB, a noise strength.


def channels(resolution, width):
    sizes = [2**power for power in range(1, resolution.bit_length())]
    return {size: min(width * resolution // size, 512) for size in sizes}


def generator_count(resolution, width, num_classes=0, w=512):
    count = channels(resolution, width)
    mapping = 8 * (w * w + w)
    if num_classes:
        mapping += num_classes * w + w * w

    def styled(inputs, outputs):
        return 9 * inputs * outputs + (w * inputs + inputs) + 1 + outputs

    def to_rgb(inputs):
        return 3 * inputs + (w * inputs + inputs) + 3

    total = mapping + 16 * count[4] + styled(count[4], count[4]) + to_rgb(count[4])
    for small, size in itertools.pairwise(sorted(count)[1:]):
        total += styled(count[small], count[size]) + styled(count[size], count[size])
        total += to_rgb(count[size])
    return total


def discriminator_count(resolution, width, num_classes=1, is_residual=True):
    count = channels(resolution, width)
    total = 3 * count[resolution] + count[resolution]
    for small, size in itertools.pairwise(sorted(count)[1:]):
        total += 9 * count[size] ** 2 + count[size]
        total += 9 * count[size] * count[small] + count[small]
        total += count[size] * count[small] * is_residual
    total += 9 * (count[4] + 1) * count[4] + count[4]
    total += 16 * count[4] * count[2] + count[2]
    return total + count[2] * num_classes + num_classes


@pytest.mark.parametrize(
    ("resolution", "width", "of_generator", "of_discriminator"),
    [
        # run_cifar.py: fmap_base 2048.
        (32, 128, 13_506_963, 13_918_849),
        # run_low_shot.py: the networks' default, fmap_base 16384.
        (256, 128, 30_034_338, 28_864_129),
    ],
)
def test_the_published_parameter_counts(resolution, width, of_generator, of_discriminator):
    for kind, count, expected in (
        (StyleGAN2Generator, generator_count, of_generator),
        (StyleGAN2Discriminator, discriminator_count, of_discriminator),
    ):
        network = kind(resolution, width=width)
        network.build()
        assert network.count_params() - 512 * (kind is StyleGAN2Generator) == expected
        assert count(resolution, width) == expected


def test_parameter_counts_with_classes_and_without_residuals():
    for network, expected in (
        (StyleGAN2Generator(8, width=8, num_classes=10), generator_count(8, 8, 10)),
        (StyleGAN2Discriminator(8, width=8, num_classes=10), discriminator_count(8, 8, 10)),
        (
            StyleGAN2Discriminator(8, width=8, architecture="orig"),
            discriminator_count(8, 8, is_residual=False),
        ),
    ):
        network.build()
        sizes = [int(np.prod(weight.shape)) for weight in network.trainable_weights]
        assert sum(sizes) == expected


def test_channels():
    network = StyleGAN2Discriminator()
    assert [network._channels_at(size) for size in (2, 4, 8, 16, 32)] == [512, 512, 512, 256, 128]
    network = StyleGAN2Generator(256, width=64, max_channels=256)
    found = [network._channels_at(size) for size in (4, 8, 16, 32, 64, 128, 256)]
    assert found == [256, 256, 256, 256, 256, 128, 64]


def test_initial_weights():
    network = generator(width=64, max_channels=64, w_dim=64, latent_dim=64, num_classes=40)
    for layer in network.mapping._dense():
        np.testing.assert_allclose(layer.kernel.numpy().std(), 100.0, rtol=0.05)
        np.testing.assert_array_equal(layer.bias.numpy(), 0.0)
    for values in (network.constant, network.mapping.embedding, network.conv8.conv.kernel):
        np.testing.assert_allclose(values.numpy().std(), 1.0, rtol=0.1)
    for layer in (network.conv4, network.up8, network.conv8):
        assert layer.strength.numpy() == 0.0
        np.testing.assert_array_equal(layer.bias.numpy(), 0.0)
        np.testing.assert_array_equal(layer.conv.affine.bias.numpy(), 1.0)
    np.testing.assert_array_equal(network.mapping.w_avg.numpy(), 0.0)
    for weight in discriminator(width=64, max_channels=64).trainable_weights:
        if len(weight.shape) == 1:
            np.testing.assert_array_equal(weight.numpy(), 0.0)
        elif np.prod(weight.shape) > 1000:
            np.testing.assert_allclose(weight.numpy().std(), 1.0, rtol=0.1)


@pytest.mark.parametrize("resolution", [4, 8, 32, 64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes(resolution, channels):
    network = StyleGAN2Generator(
        resolution, channels, 2, latent_dim=5, w_dim=4, mapping_layers=1, max_channels=4
    )
    images = network(latents_of(3, 5), training=True)
    assert images.shape == (3, resolution, resolution, channels)
    assert network.num_layers == 2 * (resolution.bit_length() - 2)
    critic = StyleGAN2Discriminator(resolution, channels, 2, max_channels=4)
    features = critic.features(images)
    assert features.shape == (3, 4)
    logits = critic(images)
    assert logits.shape == (3, 1)
    np.testing.assert_array_equal(critic.head(features), logits)


# The published networks, from the layers' weights, in float64 and one image after the other.


def numbers(*variables):
    return [variable.numpy() for variable in variables]


def reference_mapping(mapping, latents, labels=None):
    hidden = latents
    if labels is not None:
        hidden = np.concatenate([hidden, mapping.embedding.numpy()[labels]], axis=1)
    hidden = hidden / np.sqrt((hidden**2).mean(axis=1, keepdims=True) + 1e-8)
    for layer in mapping._dense():
        kernel, bias = (0.01 * values for values in numbers(layer.kernel, layer.bias))
        hidden = activated(hidden @ kernel / np.sqrt(kernel.shape[0]) + bias)
    return hidden


def reference_styled(layer, hidden, w, noise):
    # `direct` includes the layer's gain, which is the activation's.
    outputs = direct(layer.conv, hidden, w) / np.sqrt(2.0)
    strength, bias = numbers(layer.strength, layer.bias)
    return activated(outputs + strength * noise + bias)


def reference_synthesis(network, w, noises):
    hidden = np.repeat(network.constant.numpy(), len(w), axis=0)
    images, index = None, 0
    for size in network.resolutions:
        for name in ("up", "conv") if size > 4 else ("conv",):
            layer = getattr(network, f"{name}{size}")
            hidden = reference_styled(layer, hidden, w[:, index], noises[index])
            index += 1
        if network.architecture == "skip" or size == network.resolution:
            layer = getattr(network, f"to_image{size}")
            added = direct(layer.conv, hidden, w[:, index]) + layer.bias.numpy()
            images = added if images is None else added + upfirdn(images, 2, 1, 2, 1, 4.0)
    return images


@pytest.mark.parametrize("architecture", ["skip", "orig"])
@pytest.mark.parametrize("num_classes", [None, 3])
def test_the_generator_is_the_published_one(architecture, num_classes, monkeypatch):
    network = generator(16, 2, architecture=architecture, num_classes=num_classes, dtype="float64")
    shaken(network)
    latents, labels = latents_of(2, dtype="float64"), tf.constant([2, 0])
    rng = np.random.default_rng(0)
    sizes = [4, 8, 8, 16, 16]
    noises = [rng.normal(size=(2, size, size, 1)) for size in sizes]

    def given(found, batch, seed, dtype):
        assert (list(found), int(batch), seed, dtype) == (sizes, 2, None, "float64")
        return [tf.constant(values) for values in noises]

    monkeypatch.setattr("tf_diffaug.models.stylegan2.generator.noise", given)
    is_conditional = num_classes is not None
    w = reference_mapping(
        network.mapping, latents.numpy(), labels.numpy() if is_conditional else None
    )
    np.testing.assert_allclose(
        network.mapping(latents, labels if is_conditional else None), w, **CLOSE
    )
    w = np.repeat(w[:, None], network.num_layers, axis=1)
    # Layers of different w, so that one out of place shows.
    w += rng.normal(size=w.shape) * 0.1
    expected = reference_synthesis(network, w, noises)
    np.testing.assert_allclose(network.synthesis(tf.constant(w)), expected, **CLOSE)


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
@pytest.mark.parametrize("num_classes", [None, 3])
def test_the_discriminator_is_the_published_one(architecture, num_classes):
    network = discriminator(
        16, 2, architecture=architecture, num_classes=num_classes, group_size=2, dtype="float64"
    )
    shaken(network)
    images, labels = images_of(4, 16, "float64"), tf.constant([2, 0, 1, 1])

    def conv(name, values, stride=1):
        layer = getattr(network, name)
        kernel = layer.kernel.numpy() / np.sqrt(np.prod(layer.kernel.shape[:3]))
        side = len(kernel) // 2
        if stride == 2:
            values = upfirdn(values, 1, 1, 1 + side, 1 + side, 1.0)
            return tf.nn.conv2d(values, kernel, 2, "VALID").numpy()
        return tf.nn.conv2d(values, kernel, 1, "SAME").numpy()

    def act(name, values, stride=1):
        return activated(conv(name, values, stride) + getattr(network, name).bias.numpy())

    hidden = act("from_image", images.numpy())
    for size in (16, 8):
        outputs = act(f"down{size}", act(f"conv{size}", hidden), 2)
        if architecture == "resnet":
            outputs = (outputs + conv(f"shortcut{size}", hidden, 2)) / np.sqrt(2.0)
        hidden = outputs
    spread = [np.sqrt(pair.var(axis=0) + 1e-8).mean() for pair in np.split(hidden, 2)]
    spread = np.repeat(spread, 2)[:, None, None, None] * np.ones((4, 4, 4, 1))
    hidden = act("conv4", np.concatenate([hidden, spread], axis=-1)).reshape(4, -1)
    features = activated(
        hidden @ network.dense.kernel.numpy() / np.sqrt(hidden.shape[1])
        + network.dense.bias.numpy()
    )
    np.testing.assert_allclose(network.features(images), features, **CLOSE)
    kernel, bias = numbers(network.to_logit.kernel, network.to_logit.bias)
    logits = features @ kernel / np.sqrt(len(kernel)) + bias
    if num_classes is not None:
        logits = logits[np.arange(4), labels.numpy()][:, None]
        images = (images, labels)
    np.testing.assert_allclose(network(images), logits, **CLOSE)
