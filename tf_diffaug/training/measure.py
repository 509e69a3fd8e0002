"""What D makes of reals and fakes: the curves that tell an overfitting D from a healthy one."""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.layers import batch_views
from tf_diffaug.training.calls import call_discriminator, call_generator, draw_latents
from tf_diffaug.training.draws import Augmentation
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.step import Examples, Objective


def measure(
    objective: Objective,
    reals: Examples,
    held_out: Examples | None,
    step: tf.Tensor,
    seen: tf.Tensor | int = 0,
) -> dict[str, tf.Tensor]:
    """`GAN.measure` on pairs of images and labels, None if there are none, after `seen` images.

    Returns:
        Float32 scalars. D's mean logits on plain images: `d_real`, `d_fake`, `d_held_out`. The
        shares of logits with the right sign: `accuracy_real_aug`, `accuracy_fake_aug`,
        `accuracy_fake` on augmented reals, augmented and plain fakes, and `accuracy_held_out` on
        images held out, augmented as the reals of D's loss are (arXiv 2006.10738, section 3, reads
        D's overfitting and the failure of `d_only` off these). The overfitting gauges `r_t`
        and, with images held out, `r_v` (arXiv 2006.06676, equation 1): E[sign D(x)] and (E[D(x)] -
        E[D(v)]) / (E[D(x)] - E[D(G(z))]), all images augmented as D's loss sees them; near 0 for a
        D that has not memorised its training images, near 1 for one that has. Under a paired loss a
        sign is that of the difference between the logits of a real and a fake, with classes of its
        label, as in training; an image held out has a fake of its own for that.
    """
    networks, mode = objective.networks, objective.mode
    seeds = {p: random.derive(networks.seed, p, step=step) for p in ("measure", "augment")}
    noise_seed, label_seed = (random.fold_in(seeds["measure"], k) for k in range(2))

    def made_beside(examples: Examples) -> Examples:
        count = tf.shape(examples[0])[0]
        latents = draw_latents(networks.generator, [count, networks.latent_dim], seeds["measure"])
        pairs = objective.pairs_labels()
        labels = examples[1] if pairs else networks.labels(count, label_seed)
        images = call_generator(
            networks.generator, latents, labels, training=False, seed=noise_seed
        )
        return images, labels

    fakes = made_beside(reals)

    def judge(examples: Examples, kind: str = "real", *, augmented: bool = False) -> tf.Tensor:
        images, labels = examples
        if augmented:
            steered = objective.probability(seen), objective.level()
            images = Augmentation(networks.augmenter, seeds["augment"], *steered)(images)
        with batch_views({kind: kind}):
            outputs = call_discriminator(networks.discriminator, images, labels, training=False)
        return per_example(outputs.logits)

    plain = {"real": judge(reals), "fake": judge(fakes, "fake")}
    plain |= {} if held_out is None else {"held_out": judge(held_out)}
    real_aug, fake_aug = judge(reals, augmented=True), judge(fakes, "fake", augmented=True)
    real = real_aug if mode.d_real == "real_aug" else plain["real"]
    logs = {f"d_{name}": tf.reduce_mean(logits) for name, logits in plain.items()}
    fake = fake_aug if mode.d_fake == "fake_aug" else plain["fake"]

    def over(ones: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        return ones - others if objective.loss.paired else ones

    logs |= {
        "accuracy_real_aug": _share(over(real_aug, fake_aug) > 0),
        "accuracy_fake_aug": _share(over(fake_aug, real_aug) < 0),
        "accuracy_fake": _share(over(plain["fake"], plain["real"]) < 0),
        "r_t": tf.reduce_mean(tf.sign(over(real, fake))),
    }
    if held_out is not None:
        held = judge(held_out, augmented=True) if mode.d_real == "real_aug" else plain["held_out"]
        mean = tf.reduce_mean(real)
        gap, whole = mean - tf.reduce_mean(held), mean - tf.reduce_mean(fake)
        logs["r_v"] = tf.math.divide_no_nan(gap, whole)
        if objective.loss.paired:
            fake = judge(made_beside(held_out), "fake", augmented=mode.d_fake == "fake_aug")
        logs["accuracy_held_out"] = _share(over(held, fake) > 0)
    return logs


def _share(right: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(right, tf.float32))
