import numpy as np
import pytest
import tensorflow as tf

from tests.stylegan2 import discriminator, generator, images_of, latents_of, shaken
from tf_diffaug.models import StyleGAN2Discriminator, StyleGAN2Generator

KINDS = (StyleGAN2Generator, StyleGAN2Discriminator)
SEED = tf.constant([3, 4], tf.int32)


def test_noise():
    network = shaken(generator())
    latents = tf.repeat(latents_of(1), 2, axis=0)
    fixed = network(latents)
    np.testing.assert_array_equal(fixed, network(latents))
    np.testing.assert_allclose(fixed[0], fixed[1], atol=1e-5)
    drawn = network(latents, seed=SEED)
    np.testing.assert_array_equal(drawn, network(latents, seed=SEED))
    others = [fixed, network(latents, seed=SEED + 1), drawn[::-1]]
    assert all(np.max(np.abs(drawn - other)) > 1e-2 for other in others)
    for layer in (network.conv4, network.up8, network.conv8):
        layer.strength.assign(0.0)
    np.testing.assert_allclose(network(latents, seed=SEED), network(latents), atol=1e-5)


def test_noise_is_standard_normal_and_of_each_layer():
    from tf_diffaug.models.noise import noise

    for seed in (None, SEED):
        maps = noise([4, 32, 32], 64, seed, "float32")
        assert [tuple(m.shape) for m in maps] == [
            (1 if seed is None else 64, size, size, 1) for size in (4, 32, 32)
        ]
        values = np.concatenate([m.numpy().ravel() for m in maps])
        np.testing.assert_allclose(values.mean(), 0.0, atol=0.05)
        np.testing.assert_allclose(values.std(), 1.0, atol=0.05)
        assert abs(np.corrcoef(maps[1][0].numpy().ravel(), maps[2][0].numpy().ravel())[0, 1]) < 0.15


def cutoffs_of(network, count, training=True, **kwargs):
    """From which layer on each image's w is another's; num_layers if from none."""
    latents = latents_of(count)
    mixed = network.styles(latents, training=training, **kwargs).numpy()
    own = network.mapping(latents).numpy()
    is_own = np.all(np.isclose(mixed, own[:, None], atol=1e-6), axis=-1)
    cutoffs = is_own.sum(axis=1)
    for row, cutoff, w in zip(is_own, cutoffs, mixed, strict=True):
        assert np.all(row[:cutoff])
        assert not np.any(row[cutoff:])
        if cutoff < network.num_layers:
            np.testing.assert_array_equal(w[cutoff:], np.repeat(w[-1:], len(w) - cutoff, axis=0))
    return cutoffs


def test_style_mixing():
    network = generator(16)
    cutoffs = cutoffs_of(network, 2000, seed=SEED)
    np.testing.assert_allclose(np.mean(cutoffs < 6), 0.9, atol=0.03)
    counts = np.bincount(cutoffs[cutoffs < 6], minlength=6)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:] / counts.sum(), 0.2, atol=0.04)
    assert np.any(cutoffs != cutoffs_of(network, 2000, seed=SEED + 1))
    for arguments in ({"seed": None}, {"seed": SEED, "training": False}):
        assert np.all(cutoffs_of(network, 8, **arguments) == 6)
    assert np.all(cutoffs_of(generator(16, style_mixing=0.0), 50, seed=SEED) == 6)
    assert np.all(cutoffs_of(generator(16, style_mixing=1.0), 50, seed=SEED) < 6)


def test_a_mixed_image_keeps_its_class():
    network = generator(num_classes=2, style_mixing=1.0)
    embedding = np.zeros((2, 6))
    embedding[0] = 1e6
    network.mapping.embedding.assign(embedding)
    labels = tf.constant([0] * 4)
    # Beside such an embedding the latents do not count: w is of the class alone.
    w = network.styles((latents_of(4), labels), training=True, seed=SEED).numpy()
    np.testing.assert_allclose(w, np.broadcast_to(w[:1, :1], w.shape), atol=1e-3)


