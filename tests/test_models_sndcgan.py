import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference_networks import built, parameters
from tf_diffaug.models import SNDCGANDiscriminator, SNDCGANGenerator


def test_the_published_parameter_counts():
    assert parameters(built(SNDCGANGenerator)) == 3_828_739
    assert parameters(built(SNDCGANDiscriminator)) == 5_860_865


def test_initial_weights():
    for kind in (SNDCGANGenerator, SNDCGANDiscriminator):
        for weight in built(kind, width=32, seed=0).trainable_weights:
            value = weight.numpy()
            if value.ndim > 1 and value.size > 1000:
                np.testing.assert_allclose(value.std(), 0.02, rtol=0.1)
                np.testing.assert_allclose(value.mean(), 0.0, atol=0.002)
            elif weight.name.startswith("gamma"):
                np.testing.assert_array_equal(value, 1.0)
            elif weight.name.startswith(("bias", "beta")):
                np.testing.assert_array_equal(value, 0.0)


@pytest.mark.parametrize("resolution", [8, 24, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shapes_and_ranges(resolution, channels):
    generator = SNDCGANGenerator(resolution, channels, width=2, latent_dim=5)
    discriminator = SNDCGANDiscriminator(resolution, channels, width=2)
    latents = tf.random.stateless_normal((3, 5), seed=(0, 1)) * 100.0
    images = generator(latents, training=True)
    assert images.shape == (3, resolution, resolution, channels)
    assert np.max(np.abs(images)) <= 1.0
    features = discriminator.features(images)
    assert features.shape == (3, (resolution // 8) ** 2 * 16)
    logits = discriminator(images)
    assert logits.shape == (3, 1)
    np.testing.assert_array_equal(discriminator.head(features), logits)


def reference_discriminator(network, images):
    hidden = images
    for layer in (*network._convs(), network.to_logit):
        kernel = tf.convert_to_tensor(layer.layer.kernel) / layer.sigma()
        bias = tf.convert_to_tensor(layer.layer.bias)
        if isinstance(layer.layer, keras.layers.Dense):
            return tf.reshape(hidden, (images.shape[0], -1)) @ kernel + bias
        stride = {3: 1, 4: 2}[kernel.shape[0]]
        hidden = tf.nn.conv2d(hidden, kernel, stride, "SAME") + bias
        hidden = tf.maximum(hidden, 0.1 * hidden)
    return None


def test_the_discriminator_is_the_published_one():
    network = built(SNDCGANDiscriminator, 16, width=4, seed=0)
    filters = [layer.layer.kernel.shape for layer in network._convs()]
    assert filters == [
        (3, 3, 3, 4),
        (4, 4, 4, 8),
        (3, 3, 8, 8),
        (4, 4, 8, 16),
        (3, 3, 16, 16),
        (4, 4, 16, 32),
        (3, 3, 32, 32),
    ]
    images = tf.random.stateless_uniform((2, 16, 16, 3), seed=(0, 1), minval=-1.0)
    expected = reference_discriminator(network, images)
    np.testing.assert_allclose(network(images), expected, rtol=1e-4, atol=1e-6)


def test_the_generator_is_the_published_one():
    network = built(SNDCGANGenerator, 16, width=4, latent_dim=6, seed=0)
    latents = tf.random.stateless_normal((5, 6), seed=(0, 1))

    def normalize(x):
        mean, variance = tf.nn.moments(x, list(range(x.shape.rank - 1)))
        return tf.nn.relu((x - mean) / tf.sqrt(variance + 1e-5))

    hidden = tf.reshape(
        normalize(latents @ tf.convert_to_tensor(network.dense.kernel)), (5, 2, 2, 32)
    )
    for layer, size, filters in ((network.up1, 4, 16), (network.up2, 8, 8), (network.up3, 16, 4)):
        kernel = tf.convert_to_tensor(layer.kernel)
        assert kernel.shape[:2] == (4, 4)
        hidden = normalize(
            tf.nn.conv2d_transpose(hidden, kernel, (5, size, size, filters), 2, "SAME")
        )
    kernel = tf.convert_to_tensor(network.to_image.kernel)
    assert kernel.shape[:2] == (3, 3)
    expected = tf.tanh(tf.nn.conv2d_transpose(hidden, kernel, (5, 16, 16, 3), 1, "SAME"))
    np.testing.assert_allclose(network(latents, training=True), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_half_precision_images_are_taken(dtype, policy):
    network = SNDCGANDiscriminator(16, width=2, seed=0, dtype=policy)
    images = tf.random.stateless_uniform((2, 16, 16, 3), seed=(0, 1), minval=-1.0)
    logits = network(tf.cast(images, dtype))
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, network(images), rtol=0.1, atol=1e-3)
    features = network.features(tf.cast(images, dtype))
    np.testing.assert_array_equal(network.head(features), logits)


def test_the_two_networks_of_a_seed_share_no_draws():
    generator = built(SNDCGANGenerator, 32, width=8, seed=0)
    discriminator = built(SNDCGANDiscriminator, 32, width=8, seed=0)
    first = [
        w.numpy().ravel()[:8]
        for network in (generator, discriminator)
        for w in network.trainable_weights
        if len(w.shape) > 1
    ]
    assert len({tuple(values) for values in first}) == len(first) == 5 + 8


@pytest.mark.parametrize("kind", [SNDCGANGenerator, SNDCGANDiscriminator])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resolution": 33}, "multiples of 8 .*resolution=33"),
        ({"resolution": 0}, "multiples of 8 .*resolution=0"),
        ({"channels": 0}, "channels=0"),
        ({"width": 0}, "width=0"),
    ],
)
def test_wrong_arguments_are_refused(kind, wrong, said):
    with pytest.raises(ValueError, match=said):
        kind(**wrong)


def test_a_wrong_latent_dim_is_refused():
    with pytest.raises(ValueError, match="latent_dim=0"):
        SNDCGANGenerator(latent_dim=0)
