"""DigGAN: D's gradient as long on reals as on fakes."""

from __future__ import annotations

import tensorflow as tf

from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import Regularizer
from tf_diffaug.training.regularizers.gradient_penalty import squared_norms
from tf_diffaug.training.regularizers.registry import register_regularizer
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import global_mean, replica_state, sum_over_replicas


@register_regularizer
class DigGAN(Regularizer):
    """weight · (n_real - n_fake)², the gap between the lengths of D's gradients (arXiv 2211.14694).

    n is half |∇D| of an image that the adversarial loss shows D, half what it was the last time, in
    the first time |∇D| alone; image i of reals stands beside image i of fakes. It is a term of the
    first of a step's updates of D, and 0 in the others. All that is of the authors' BigGAN on
    CIFAR, to be read in their code only.

    There "the last time" is another image's number, that which stood at the same place of the last
    batch. Here it is the mean over the batch: as the term is quadratic, its gradient is the mean of
    theirs over all orders of the last batch, without what that order adds by chance.

    Args:
        weight: in their scripts for CIFAR-10 and CIFAR-100 at 100, 20 and 10 % 1000, 5000 and
            10000; with DiffAugment 10, 250 and 1000.
    """

    name = "diggan"
    summary = "D's gradient is to be as long on reals as on fakes"
    term = (
        "(n(x) - n(G(z)))², n half \\|∇D\\| and half its last mean, in the first D update of a step"
    )
    source = "2211.14694"

    def __init__(self, weight: float = 1000.0) -> None:
        super().__init__(weight)

    def build(self, networks: Networks) -> None:
        del networks
        self._means = replica_state([0.0, 0.0], "diggan_means")

    @property
    def variables(self) -> list:
        return [self._means]

    def discriminator_term(self, update: Update) -> tf.Tensor:
        d_steps, rows = update.networks.d_steps, update.draws.batch_size
        names = {"real": update.mode.d_real, "fake": update.mode.d_fake}

        def lengths() -> tf.Tensor:
            views = update.views
            squares = [squared_norms(update, views[n], views.labels(n)) for n in names.values()]
            # A gradient of length 0 has no derivative.
            return tf.sqrt(tf.concat(squares, axis=0) + 1e-12)

        now = tf.split(update.lazily(d_steps, 2 * rows, lengths), 2)
        last = tf.convert_to_tensor(self._means)
        share = tf.where(update.index < d_steps, 0.0, 0.5)
        real, fake = (share * last[k] + (1.0 - share) * now[k] for k in range(2))
        due = update.is_due(d_steps)
        shares = {"real": global_mean(real), "fake": global_mean(fake)}
        means = tf.stop_gradient(tf.stack(list(sum_over_replicas(shares).values())))
        self._means.assign(tf.where(due, means, last))
        return self.weight_at(update) * tf.where(due, tf.square(real - fake), 0.0)
