"""FastGAN against its published form, and what its networks see."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.reference_networks import built, parameters, stirred
from tf_diffaug.models import FastGANDiscriminator, FastGANGenerator, freeze_blocks
from tf_diffaug.models.fastgan.base import RESOLUTIONS
from tf_diffaug.models.noise import noise
from tf_diffaug.training import GAN

SEED = tf.constant([3, 4], tf.int32)

# Parameter counts, from models.py layer by layer: no convolution has a bias, a batch norm has two
# weights a channel, a noise injection has one.


def conv(inputs, outputs, size):
    return inputs * outputs * size * size


def norm(channels):
    return 2 * channels


def up(inputs, outputs):
    return conv(inputs, 2 * outputs, 3) + norm(2 * outputs)


def compound(inputs, outputs):
    return up(inputs, outputs) + up(outputs, outputs) + 2


def excitation(inputs, outputs):
    return conv(inputs, outputs, 4) + conv(outputs, outputs, 1)


def generator_count(resolution, width=64, latents=256):
    """`Generator(ngf=width, nz=latents, im_size=resolution)`, its `to_128` included."""
    n = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25, 1024: 0.125}
    n = {side: int(multiple * width) for side, multiple in n.items()}
    total = conv(latents, 2 * n[4], 4) + norm(2 * n[4])
    total += compound(n[4], n[8]) + up(n[8], n[16]) + compound(n[16], n[32]) + up(n[32], n[64])
    total += compound(n[64], n[128]) + up(n[128], n[256])
    total += excitation(n[4], n[64]) + excitation(n[8], n[128]) + excitation(n[16], n[256])
    total += conv(n[128], 3, 1) + conv(n[resolution], 3, 3)
    if resolution > 256:
        total += compound(n[256], n[512]) + excitation(n[32], n[512])
    if resolution > 512:
        total += up(n[512], n[1024])
    return total


def discriminator_count(resolution, width=64):
    """`Discriminator(ndf=width, im_size=resolution)` without its three decoders."""
    n = {4: 16, 8: 16, 16: 8, 32: 4, 64: 2, 128: 1, 256: 0.5, 512: 0.25, 1024: 0.125}
    n = {side: int(multiple * width) for side, multiple in n.items()}
    total = {
        256: conv(3, n[512], 3),
        512: conv(3, n[512], 4),
        1024: conv(3, n[1024], 4) + conv(n[1024], n[512], 4) + norm(n[512]),
    }[resolution]
    for before, after in itertools.pairwise((512, 256, 128, 64, 32, 16)):
        total += conv(n[before], n[after], 4) + conv(n[after], n[after], 3)
        total += conv(n[before], n[after], 1) + 3 * norm(n[after])
    total += conv(n[16], n[8], 1) + norm(n[8]) + conv(n[8], 1, 4)
    total += excitation(n[512], n[64]) + excitation(n[256], n[32]) + excitation(n[128], n[16])
    total += conv(3, n[256], 4) + conv(n[32], 1, 4)
    for before, after in itertools.pairwise((256, 128, 64, 32)):
        total += conv(n[before], n[after], 4) + norm(n[after])
    return total


PUBLISHED = {
    256: (29_127_846, 8_386_672),
    512: (29_174_392, 8_387_008),
    1024: (29_176_512, 8_388_704),
}


@pytest.mark.parametrize("resolution", [256, 512, pytest.param(1024, marks=pytest.mark.slow)])
def test_the_published_parameter_counts(resolution):
    of_generator, of_discriminator = PUBLISHED[resolution]
    assert generator_count(resolution) == of_generator
    assert discriminator_count(resolution) == of_discriminator
    second_image = 3 * 64
    generator = built(FastGANGenerator, resolution)
    assert parameters(generator) == of_generator - second_image
    assert parameters(built(FastGANDiscriminator, resolution)) == of_discriminator


# The networks once more, in NumPy's float64.


def convolve(images, kernel, stride=1, padding=0):
    around = (padding, padding)
    images = np.pad(images, ((0, 0), around, around, (0, 0)))
    side = (images.shape[1] - len(kernel)) // stride + 1
    total = 0.0
    for row, column in itertools.product(range(len(kernel)), repeat=2):
        rows, columns = (slice(n, n + stride * side, stride) for n in (row, column))
        total = total + images[:, rows, columns] @ kernel[row, column]
    return total


def normalized(layer, transposed=False):
    """A kernel divided by its spectral norm; PyTorch's matrix has a row for each output."""
    kernel, u = layer.layer.kernel.numpy(), np.asarray(layer.u)
    kernel = kernel.transpose(0, 1, 3, 2) if transposed else kernel
    matrix = kernel.reshape(-1, kernel.shape[-1]).T
    v = matrix.T @ u
    return kernel / (u @ matrix @ (v / np.linalg.norm(v)))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def batch_normed(layer, x):
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / np.sqrt(variance + 1e-5) * layer.gamma.numpy() + layer.beta.numpy()


