"""One training step: D's updates, then G's.

The networks come in as they are; what the step adds is which views they see, what is asked of them,
and that each network's spectral norms advance in its own update alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from tf_diffaug.layers import advance_power_iteration
from tf_diffaug.training.calls import Outputs, call_generator
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import Turn
from tf_diffaug.training.strategy import global_mean, num_replicas, rows_of, sum_over_replicas
from tf_diffaug.training.views import Views, discriminate

if TYPE_CHECKING:
    from tf_diffaug.training.gan import GAN


def train_step(
    gan: GAN, images: tf.Tensor, labels: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """Updates D `d_steps` times and G and its average once; returns the losses by name.

    D's are means over its updates.

    Args:
        gan: a compiled GAN.
        images: reals in [-1, 1], `d_steps` batches in one.
        labels: theirs, int32, if the networks are conditional.
    """
    step = tf.identity(gan.step)
    turns = gan.d_steps + 1
    batch_size = _positive(rows_of(images) // gan.d_steps, gan.d_steps)
    images = images[: batch_size * gan.d_steps]
    gan.check_batch_size(batch_size)

    def draws(turn: int) -> Draws:
        return Draws(gan.seed, step * turns + turn, batch_size, gan.augmenter, gan.probability())

    turn_logs = []
    for turn in range(gan.d_steps):
        # Strided, so that each of several replicas takes the same turns as a single one would.
        rows = slice(turn, batch_size * gan.d_steps, gan.d_steps)
        reals = images[rows], None if labels is None else labels[rows]
        index = step * gan.d_steps + turn
        turn_logs.append(discriminator_step(gan, *reals, draws(turn), index))
    # The last update's alone would never show a term that is due in others only.
    logs = {name: tf.add_n([t[name] for t in turn_logs]) / gan.d_steps for name in turn_logs[0]}
    logs |= generator_step(gan, draws(gan.d_steps), step)
    gan.update_ema(step, batch_size * num_replicas())
    gan.step.assign_add(1)
    logs = sum_over_replicas(logs)
    for regularizer in gan.regularizers:
        logs |= regularizer.gauges()
    return logs


def discriminator_step(
    gan: GAN, reals: tf.Tensor, labels: tf.Tensor | None, draws: Draws, index: tf.Tensor
) -> dict[str, tf.Tensor]:
    """One update of D, its `index`-th, on a batch of reals and as many fakes."""
    advance_power_iteration(gan.discriminator)
    fake_labels = gan.draw_labels(draws)
    fakes = _fakes(gan, draws, fake_labels)
    for regularizer in gan.regularizers:
        reals, labels = regularizer.exchange_reals(
            gan, draws, (reals, labels), (fakes, fake_labels)
        )
    views = Views(
        reals,
        fakes,
        augment_real=lambda images: draws.augment(images, "augment_real"),
        augment_fake=lambda images: draws.augment(images, "augment_fake"),
        labels={"real": labels, "fake": fake_labels},
    )
    mode, loss = MODES[gan.augment], gan.adversarial_loss
    turn = Turn(gan, draws, views, {}, mode, index)
    names = [mode.d_real, mode.d_fake]
    for regularizer in gan.regularizers:
        names += regularizer.discriminator_views(turn)
    with tf.GradientTape() as tape:
        turn.outputs.update(_judge(gan, views, names))
        adversarial = per_example(loss.real(turn.outputs[mode.d_real].logits))
        adversarial += per_example(loss.fake(turn.outputs[mode.d_fake].logits))
        logs = {"d_loss": global_mean(adversarial)}
        for regularizer in gan.regularizers:
            _add(logs, regularizer.name, regularizer.discriminator_term(turn))
        total = tf.add_n(list(logs.values()))
    _update(gan.d_optimizer, tape, total, gan.discriminator_variables())
    return logs


def generator_step(gan: GAN, draws: Draws, index: tf.Tensor) -> dict[str, tf.Tensor]:
    """One update of G, its `index`-th, on a batch of fakes of its own."""
    advance_power_iteration(gan.generator)
    mode = MODES[gan.augment]
    labels = gan.draw_labels(draws)
    with tf.GradientTape() as tape:
        views = Views(
            None,
            _fakes(gan, draws, labels),
            augment_real=None,
            augment_fake=lambda images: draws.augment(images, "augment_generator"),
            labels={"fake": labels},
        )
        turn = Turn(gan, draws, views, {}, mode, index)
        names = [mode.g_fake]
        for regularizer in gan.regularizers:
            names += regularizer.generator_views(turn)
        turn.outputs.update(_judge(gan, views, names))
        values = per_example(gan.adversarial_loss.generator(turn.outputs[mode.g_fake].logits))
        for regularizer in gan.regularizers:
            values = regularizer.weigh_fakes(turn, values)
        logs = {"g_loss": global_mean(values)}
        for regularizer in gan.regularizers:
            _add(logs, regularizer.generator_name, regularizer.generator_term(turn))
        total = tf.add_n(list(logs.values()))
    _update(gan.g_optimizer, tape, total, gan.generator.trainable_variables)
    return logs


def _positive(batch_size: int | tf.Tensor, d_steps: int) -> int | tf.Tensor:
    # A dataset may end with fewer images, how many is known in the graph alone.
    message = f"A batch has at least one image for each of the {d_steps} updates of D in a step"
    check = tf.debugging.assert_positive(batch_size, message)
    if isinstance(batch_size, int):
        return batch_size
    with tf.control_dependencies([check]):
        return tf.identity(batch_size)


def _judge(gan: GAN, views: Views, names: list[str]) -> dict[str, Outputs]:
    features = any(regularizer.needs_features for regularizer in gan.regularizers)
    return discriminate(gan.discriminator, views, names, joint=gan.joint_views, features=features)


def _add(logs: dict[str, tf.Tensor], name: str, values: tf.Tensor | None) -> None:
    if values is not None:
        logs[name] = global_mean(tf.reshape(values, [-1]))


def _fakes(gan: GAN, draws: Draws, labels: tf.Tensor | None) -> tf.Tensor:
    latents, seed = draws.latents(gan.latent_dim), draws.seed("generator")
    return call_generator(gan.generator, latents, labels, training=True, seed=seed)


def _update(optimizer, tape: tf.GradientTape, loss: tf.Tensor, variables: list) -> None:
    # The optimizers sum gradients over the replicas, and `global_mean` has divided them.
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
