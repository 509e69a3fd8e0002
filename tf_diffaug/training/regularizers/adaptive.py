"""Methods whose strength follows how far D has memorised its training images."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import per_example
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Batch, Regularizer, checked_whole, is_number
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import (
    global_size,
    replica_state,
    rows_of,
    sum_over_replicas,
)


class Adaptive(Regularizer):
    """A probability p, 0 at the start, that follows r_t = E[sign D(x)] (arXiv 2006.06676, eq. 1).

    x are the reals as D's adversarial loss is shown them. Every so many D updates p goes up if
    r_t, over the images since the last time, is above the target, and down if below (section 3),
    by so much that p gets from 0 to 1 in `kimg` thousand images. There is no term of a loss.

    Args:
        target: of r_t, in [-1, 1]; 0.6 in the papers and codes of both ADA and APA.
        every: D updates between two changes of p; 4 in both.
        kimg: thousands of reals, over all replicas, for p to get from 0 to 1; 500 in both, 100 in
            their codes for training that goes on from other weights.
        limit: what p stays within, in [0, 1]. ADA's paper finds the augmentation to leak into the
            samples only where p is above 0.8 or so (section 2.2); the codes have no upper bound,
            and p has been seen at 21.8 (stylegan2-ada-pytorch, issue 175).

    Raises:
        ValueError: if an argument is out of its range.
    """

    reads_signs = True

    def __init__(
        self, target: float = 0.6, every: int = 4, kimg: float = 500.0, limit: float = 0.85
    ) -> None:
        super().__init__(1.0)
        if not (is_number(target) and -1 <= target <= 1):
            raise ValueError(f"A target is in [-1, 1]. Received: {self.name} target={target!r}.")
        if not (is_number(kimg) and kimg > 0):
            raise ValueError(f"kimg is above 0. Received: {self.name} kimg={kimg!r}.")
        if not (is_number(limit) and 0 <= limit <= 1):
            raise ValueError(f"A limit is in [0, 1]. Received: {self.name} limit={limit!r}.")
        self.target = float(target)
        self.every = checked_whole(self.name, "every", every, least=1)
        self.kimg = float(kimg)
        self.limit = float(limit)

    def build(self, networks: Networks) -> None:
        # p, and since it last changed: the sum of the signs, the number of images.
        self._state = replica_state([0.0, 0.0, 0.0], f"{self.name}_state")

    @property
    def variables(self) -> list:
        return [self._state]

    @property
    def p(self) -> tf.Tensor:
        """The probability, a float32 scalar."""
        return tf.convert_to_tensor(self._state)[0]

    def discriminator_term(self, update: Update) -> None:
        """Takes this update's logits in; D's loss has no term of it."""
        signs = tf.sign(per_example(update.outputs[update.mode.d_real].logits))
        batch_size = tf.cast(global_size(rows_of(signs)), tf.float32)
        # Sums of whole numbers are exact, so that p is the same on any number of replicas.
        now = sum_over_replicas({"signs": tf.reduce_sum(signs)})["signs"]
        p, total, images = tf.unstack(tf.convert_to_tensor(self._state))
        total, images = total + now, images + batch_size
        change = tf.sign(total / images - self.target) * images / (1000.0 * self.kimg)
        changed = tf.stack([tf.clip_by_value(p + change, 0.0, self.limit), 0.0, 0.0])
        is_due = images >= self.every * batch_size
        self._state.assign(tf.where(is_due, changed, tf.stack([p, total, images])))

    def gauges(self) -> dict[str, tf.Tensor]:
        return {f"{self.name}_p": self.p}

    def get_config(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "every": self.every,
            "kimg": self.kimg,
            "limit": self.limit,
        }


@register_regularizer
class ADA(Adaptive):
    """Adaptive discriminator augmentation (arXiv 2006.06676): each op with probability p.

    Each image goes through each op of the run's policy, whatever it is, with probability p,
    wherever the losses see augmented images: DiffAugment is p = 1. The authors' pipeline groups
    some of its ops, and its ops are others. Arguments as of `Adaptive`.
    """

    name = "ada"
    summary = (
        "each image goes through each op of the augmentation with a probability, 0 at "
        "first, that rises while D calls more of its reals real than the target says, and "
        "else falls"
    )
    of = "D, G"
    term = "none: each op of the augmentation with a probability p that follows r_t"
    source = "2006.06676"
    steers_policy = True

    def probability(self) -> tf.Tensor:
        return self.p


@register_regularizer
class APA(Adaptive):
    """Adaptive pseudo augmentation (arXiv 2111.06849): each real a fake with probability p.

    D takes some fakes for reals, so that it can't memorise which are which. r_t is of all
    images shown as reals, fakes among them, as in the authors' code. There the fakes are those of
    G's last update, and a fake has the label of the real whose place it takes; here they are those
    of this update of D, with their own labels. Goes with any policy, or none. Arguments as of
    `Adaptive`; D sees no reals where p is 1.
    """

    name = "apa"
    summary = (
        "each real that D is shown is exchanged for a fake with a probability, 0 at "
        "first, that rises while D calls more of its reals real than the target says, and "
        "else falls"
    )
    term = "none: fakes in the place of D's reals with a probability p that follows r_t"
    source = "2111.06849"

    def exchange_reals(self, networks: Networks, draws: Draws, reals: Batch, fakes: Batch) -> Batch:
        del networks
        coins = draws.uniform((), self.name, "coins") < self.p
        (images, labels), (fake_images, fake_labels) = reals, fakes
        images = tf.where(coins[:, None, None, None], fake_images, images)
        return images, None if labels is None else tf.where(coins, fake_labels, labels)


@register_regularizer
class Diffusion(Adaptive):
    """Diffusion-GAN's adaptive noise (arXiv 2206.02262): as many steps of a diffusion as p says.

    The policy's `diffusion_noise` of strength s has T = 10 + 990·s·p steps. That is the noise of
    the authors' code (Zhendong-Wang/Diffusion-GAN, diffusion-stylegan2) as the augmentation or a
    part of it; there D is also told each image's step t, here it sees the image alone. Their
    diffusion-projected-gan has other noise, on D's features. Arguments as of `Adaptive`, with their
    defaults: p gets from 0 to 1 in 100 thousand images, without a limit.
    """

    name = "diffusion"
    summary = (
        "diffusion_noise has as many steps of its diffusion as p says, 10 at first, which rises "
        "while D calls more of its reals real than the target says, and else falls"
    )
    of = "D, G"
    term = "none: T = 10 + 990·s·p steps of `diffusion_noise` with a p that follows r_t"
    source = "2206.02262"
    steers_policy = True
    steers_level = True
    excludes = ("ada",)

    def __init__(
        self, target: float = 0.6, every: int = 4, kimg: float = 100.0, limit: float = 1.0
    ) -> None:
        super().__init__(target, every, kimg, limit)

    def level(self) -> tf.Tensor:
        return self.p