def gated(block, x, noises):
    if block.noisy:
        x = x + float(block.strength) * next(noises)
    x = batch_normed(block.norm, x)
    half = x.shape[-1] // 2
    return x[..., :half] * sigmoid(x[..., half:])


def excited(block, large, small):
    side = small.shape[1] // 4
    small = small.reshape(len(small), 4, side, 4, side, -1).mean((2, 4))
    pixel = convolve(small, normalized(block.squeeze))
    return large * sigmoid(convolve(pixel * sigmoid(pixel), normalized(block.expand)))


def generated(network, latents):
    """At 64 px, with the noise that is there without a seed."""
    noises = iter([n.numpy() for n in noise([8, 8, 32, 32], 1, None, "float64")])
    first = np.einsum("bi,rcio->brco", latents, normalized(network.up4.conv, transposed=True))
    hidden = first = gated(network.up4, first, None)
    for name in ("up8", "conv8", "up16", "up32", "conv32", "up64"):
        block = getattr(network, name)
        if name.startswith("up"):
            hidden = hidden.repeat(2, axis=1).repeat(2, axis=2)
        hidden = gated(block, convolve(hidden, normalized(block.conv), padding=1), noises)
    hidden = excited(network.skip64, hidden, first)
    return np.tanh(convolve(hidden, normalized(network.to_image), padding=1))


def leaky(block, x, stride=1, padding=1):
    x = convolve(x, normalized(block.conv), stride, padding)
    x = x if block.norm is None else batch_normed(block.norm, x)
    return np.where(x > 0, x, 0.2 * x)


def halved(block, x):
    pooled = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))
    main = leaky(block.conv, leaky(block.down, x, 2))
    return (main + leaky(block.direct, pooled, padding=0)) / 2


def judged(network, images):
    """At 64 px: logits and maps."""
    first = leaky(network.down64, images)
    part = halved(network.down16, halved(network.down32, first))
    last = excited(network.skip8, halved(network.down8, part), first)
    small = leaky(network.small8, leaky(network.small16, images[:, ::2, ::2], 2), 2)
    patches = leaky(network.before_logits, last, padding=0)
    logits = [
        convolve(patches, normalized(network.to_logits)),
        convolve(small, normalized(network.to_small_logits)),
    ]
    logits = np.concatenate([patch.reshape(len(images), 25) for patch in logits], axis=1)
    return logits, {"image": last, "part": part, "small": small}


def images_of(count, side, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3))


def test_the_generator_is_the_published_one():
    network = stirred(built(FastGANGenerator, 64, width=2, latent_dim=5, seed=0, dtype="float64"))
    latents = np.random.default_rng(1).normal(size=(3, 5))
    found = network(tf.constant(latents), training=True)
    # TensorFlow's noise is drawn in float32 and the leak kept in it.
    np.testing.assert_allclose(found, generated(network, latents), atol=1e-6)
    assert np.std(found.numpy()) > 0.1


