"""What D makes of reals and fakes: the curves that tell an overfitting D from a healthy one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.training.calls import call_discriminator, call_generator

if TYPE_CHECKING:
    from tf_diffaug.training.gan import GAN

Examples = tuple[tf.Tensor, tf.Tensor | None]


def measure(
    gan: GAN, reals: Examples, held_out: Examples | None, step: tf.Tensor
) -> dict[str, tf.Tensor]:
    """`GAN.measure` on pairs of images and labels, the labels None if there are none."""
    images, labels = reals
    count = tf.shape(images)[0]
    seeds = {p: random.derive(gan.seed, p, step=step) for p in ("measure", "augment")}
    noise_seed, label_seed = (random.fold_in(seeds["measure"], k) for k in range(2))
    latents = random.normal([count, gan.latent_dim], seeds["measure"])
    fake_labels = gan.labels(count, label_seed)
    fakes = call_generator(gan.generator, latents, fake_labels, training=False, seed=noise_seed)
    params = gan.augmenter.sample((count, *gan.image_shape), seeds["augment"])

    def judge(images: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        outputs = call_discriminator(gan.discriminator, images, labels, training=False)
        return tf.cast(outputs.logits, tf.float32)

    def share(right: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.cast(right, tf.float32))

    fake_logits = judge(fakes, fake_labels)
    logs = {
        "d_real": tf.reduce_mean(judge(images, labels)),
        "d_fake": tf.reduce_mean(fake_logits),
        "accuracy_real_aug": share(judge(gan.augmenter.apply(images, params), labels) > 0),
        "accuracy_fake_aug": share(judge(gan.augmenter.apply(fakes, params), fake_labels) < 0),
        "accuracy_fake": share(fake_logits < 0),
    }
    if held_out is not None:
        logs["d_held_out"] = tf.reduce_mean(judge(*held_out))
    return logs
