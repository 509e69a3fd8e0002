"""One training step: D's updates, then G's.

The networks come in as they are; what the step adds is which views they see, what is asked of them,
and that each network's spectral norms advance in its own update alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from tf_diffaug.layers import advance_power_iteration
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.strategy import global_mean, num_replicas, sum_over_replicas
from tf_diffaug.training.views import Views, discriminate

if TYPE_CHECKING:
    from tf_diffaug.training.gan import GAN


def train_step(gan: GAN, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Updates D `d_steps` times and G and its average once; returns the losses by name.

    Args:
        gan: a compiled GAN.
        images: reals in [-1, 1], `d_steps` batches in one.
    """
    step = tf.identity(gan.step)
    turns = gan.d_steps + 1
    batch_size = _rows(images) // gan.d_steps
    images = images[: batch_size * gan.d_steps]

    def draws(turn: int) -> Draws:
        return Draws(gan.seed, step * turns + turn, batch_size, gan.augmenter)

    logs = {}
    for turn in range(gan.d_steps):
        # Strided, so that each of several replicas takes the same turns as a single one would.
        logs = discriminator_step(gan, images[turn :: gan.d_steps], draws(turn))
    logs |= generator_step(gan, draws(gan.d_steps))
    gan.update_ema(step, batch_size * num_replicas())
    gan.step.assign_add(1)
    return sum_over_replicas(logs)


def discriminator_step(gan: GAN, reals: tf.Tensor, draws: Draws) -> dict[str, tf.Tensor]:
    """One update of D on a batch of reals and as many fakes."""
    advance_power_iteration(gan.discriminator)
    views = Views(
        reals,
        _fakes(gan, draws),
        augment_real=lambda images: draws.augment(images, "augment_real"),
        augment_fake=lambda images: draws.augment(images, "augment_fake"),
    )
    mode, loss = MODES[gan.augment], gan.adversarial_loss
    names = [mode.d_real, mode.d_fake, *(name for r in gan.regularizers for name in r.views)]
    with tf.GradientTape() as tape:
        outputs = discriminate(gan.discriminator, views, names, joint=gan.joint_views)
        adversarial = per_example(loss.real(outputs[mode.d_real].logits))
        adversarial += per_example(loss.fake(outputs[mode.d_fake].logits))
        logs = {"d_loss": global_mean(adversarial)}
        for regularizer in gan.regularizers:
            values = regularizer(gan.discriminator, views, outputs, mode)
            logs[regularizer.name] = global_mean(values)
        total = tf.add_n(list(logs.values()))
    _update(gan.d_optimizer, tape, total, gan.discriminator_variables())
    return logs


def generator_step(gan: GAN, draws: Draws) -> dict[str, tf.Tensor]:
    """One update of G on a batch of fakes of its own."""
    advance_power_iteration(gan.generator)
    name = MODES[gan.augment].g_fake
    with tf.GradientTape() as tape:
        views = Views(
            None,
            _fakes(gan, draws),
            augment_real=None,
            augment_fake=lambda images: draws.augment(images, "augment_generator"),
        )
        outputs = discriminate(gan.discriminator, views, [name], joint=gan.joint_views)
        values = per_example(gan.adversarial_loss.generator(outputs[name].logits))
        logs = {"g_loss": global_mean(values)}
    _update(gan.g_optimizer, tape, logs["g_loss"], gan.generator.trainable_variables)
    return logs


def _fakes(gan: GAN, draws: Draws) -> tf.Tensor:
    # Float32 whatever the networks compute in: T and the reals are.
    return tf.cast(gan.generator(draws.latents(gan.latent_dim), training=True), tf.float32)


def _update(optimizer, tape: tf.GradientTape, loss: tf.Tensor, variables: list) -> None:
    # The optimizers sum gradients over the replicas, and `global_mean` has divided them.
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


def _rows(images: tf.Tensor) -> int | tf.Tensor:
    return images.shape[0] if images.shape[0] is not None else tf.shape(images)[0]