def test_the_discriminator_is_the_published_one():
    network = stirred(built(FastGANDiscriminator, 64, width=2, seed=0, dtype="float64"))
    images = images_of(3, 64)
    found = network(tf.constant(images), training=True, return_features=True)
    logits, maps = judged(network, images)
    np.testing.assert_allclose(found["logits"], logits, rtol=1e-5, atol=1e-6)
    for name, expected in maps.items():
        np.testing.assert_allclose(found["maps"][name], expected, rtol=1e-5, atol=1e-6)
    means = [maps[name].mean((1, 2)) for name in ("image", "small")]
    np.testing.assert_allclose(found["features"], np.concatenate(means, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "resolution", [*RESOLUTIONS[:-1], pytest.param(RESOLUTIONS[-1], marks=pytest.mark.slow)]
)
def test_shapes(resolution):
    generator = FastGANGenerator(resolution, 1, 1, latent_dim=3)
    images = generator(tf.ones((1, 3)), training=True)
    assert images.shape == (1, resolution, resolution, 1)
    discriminator = FastGANDiscriminator(resolution, 1, 4)
    outputs = discriminator(images, return_features=True)
    assert outputs["logits"].shape == (1, 50)
    assert outputs["features"].shape == (1, 12 * 4)
    shapes = {name: tuple(value.shape[1:]) for name, value in outputs["maps"].items()}
    assert shapes == {"image": (8, 8, 32), "part": (16, 16, 16), "small": (8, 8, 16)}
    count = {32: 3, 64: 4, 128: 5, 256: 6, 512: 6, 1024: 7}[resolution]
    assert len(discriminator.blocks()) == count


@pytest.mark.parametrize(("resolution", "every"), [(32, 2), (256, 2), (512, 4)])
def test_the_small_branch_sees_one_pixel_of_so_many(resolution, every):
    network = built(FastGANDiscriminator, resolution, 1, 4)
    images = tf.constant(images_of(1, resolution)[..., :1], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(network(images)[:, 25:] ** 2)
    seen = np.abs(tape.gradient(total, images))[0, ..., 0] > 0
    assert np.all(seen[::every, ::every])
    assert np.sum(seen) == np.sum(seen[::every, ::every])


def test_noise():
    network = stirred(built(FastGANGenerator, 32, width=2, latent_dim=4, seed=0))
    latents = tf.repeat(tf.ones((1, 4)), 2, axis=0)
    fixed = network(latents)
    np.testing.assert_array_equal(fixed, network(latents))
    np.testing.assert_allclose(fixed[0], fixed[1], atol=1e-5)
    drawn = network(latents, seed=SEED)
    np.testing.assert_array_equal(drawn, network(latents, seed=SEED))
    others = [fixed, network(latents, seed=SEED + 1), drawn[::-1]]
    assert all(np.max(np.abs(drawn - other)) > 1e-3 for other in others)
    noisy = [network.up8, network.conv8, network.up32, network.conv32]
    assert not network.up16.noisy
    for block in noisy:
        block.strength.assign(0.0)
    np.testing.assert_allclose(network(latents, seed=SEED), network(latents), atol=1e-5)


def test_two_replicas_draw_what_one_would(two_replicas):
    def network():
        return stirred(built(FastGANGenerator, 32, width=2, latent_dim=4, seed=0))

    with two_replicas.scope():
        several = network()
    latents = tf.random.stateless_normal((4, 4), (0, 1))

    def replica():
        index = tf.distribute.get_replica_context().replica_id_in_sync_group
        half = tf.gather(tf.stack(tf.split(latents, 2)), index)
        return several(half, training=True, seed=SEED)

    results = tf.function(lambda: two_replicas.run(replica))()
    images = np.concatenate(two_replicas.experimental_local_results(results))
    np.testing.assert_allclose(images, network()(latents, training=True, seed=SEED), atol=1e-4)


def test_initial_weights():
    generator = built(FastGANGenerator, 32, width=16)
    discriminator = built(FastGANDiscriminator, 32, width=16)
    for weight in (*generator.trainable_weights, *discriminator.trainable_weights):
        name, values = weight.name.split(":")[0].split("/")[-1], weight.numpy()
        if name == "kernel" and values.size > 1000:
            np.testing.assert_allclose(values.std(), 0.02, rtol=0.1)
        elif name != "kernel":
            np.testing.assert_array_equal(values, 1.0 if name == "gamma" else 0.0)


def test_views_are_judged_one_by_one():
    networks = FastGANGenerator(32, width=1, latent_dim=4), FastGANDiscriminator(32, width=1)
    assert not GAN(*networks).joint_views


def test_blocks_hold_all_but_what_makes_logits_and_may_be_frozen():
    network = built(FastGANDiscriminator, 128, width=2)
    blocks = network.blocks()
    names = [[layer.name for layer in block] for block in blocks]
    assert names[:2] == [["down128"], ["down64"]]
    assert names[2:4] == [["down32", "small32"], ["down16", "skip16", "small16"]]
    layers = [layer for block in blocks for layer in block]
    rest = {n.name for n in network.layers if not any(n is one for one in layers)}
    assert rest == {"before_logits", "to_logits", "to_small_logits"}
    freeze_blocks(network, len(blocks))
    assert len(network.trainable_weights) == 5
    with pytest.raises(ValueError, match="has 5 blocks"):
        freeze_blocks(network, 6)


def test_what_it_does_not_make():
    for kind in (FastGANGenerator, FastGANDiscriminator):
        for resolution in (16, 48, 2048):
            with pytest.raises(ValueError, match=f"Received: resolution={resolution}"):
                kind(resolution)
    with pytest.raises(ValueError, match="Received: latent_dim=0"):
        FastGANGenerator(latent_dim=0)
