import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference_networks import built, stirred
from tf_diffaug._keras import sublayers
from tf_diffaug.layers import (
    BatchNorm,
    SelfAttention,
    SpectralNormalization,
    advance_power_iteration,
)
from tf_diffaug.models import BigGANDiscriminator, BigGANGenerator

# What a slim original has; 420 divides into the chunks of every resolution.
ORIGINAL = {"shared_dim": 6, "hierarchical": True, "init": "orthogonal"}


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


def test_the_class_embedding_is_what_the_blocks_share():
    network = BigGANGenerator(width=1, num_classes=3, shared_dim=5)
    assert network.class_embedding is network.shared
    assert BigGANGenerator(width=1, num_classes=3).class_embedding is None


@pytest.mark.parametrize("kind", [BigGANGenerator, BigGANDiscriminator])
def test_the_layout_is_part_of_the_configuration(kind):
    network = kind(width=1, layout="compare_gan")
    assert kind.from_config(network.get_config()).layout == "compare_gan"
    assert kind(width=1).get_config()["layout"] == "author"


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
