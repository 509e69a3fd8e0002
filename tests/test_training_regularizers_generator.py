"""Path length, on networks small enough for finite differences."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.networks import make_discriminator, make_generator
from tf_diffaug._keras import raw_variables
from tf_diffaug.models import BigGANGenerator, StyleGAN2Discriminator, StyleGAN2Generator
from tf_diffaug.training import GAN
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.regularizers import Orthogonal, PathLength, Update


def make_gan(regularizers, **options):
    generator = StyleGAN2Generator(
        8, 3, 2, latent_dim=4, w_dim=4, mapping_layers=2, max_channels=4, seed=1, **options
    )
    discriminator = StyleGAN2Discriminator(8, 3, 2, max_channels=4, group_size=2, seed=1, **options)
    gan = GAN(
        generator, discriminator, loss="non_saturating", regularizers=regularizers, policy="color"
    )
    gan.compile(*(keras.optimizers.SGD(0.01) for _ in range(2)))
    return gan


def make_turn(gan, index=0, batch_size=4):
    draws = Draws(0, tf.constant(5, tf.int64), batch_size, None)
    return Update(gan, draws, None, {}, None, tf.cast(index, tf.int64))


def expected_lengths(gan, turn, epsilon=1e-3):
    """sqrt(mean over layers |∂ Σ images·noise / ∂ styles|²), by central differences."""
    generator = gan.generator
    latents = turn.draws.normal([4], "path_length", "latents")[::2]
    noise = turn.draws.normal((8, 8, 3), "path_length", "noise")[::2].numpy() / 8
    seed = turn.draws.stream("path_length", "synthesis")
    styles = np.repeat(generator.mapping(latents).numpy()[:, None], generator.num_layers, axis=1)

    def project(styles):
        images = generator.synthesis(tf.constant(styles), seed=seed).numpy().astype(np.float64)
        return (images * noise).sum(axis=(1, 2, 3))

    squares = np.zeros(len(styles))
    for layer, unit in np.ndindex(*styles.shape[1:]):
        offset = np.zeros_like(styles)
        offset[:, layer, unit] = epsilon
        squares += ((project(styles + offset) - project(styles - offset)) / (2 * epsilon)) ** 2
    return np.sqrt(squares / styles.shape[1])


def test_path_length_is_its_formula_and_moves_its_mean():
    gan = make_gan("path_length(2, every=1, decay=0.9)")
    (term,) = gan.regularizers
    turn = make_turn(gan)
    lengths = expected_lengths(gan, turn)
    mean = 0.1 * lengths.mean()
    found = term.generator_term(turn)
    np.testing.assert_allclose(found, 2 * (lengths - mean) ** 2, rtol=0.02)
    (variable,) = term.variables
    np.testing.assert_allclose(variable, mean, rtol=0.01)
    second = term.generator_term(turn)
    mean = 0.9 * mean + 0.1 * lengths.mean()
    np.testing.assert_allclose(second, 2 * (lengths - mean) ** 2, rtol=0.02)


def test_path_length_has_the_gradient_of_its_finite_difference():
    gan = make_gan("path_length(1, every=1, decay=0)")
    (term,) = gan.regularizers
    weight = max(raw_variables(gan.generator, trainable=True), key=lambda v: len(v.shape))

    def value():
        return tf.reduce_sum(term.generator_term(make_turn(gan)))

    with tf.GradientTape() as tape:
        total = value()
    gradient = tape.gradient(total, weight).numpy()
    direction = np.random.default_rng(0).normal(size=weight.shape).astype(np.float32)
    start, epsilon = weight.numpy(), 1e-3
    ends = []
    for sign in (1, -1):
        weight.assign(start + sign * epsilon * direction)
        ends.append(float(value()))
    slope = (ends[0] - ends[1]) / (2 * epsilon)
    # The mean gets no gradient: with decay 0 it follows, and Σ (l - mean(l))·mean(l)' is 0.
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=0.05)


def test_path_length_moves_g_alone():
    gan = make_gan("path_length(1, every=1)")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(gan.regularizers[0].generator_term(make_turn(gan)))
    kernels = [v for v in raw_variables(gan.generator, trainable=True) if len(v.shape) > 1]
    found = tape.gradient(total, kernels + raw_variables(gan.discriminator, trainable=True))
    assert all(np.abs(g).max() > 0 for g in found[: len(kernels)])
    assert all(g is None for g in found[len(kernels) :])


@pytest.mark.slow
def test_path_length_falls_when_it_is_asked_for():
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), np.uint8)
    ends = {}
    for weight in (1e-6, 100.0):
        gan = make_gan(f"path_length({weight}, every=1, shrink=1)")
        gan.compile(*(keras.optimizers.Adam(0.01, beta_1=0.0) for _ in range(2)))
        history = gan.fit(images, batch_size=16, epochs=12, verbose=0).history["path_length"]
        ends[weight] = np.mean(history[-4:]) / weight
    assert ends[100.0] < ends[1e-6] / 3, ends


def test_lazy_path_length_is_free_in_between():
    gan = make_gan("path_length(every=4)")
    (term,) = gan.regularizers
    every_time = make_gan("path_length(every=1)").regularizers[0]
    run = tf.function(lambda i: term.generator_term(make_turn(gan, i)), autograph=False)
    first = run(tf.constant(0, tf.int64))
    np.testing.assert_allclose(first, 4 * every_time.generator_term(make_turn(gan)), rtol=1e-3)
    mean = term.variables[0].numpy()
    assert mean > 0
    for index in (1, 2, 3):
        np.testing.assert_array_equal(run(tf.constant(index, tf.int64)), 0)
    assert term.variables[0].numpy() == mean
    assert np.all(run(tf.constant(4, tf.int64)).numpy() > 0)


def test_a_generator_without_styles_is_named():
    with pytest.raises(ValueError, match="without `mapping`"):
        GAN(make_generator(), make_discriminator(), regularizers=[PathLength()])


def test_orthogonal_is_its_formula():
    generator = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(12),  # wide
            keras.layers.Reshape((2, 2, 3)),
            keras.layers.Conv2DTranspose(3, 2),
            keras.layers.Conv2D(5, 2),
        ]
    )
    dense, transposed, convolution = (
        v.numpy().astype(np.float64) for v in generator.trainable_variables[::2]
    )
    expected = 0.0
    for matrix in (
        dense,
        transposed.transpose(0, 1, 3, 2).reshape(-1, 3),
        convolution.reshape(-1, 5),
    ):
        products = matrix.T @ matrix
        expected += ((products * (1 - np.eye(len(products)))) ** 2).sum()
    turn = SimpleNamespace(networks=SimpleNamespace(generator=generator), seen=0)
    value = Orthogonal(0.5).generator_term(turn)
    np.testing.assert_allclose(value, 0.5 * expected, rtol=1e-5)


def test_orthogonal_of_an_orthogonal_kernel_is_zero_to_the_last_digits():
    layer = keras.layers.Dense(64, kernel_initializer=keras.initializers.Orthogonal(seed=0))
    generator = keras.Sequential([keras.Input((64,)), layer])
    value = Orthogonal(1.0).generator_term(
        SimpleNamespace(networks=SimpleNamespace(generator=generator), seen=0)
    )
    assert 0 <= value < 1e-10


@pytest.mark.parametrize("columns", [3, 9])
def test_orthogonal_has_the_gradient_of_its_formula(columns):
    generator = keras.Sequential([keras.Input((4,)), keras.layers.Dense(columns)])
    kernel = raw_variables(generator, trainable=True)[0]
    with tf.GradientTape() as tape:
        value = Orthogonal(1.0).generator_term(
            SimpleNamespace(networks=SimpleNamespace(generator=generator), seen=0)
        )
    matrix = kernel.numpy().astype(np.float64)
    products = matrix.T @ matrix * (1 - np.eye(columns))
    expected = 4 * matrix @ products
    np.testing.assert_allclose(tape.gradient(value, kernel), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_orthogonal_falls_when_it_is_asked_for():
    gan = networks.make_gan(regularizers="orthogonal:10", seed=1)
    history = gan.fit(networks.make_images(64), batch_size=8, epochs=16, verbose=0).history[
        "orthogonal"
    ]
    assert history[-1] < history[0] / 2


def test_orthogonal_leaves_the_shared_class_embedding_alone():
    generator = BigGANGenerator(32, 3, 1, latent_dim=8, num_classes=3, shared_dim=4)
    generator.build()
    turn = SimpleNamespace(networks=SimpleNamespace(generator=generator), seen=0)
    with tf.GradientTape() as tape:
        term = Orthogonal(1.0).generator_term(turn)
    kernels = [v for v in generator.trainable_variables if len(v.shape) > 1]
    gradients = tape.gradient(term, kernels)
    left = [tuple(v.shape) for v, g in zip(kernels, gradients, strict=True) if g is None]
    assert left == [(3, 4)]
