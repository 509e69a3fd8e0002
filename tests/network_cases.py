"""Every reference network, as the conformance tests take it: add a `Case`."""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from tf_diffaug._keras import sublayers
from tf_diffaug.layers import ChainNorm
from tf_diffaug.models import (
    BigGANDiscriminator,
    BigGANGenerator,
    FastGANDiscriminator,
    FastGANGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A network under test.

    Args:
        name: the test's name.
        make: builds a slim network from `seed` and `dtype`.
        shape: the shape of one input, labels aside.
        is_pure: whether a forward pass with `training=True` must change no variable.
        num_classes: what the network was made with: it is then called with a pair.
        linear: layers whose outputs a piecewise linear network adds to its inputs: the gradient
            with respect to the inputs does not depend on them.
    """

    name: str
    make: Callable[..., keras.Model]
    shape: tuple[int, ...]
    is_pure: bool
    num_classes: int | None = None
    linear: tuple[str, ...] = ()

    def network(self, seed=0, dtype="float32"):
        network = self.make(seed=seed, dtype=dtype)
        network.build(self.input_shape)
        return network

    @property
    def input_shape(self):
        shape = (None, *self.shape)
        return shape if self.num_classes is None else (shape, (None,))

    @property
    def spec(self):
        spec = tf.TensorSpec((None, *self.shape))
        return spec if self.num_classes is None else (spec, tf.TensorSpec((None,), tf.int32))

    def inputs(self, batch=4):
        inputs = tf.random.stateless_uniform((batch, *self.shape), (1, 2), -1.0, 1.0)
        if self.num_classes is None:
            return inputs
        return inputs, tf.range(batch) % self.num_classes

    def symbols(self):
        symbol = keras.Input(self.shape)
        return symbol if self.num_classes is None else (symbol, keras.Input((), dtype="int32"))


def normalized(network):
    """A discriminator whose `ChainNorm` layers normalise every channel: they draw nothing."""
    for layer in sublayers(network, ChainNorm):
        layer.p.assign(1.0)
    return network


CASES = (
    Case(
        "sndcgan_generator",
        lambda **k: SNDCGANGenerator(16, 3, 4, latent_dim=8, **k),
        (8,),
        is_pure=False,
    ),
    Case(
        "sndcgan_discriminator",
        lambda **k: SNDCGANDiscriminator(16, 3, 4, **k),
        (16, 16, 3),
        is_pure=False,
    ),
    Case(
        "sndcgan_discriminator_chain",
        lambda **k: normalized(SNDCGANDiscriminator(16, 3, 4, normalization="chain", **k)),
        (16, 16, 3),
        is_pure=False,
    ),
    Case(
        "biggan_generator",
        lambda **k: BigGANGenerator(32, 3, 2, latent_dim=8, **k),
        (8,),
        is_pure=False,
    ),
    Case(
        "biggan_generator_of_labels",
        lambda **k: BigGANGenerator(32, 3, 2, latent_dim=8, num_classes=3, **k),
        (8,),
        is_pure=False,
        num_classes=3,
    ),
    Case(
        "biggan_generator_original",
        lambda **k: BigGANGenerator(
            32,
            3,
            2,
            latent_dim=8,
            num_classes=3,
            shared_dim=4,
            hierarchical=True,
            attention=16,
            init="orthogonal",
            **k,
        ),
        (8,),
        is_pure=False,
        num_classes=3,
    ),
    Case(
        "biggan_generator_compare_gan",
        lambda **k: BigGANGenerator(
            32,
            3,
            2,
            latent_dim=8,
            num_classes=3,
            shared_dim=4,
            hierarchical=True,
            init="orthogonal",
            layout="compare_gan",
            **k,
        ),
        (8,),
        is_pure=False,
        num_classes=3,
    ),
    Case(
        "biggan_discriminator",
        lambda **k: BigGANDiscriminator(32, 3, 2, **k),
        (32, 32, 3),
        is_pure=False,
    ),
    Case(
        "biggan_discriminator_original",
        lambda **k: BigGANDiscriminator(
            32, 3, 2, num_classes=3, attention=16, init="orthogonal", **k
        ),
        (32, 32, 3),
        is_pure=False,
        num_classes=3,
    ),
    Case(
        "biggan_discriminator_chain",
        lambda **k: normalized(
            BigGANDiscriminator(32, 3, 2, num_classes=3, normalization="chain", **k)
        ),
        (32, 32, 3),
        is_pure=False,
        num_classes=3,
    ),
    Case(
        "stylegan2_generator",
        lambda **k: StyleGAN2Generator(
            8, 3, 4, latent_dim=8, w_dim=8, mapping_layers=2, max_channels=6, **k
        ),
        (8,),
        is_pure=False,
    ),
    Case(
        "stylegan2_generator_of_labels",
        lambda **k: StyleGAN2Generator(
            8,
            3,
            4,
            latent_dim=8,
            num_classes=3,
            w_dim=6,
            mapping_layers=1,
            architecture="orig",
            **k,
        ),
        (8,),
        is_pure=False,
        num_classes=3,
    ),
    Case(
        "stylegan2_discriminator",
        lambda **k: StyleGAN2Discriminator(16, 3, 4, max_channels=8, group_size=2, **k),
        (16, 16, 3),
        is_pure=True,
    ),
    Case(
        "stylegan2_discriminator_of_labels",
        lambda **k: StyleGAN2Discriminator(
            8, 3, 4, num_classes=3, architecture="orig", group_size=2, **k
        ),
        (8, 8, 3),
        is_pure=True,
        num_classes=3,
    ),
    Case(
        "r3gan_generator",
        lambda **k: R3GANGenerator(
            8, 3, 8, latent_dim=8, num_classes=3, cardinality=4, depth=1, full_width_until=4, **k
        ),
        (8,),
        is_pure=True,
        num_classes=3,
        linear=("embedding",),
    ),
    Case(
        "r3gan_discriminator",
        lambda **k: R3GANDiscriminator(
            8, 3, 8, num_classes=3, cardinality=4, depth=1, full_width_until=4, **k
        ),
        (8, 8, 3),
        is_pure=True,
        num_classes=3,
    ),
    Case(
        "r3gan_discriminator_without_labels",
        lambda **k: R3GANDiscriminator(8, 3, 4, depth=1, **k),
        (8, 8, 3),
        is_pure=True,
    ),
    Case(
        "fastgan_generator",
        lambda **k: FastGANGenerator(64, 3, 2, latent_dim=4, **k),
        (4,),
        is_pure=False,
    ),
    Case(
        "fastgan_discriminator",
        lambda **k: FastGANDiscriminator(64, 3, 2, **k),
        (64, 64, 3),
        is_pure=False,
    ),
)