def test_truncation_and_the_running_mean_of_w():
    network = generator()
    latents = latents_of(4)
    w = network.mapping(latents).numpy()
    np.testing.assert_array_equal(network.mapping.w_avg.numpy(), 0.0)
    tf.function(lambda: network(latents, training=True, seed=SEED))()
    expected = 0.005 * w.mean(axis=0)
    np.testing.assert_allclose(network.mapping.w_avg.numpy(), expected, atol=1e-6)
    network(latents, training=True)
    np.testing.assert_allclose(network.mapping.w_avg.numpy(), 1.995 * expected, atol=1e-6)
    average = network.mapping.w_avg.numpy()
    for psi in (0.0, 0.3, tf.constant(0.3)):
        styles = network.styles(latents, truncation_psi=psi).numpy()
        expected = average + float(psi) * (w - average)
        for index in range(network.num_layers):
            np.testing.assert_allclose(styles[:, index], expected, atol=1e-6)
    images = network(latents, truncation_psi=0.0)
    np.testing.assert_allclose(images[0], images[3], atol=1e-5)
    np.testing.assert_array_equal(
        network(latents, truncation_psi=0.3),
        network.synthesis(network.styles(latents, truncation_psi=0.3)),
    )


@pytest.mark.parametrize("batch", [None, 3])
def test_drawing_under_xla(batch):
    network = shaken(generator())
    spec = tf.TensorSpec((batch, 6), tf.float32)
    compiled = tf.function(
        lambda x: network(x, training=True, seed=SEED), input_signature=[spec], jit_compile=True
    )
    images = compiled(latents_of(3)).numpy()
    np.testing.assert_array_equal(images, compiled(latents_of(3)))
    # XLA's normals are not TensorFlow's, and so the images are others.
    assert np.all(np.isfinite(images))
    np.testing.assert_allclose(images.std(), network(latents_of(3)).numpy().std(), rtol=0.5)


def test_two_replicas_draw_what_one_would(two_replicas):
    with two_replicas.scope():
        network = shaken(generator())
    alone, latents = shaken(generator()), latents_of(6)

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        half = tf.gather(tf.stack(tf.split(latents, 2)), index)
        return network(half, training=True, seed=SEED)

    results = tf.function(lambda: two_replicas.run(replica))()
    images = np.concatenate(two_replicas.experimental_local_results(results))
    np.testing.assert_allclose(images, alone(latents, training=True, seed=SEED), atol=1e-4)
    np.testing.assert_allclose(
        network.mapping.w_avg.numpy(), alone.mapping.w_avg.numpy(), rtol=1e-5
    )


def test_views_of_a_batch_do_not_see_each_other():
    network = discriminator()
    assert network.group_size == 4
    reals, fakes = images_of(4), 0.1 * images_of(8)
    together = network(tf.concat([reals, fakes], axis=0))
    apart = tf.concat([network(reals), network(fakes)], axis=0)
    np.testing.assert_allclose(together, apart, atol=1e-5)
    # And within one they do.
    assert np.max(np.abs(network(reals) - network(tf.concat([reals[:2], fakes[:2]], 0)))[:2]) > 1e-4


# R1 and path-length regularisation: the gradients of squared gradients.


def r1(network):
    images = images_of(4, dtype="float64")

    def penalty():
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = network(images, training=True)
        return tf.reduce_sum(tape.gradient(logits, images) ** 2)

    return penalty


def path_length(network):
    latents = latents_of(2, dtype="float64")
    directions = tf.random.stateless_normal((2, 8, 8, 3), (0, 5), dtype=tf.float64)

    def penalty():
        w = network.styles(latents)
        with tf.GradientTape() as tape:
            tape.watch(w)
            images = network.synthesis(w, seed=None)
        gradient = tape.gradient(images, w, output_gradients=directions)
        lengths = tf.sqrt(tf.reduce_mean(tf.reduce_sum(gradient**2, axis=2), axis=1))
        return tf.reduce_sum((lengths - 0.5) ** 2)

    return penalty


