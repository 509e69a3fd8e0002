"""Small networks for the tests of training: a few hundred weights, a millisecond a step."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from tf_diffaug._keras import KERAS_3
from tf_diffaug.layers import BatchNorm, ChainNorm, SpectralNormalization
from tf_diffaug.training import GAN
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.step import discriminator_step, generator_step

SHAPE = (8, 8, 3)
LATENT_DIM = 4


def _normal(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.2, seed=seed)


def make_generator(seed: int = 0, inputs: int = LATENT_DIM) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(8 * 8 * 2, kernel_initializer=_normal(seed)),
            BatchNorm(),
            keras.layers.LeakyReLU(),
            keras.layers.Reshape((8, 8, 2)),
            keras.layers.Conv2D(
                3, 3, padding="same", activation="tanh", kernel_initializer=_normal(seed + 1)
            ),
        ]
    )


def make_discriminator(
    seed: int = 10, *, batch_norm: bool = False, smooth: bool = False, normalization: str = "none"
) -> keras.Model:
    convolution = keras.layers.Conv2D(
        8, 4, strides=2, padding="same", kernel_initializer=_normal(seed)
    )
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            SpectralNormalization(convolution, seed=seed),
            *([keras.layers.BatchNormalization()] if batch_norm else []),
            *([ChainNorm(seed=seed)] if normalization == "chain" else []),
            keras.layers.Activation("tanh") if smooth else keras.layers.LeakyReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(1, kernel_initializer=_normal(seed + 1)),
        ]
    )


@contextlib.contextmanager
def mixed_precision(dtype: str):
    """Keras' layers compute in float16 or bfloat16 if they are made here."""
    set_policy = (
        keras.config.set_dtype_policy if KERAS_3 else keras.mixed_precision.set_global_policy
    )
    set_policy(f"mixed_{dtype}")
    try:
        yield
    finally:
        set_policy("float32")


def descent() -> keras.optimizers.Optimizer:
    """One that makes no whole step of what is rounding alone."""
    return keras.optimizers.SGD(0.02, momentum=0.5)


def make_gan(
    *, optimizer=None, batch_norm: bool = False, jit_compile: bool | str = False, **options
) -> GAN:
    gan = GAN(make_generator(), make_discriminator(batch_norm=batch_norm), **options)
    make = optimizer or (lambda: keras.optimizers.Adam(1e-3, beta_1=0.5))
    gan.compile(make(), make(), jit_compile=jit_compile)
    return gan


def update_d(gan: GAN, reals, draws, index) -> dict:
    """One update of D on (images, labels or None)."""
    return discriminator_step(gan.objective, reals, draws, index, gan.d_update)


def update_g(gan: GAN, draws, index) -> dict:
    return generator_step(gan.objective, None, draws, index, gan.g_update)


def make_images(count: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), np.uint8)


def values(gan: GAN, *groups: str) -> dict[str, list[np.ndarray]]:
    """The values of a GAN's variables, of some groups or all."""
    state = gan.state()
    return {name: [v.numpy() for v in state[name]] for name in groups or state}


def assert_trained_alike(one: tuple, two: tuple) -> None:
    """Two pairs of `values` and of what `fit` recorded are equal, up to a replica's rounding."""
    (weights, history), (other_weights, other_history) = one, two
    for group, expected in weights.items():
        for a, b in zip(expected, other_weights[group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5, err_msg=group)
    for name, expected in history.items():
        np.testing.assert_allclose(other_history[name], expected, rtol=1e-3, atol=1e-4)


def assert_same_updates(start: dict, one: dict, two: dict, share: float = 0.02) -> None:
    """Two GANs made the same way from the values `start` to theirs, up to a share of that.

    Sums in another order round otherwise, and every step makes more of it: what counts is how far
    the ends are apart against the way. Half of a batch, or a sum in place of a mean, is far off.
    """
    for group, before in start.items():
        ways = [np.abs(a - b).max(initial=0) for a, b in zip(one[group], before, strict=True)]
        ends = zip(one[group], two[group], ways, strict=True)
        for index, (a, b, way) in enumerate(ends):
            # A bias before a batch norm has no way but rounding.
            room = share * way + 1e-4 * max(ways) + 1e-6 * np.abs(a).max(initial=0)
            apart = np.abs(a - b).max(initial=0)
            assert apart <= room, f"{group} {index}: {apart} apart after a way of {way}"


NUM_CLASSES = 3


def _embedding(size: int, seed: int) -> keras.layers.Layer:
    return keras.layers.Embedding(NUM_CLASSES, size, embeddings_initializer=_normal(seed))


def make_conditional_networks(seed: int = 0) -> tuple[keras.Model, keras.Model]:
    """A user's own functional models: each takes a pair with the labels."""
    latents, label = keras.Input((LATENT_DIM,)), keras.Input((), dtype="int32")
    embedded = _embedding(LATENT_DIM, seed)(label)
    joined = keras.layers.Concatenate()([latents, embedded])
    generator = keras.Model((latents, label), make_generator(seed, inputs=2 * LATENT_DIM)(joined))
    images, label = keras.Input(SHAPE), keras.Input((), dtype="int32")
    features = keras.layers.Flatten()(images)
    embedded = _embedding(8 * 8 * 3, seed + 20)(label)
    projection = keras.layers.Dot(axes=1)([features, embedded])
    logits = keras.layers.Add()([make_discriminator(seed + 10)(images), projection])
    return generator, keras.Model((images, label), logits)


def make_conditional_gan(*, optimizer=None, **options) -> GAN:
    gan = GAN(
        *make_conditional_networks(), latent_dim=LATENT_DIM, num_classes=NUM_CLASSES, **options
    )
    make = optimizer or (lambda: keras.optimizers.Adam(1e-3, beta_1=0.5))
    gan.compile(make(), make())
    return gan


def make_feature_networks(
    *, conditional: bool = False, normalization: str = "none"
) -> tuple[keras.Model, keras.Model]:
    """The networks above with a D that gives its features, with a class embedding or without."""
    plain = make_discriminator(10, normalization=normalization)
    images, features = plain.inputs[0], plain.layers[-2].output
    if not conditional:
        outputs = {"logits": plain.outputs[0], "features": features}
        return make_generator(), keras.Model(images, outputs)
    label = keras.Input((), dtype="int32")
    projection = keras.layers.Dot(axes=1)([features, _embedding(features.shape[-1], 30)(label)])
    logits = keras.layers.Add()([plain.outputs[0], projection])
    generator, _ = make_conditional_networks()
    return generator, keras.Model((images, label), {"logits": logits, "features": features})


def make_feature_gan(
    *, conditional: bool = False, optimizer=None, jit_compile: bool = False, **options
) -> GAN:
    classes = NUM_CLASSES if conditional else None
    networks = make_feature_networks(conditional=conditional)
    gan = GAN(*networks, latent_dim=LATENT_DIM, num_classes=classes, **options)
    make = optimizer or (lambda: keras.optimizers.Adam(1e-3, beta_1=0.5))
    gan.compile(make(), make(), jit_compile=jit_compile)
    return gan


def draws(gan, turn=0, batch_size=8):
    """What is drawn for an update of a GAN."""
    return Draws(gan.seed, tf.constant(turn, tf.int64), batch_size, gan.augmenter)


class Spy(keras.Model):
    """A discriminator that keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = []

    def call(self, images, training=False):
        self.seen.append(images.numpy())
        return self.dense(tf.reshape(images, [-1, np.prod(SHAPE)]))