@pytest.mark.parametrize("run", ["eager", "graph", pytest.param("xla", marks=pytest.mark.slow)])
@pytest.mark.parametrize("which", ["r1", "path_length"])
def test_second_derivatives_by_differences(which, run):
    make = discriminator if which == "r1" else generator
    network = shaken(make(8, 2, max_channels=4, dtype="float64"))
    penalty = (r1 if which == "r1" else path_length)(network)
    weights = network.trainable_weights

    def gradients():
        with tf.GradientTape() as tape:
            value = penalty()
        return value, tape.gradient(value, weights)

    if run != "eager":
        gradients = tf.function(gradients, jit_compile=run == "xla")
    value, found = gradients()
    assert float(value) > 0.0
    np.testing.assert_allclose(value, penalty(), rtol=1e-9)
    rng = np.random.default_rng(7)
    # Small against the distance to the leaky ReLUs' kinks.
    step, initial = 1e-6, [weight.numpy() for weight in weights]
    slope, expected = 0.0, 0.0
    directions = [rng.normal(size=value.shape) for value in initial]
    for sign in (1.0, -1.0):
        for weight, value, direction in zip(weights, initial, directions, strict=True):
            weight.assign(value + sign * step * direction)
        slope += sign * float(penalty()) / (2.0 * step)
    for gradient, direction in zip(found, directions, strict=True):
        # R1 does not depend on the last bias.
        expected += 0.0 if gradient is None else float(np.sum(gradient * direction))
    np.testing.assert_allclose(slope, expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_half_precision_images_are_taken(dtype, policy):
    network = discriminator(dtype=policy)
    images = tf.cast(images_of(2), dtype)
    logits = network(images)
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, network(images_of(2)), rtol=0.1, atol=0.05)
    np.testing.assert_array_equal(network.head(network.features(images)), logits)


def test_w_and_what_is_drawn_are_float32_under_mixed_precision():
    network, precise = (shaken(generator(dtype=d)) for d in ("mixed_bfloat16", "float32"))
    w, expected = (n.styles(latents_of(3), training=True, seed=SEED) for n in (network, precise))
    assert w.dtype == tf.float32
    np.testing.assert_allclose(w, expected, atol=1e-5)
    images = network(latents_of(3), seed=SEED)
    assert images.dtype == tf.float32
    np.testing.assert_allclose(images, precise(latents_of(3), seed=SEED), rtol=0.1, atol=0.1)


def test_no_two_layers_share_draws():
    first = [
        weight.numpy().ravel()[:4]
        for kind in KINDS
        for weight in built(kind).trainable_weights
        if len(weight.shape) > 1
    ]
    first = {tuple(np.round(values / np.abs(values[0]), 4)) for values in first}
    # const, embedding, mapping, two of each convolution and of each one to images.
    in_generator = 1 + 1 + 2 + 2 * 5 + 2 * 3
    in_discriminator = 1 + 3 * 2 + 1 + 2
    assert len(first) == in_generator + in_discriminator


def built(kind):
    return (generator if kind is StyleGAN2Generator else discriminator)(
        16, 4, num_classes=4, max_channels=4
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resolution": 24}, "powers of two.*resolution=24"),
        ({"resolution": 2}, "powers of two.*resolution=2"),
        ({"resolution": 0}, "powers of two.*resolution=0"),
        ({"channels": 0}, "channels=0"),
        ({"width": 0}, "width=0"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"max_channels": 0}, "max_channels=0"),
        ({"architecture": "plain"}, "orig. Received: architecture='plain'"),
    ],
)
def test_wrong_arguments_are_refused(kind, wrong, said):
    with pytest.raises(ValueError, match=said):
        kind(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"w_dim": 0}, "w_dim=0"),
        ({"mapping_layers": 0}, "mapping_layers=0"),
        ({"style_mixing": 1.5}, "style_mixing=1.5"),
        ({"style_mixing": -0.1}, "style_mixing=-0.1"),
    ],
)
def test_wrong_arguments_of_the_generator_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        StyleGAN2Generator(**wrong)


def test_a_wrong_group_size_is_refused():
    with pytest.raises(ValueError, match="group_size=0"):
        StyleGAN2Discriminator(group_size=0)


def test_labels_where_they_belong():
    network = discriminator(num_classes=3)
    with pytest.raises(ValueError, match="takes a pair"):
        network(images_of(2))
    with pytest.raises(ValueError, match="takes labels"):
        network.head(network.features(images_of(2)))
    plain = discriminator()
    with pytest.raises(ValueError, match="takes no labels"):
        plain.head(plain.features(images_of(2)), tf.constant([0, 1]))
    with pytest.raises(ValueError, match="takes a pair"):
        generator(num_classes=3).styles(latents_of(2))
