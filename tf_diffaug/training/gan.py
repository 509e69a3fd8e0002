"""A GAN as a Keras model: two networks and the three coordinates of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import raw_variables, sublayers
from tf_diffaug.augment import DiffAugment, Policy
from tf_diffaug.images import to_float
from tf_diffaug.layers import batch_statistics
from tf_diffaug.naming import unknown
from tf_diffaug.training.ema import EMA, clone_network, copy_weights, update_average
from tf_diffaug.training.finite import StopOnNonFinite
from tf_diffaug.training.losses import Loss, get_loss
from tf_diffaug.training.modes import resolve_augment
from tf_diffaug.training.regularizers import Regularizer, parse_regularizers
from tf_diffaug.training.step import train_step
from tf_diffaug.training.views import call_discriminator, looks_across_batch

VIEWS = ("auto", "joint", "separate")
BATCH_NORM = ("moving", "batch")


class GAN(keras.Model):
    """Trains a generator against a discriminator, on little data if need be.

    `fit` takes real images: uint8, or floats in [-1, 1]; NHWC. One batch holds `d_steps` batches
    for D, and batches are of one size. Every draw is a function of the seed and the step, so that
    the state of a run is its variables alone (Keras 2's random layers, such as dropout in your own
    networks, keep a state outside of them). Under a `tf.distribute` strategy, build and compile it
    in the strategy's scope.

    Args:
        generator: a Keras model from latents (batch, latent_dim) to images in [-1, 1].
        discriminator: a Keras model from images to logits (batch, ...), or to a dict of `logits`
            and `features`.
        latent_dim: length of the standard normal latents; by default read off the generator.
        policy: T, the augmentation: a policy string (`"color,translation,cutout"`) or a `Policy`.
        augment: where T stands in the losses: `"none"`, `"reals"` (in D's loss, on the reals only),
            `"d_only"` (in D's loss, not in G's) or `"both"` (DiffAugment, arXiv 2006.10738,
            section 3). By default `both` if there is a policy that no regularizer uses.
        loss: `"hinge"`, `"non_saturating"`, `"wasserstein"`, or a `Loss`.
        regularizers: what else is asked of D: a string (`"r1:10"`) or `Regularizer`s.
        d_steps: updates of D per update of G.
        ema: how the average of G's weights is kept; None for none.
        views: `"joint"`: D judges all views in one pass; `"separate"`: one by one; `"auto"`: one by
            one if D holds a batch norm, which would let one view change another's logits.
        seed: any integer.

    Raises:
        ValueError: if an argument is out of its range, or the networks do not fit each other.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        latent_dim: int | None = None,
        policy: str | Policy | None = None,
        augment: str | None = None,
        loss: str | Loss = "hinge",
        regularizers: str | Sequence[Regularizer] = (),
        d_steps: int = 1,
        ema: EMA | None = EMA(),  # noqa: B008 (it is frozen)
        views: str = "auto",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if d_steps < 1:
            raise ValueError(f"D takes one step or more. Received: d_steps={d_steps}.")
        if views not in VIEWS:
            raise ValueError(unknown("views", views, VIEWS))
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim = _latent_dim(generator) if latent_dim is None else latent_dim
        self.augmenter = DiffAugment("none" if policy is None else policy, seed=seed)
        self.policy = self.augmenter.policy
        self.regularizers = parse_regularizers(regularizers)
        self.augment = resolve_augment(self.policy, augment, self.regularizers)
        self.adversarial_loss = get_loss(loss)
        self.d_steps = d_steps
        self.ema = ema
        self.seed = seed
        self._build_networks()
        across = looks_across_batch(discriminator)
        self.joint_views = views == "joint" or (views == "auto" and not across)

    def _build_networks(self) -> None:
        latents = tf.zeros([2, self.latent_dim])
        images = self.generator(latents, training=False)
        self.image_shape = tuple(images.shape[1:])
        if len(self.image_shape) != 3 or None in self.image_shape:
            raise ValueError(
                "A generator makes images of shape (batch, height, width, channels). "
                f"Received: shape={tuple(images.shape)}."
            )
        self.discriminator(images, training=False)
        self.augmenter.build(images.shape)
        self.ema_generator = None
        if self.ema is not None:
            self.ema_generator = clone_network(self.generator)
            self.ema_generator(latents, training=False)
            copy_weights(self.ema_generator, self.generator)
        self.step = tf.Variable(
            0,
            trainable=False,
            dtype=tf.int64,
            name="step",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        # A step's losses are those of the global batch already, the same on every replica.
        self.distribute_reduction_method = "first"
        self.built = True

    def compile(
        self,
        g_optimizer: keras.optimizers.Optimizer | None = None,
        d_optimizer: keras.optimizers.Optimizer | None = None,
        *,
        jit_compile: bool = False,
        steps_per_execution: int = 1,
        run_eagerly: bool = False,
    ) -> None:
        """Sets the optimizers; by default Adam(2e-4, 0.5, 0.999), SNDCGAN's usual choice."""
        self.g_optimizer = _adam() if g_optimizer is None else g_optimizer
        self.d_optimizer = _adam() if d_optimizer is None else d_optimizer
        super().compile(
            optimizer=self.g_optimizer,
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
            run_eagerly=run_eagerly,
        )
        with self.distribute_strategy.scope():
            self.g_optimizer.build(self.generator.trainable_variables)
            self.d_optimizer.build(self.discriminator_variables())

    def fit(self, x: Any, *, callbacks: Sequence | None = None, **kwargs: Any) -> Any:
        """Keras' `fit`, which here also ends at the first loss that is not finite.

        Raises:
            NonFiniteLossError: naming the step and the term.
        """
        # Keras 3 warns of its own default where a dataset has an order of its own.
        kwargs.setdefault("shuffle", not isinstance(x, tf.data.Dataset))
        return super().fit(x, callbacks=[StopOnNonFinite(), *(callbacks or ())], **kwargs)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras' hook: one step on one batch; returns the losses by name."""
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return train_step(self, to_float(images))

    def call(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Images of the averaged generator; in training, those of the generator itself."""
        return self.generator(latents, training=True) if training else self.generate(latents)

    def generate(
        self, latents: tf.Tensor, *, ema: bool = True, batch_norm: str = "moving"
    ) -> tf.Tensor:
        """Images (batch, height, width, channels) in [-1, 1]; changes no state.

        Args:
            latents: (batch, latent_dim).
            ema: whether the averaged generator makes them, where there is one.
            batch_norm: `"moving"` averages, or the statistics of this `"batch"`.
        """
        if batch_norm not in BATCH_NORM:
            raise ValueError(unknown("batch_norm", batch_norm, BATCH_NORM))
        network = self.ema_generator if ema and self.ema_generator is not None else self.generator
        if batch_norm == "moving":
            return network(latents, training=False)
        if sublayers(network, keras.layers.BatchNormalization):
            raise ValueError(
                "Keras' batch norm can't take a batch's statistics without moving its averages: "
                "use tf_diffaug.BatchNorm. Received: batch_norm='batch'."
            )
        with batch_statistics(network):
            return network(latents, training=False)

    @tf.function(autograph=False)
    def measure(
        self, images: tf.Tensor, held_out: tf.Tensor | None = None, *, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What D makes of reals and fakes right now; changes no state.

        Args:
            images: reals in [-1, 1].
            held_out: reals that are not trained on, if there are any.
            step: picks the draws.

        Returns:
            Float32 scalars: D's mean logit on `d_real`, `d_fake` and `d_held_out`, and the shares
            of logits with the right sign, `accuracy_real_aug`, `accuracy_fake_aug`, `accuracy_fake`
            (T(x), T(G(z)) and plain G(z): arXiv 2006.10738, section 3, reads D's overfitting and
            the failure of `d_only` off these).
        """
        shape = (tf.shape(images)[0], *self.image_shape)
        seeds = {p: random.derive(self.seed, p, step=step) for p in ("measure", "augment")}
        latents = random.normal([shape[0], self.latent_dim], seeds["measure"])
        fakes = self.generator(latents, training=False)
        params = self.augmenter.sample(shape, seeds["augment"])

        def judge(batch: tf.Tensor) -> tf.Tensor:
            return tf.cast(
                call_discriminator(self.discriminator, batch, training=False).logits, tf.float32
            )

        def share(right: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.cast(right, tf.float32))

        fake_logits = judge(fakes)
        logs = {
            "d_real": tf.reduce_mean(judge(images)),
            "d_fake": tf.reduce_mean(fake_logits),
            "accuracy_real_aug": share(judge(self.augmenter.apply(images, params)) > 0),
            "accuracy_fake_aug": share(judge(self.augmenter.apply(fakes, params)) < 0),
            "accuracy_fake": share(fake_logits < 0),
        }
        if held_out is not None:
            logs["d_held_out"] = tf.reduce_mean(judge(held_out))
        return logs

    @property
    def num_replicas(self) -> int:
        """How many replicas train it."""
        return self.distribute_strategy.num_replicas_in_sync

    def discriminator_variables(self) -> list:
        """What D's optimizer trains: D's weights and the regularizers'."""
        own = [v for regularizer in self.regularizers for v in regularizer.trainable_variables]
        return [*self.discriminator.trainable_variables, *own]

    def update_ema(self, step: tf.Tensor, batch_size: int | tf.Tensor) -> None:
        """Moves the averaged generator at the end of a step of `batch_size` images."""
        if self.ema is not None:
            decay = self.ema.decay_at(step, batch_size)
            update_average(self.ema_generator, self.generator, decay)

    def state(self) -> dict[str, list[tf.Variable]]:
        """Every variable of a run by group, in a fixed order: what a checkpoint holds."""
        groups = {
            "generator": raw_variables(self.generator),
            "discriminator": raw_variables(self.discriminator),
            "regularizers": [v for r in self.regularizers for v in r.variables],
            "g_optimizer": raw_variables(self.g_optimizer),
            "d_optimizer": raw_variables(self.d_optimizer),
            "step": [self.step],
        }
        if self.ema_generator is not None:
            groups["ema_generator"] = raw_variables(self.ema_generator)
        return groups


def _adam() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-8)


def _latent_dim(generator: keras.Model) -> int:
    if hasattr(generator, "latent_dim"):
        return generator.latent_dim
    try:
        shape = generator.input_shape
    except AttributeError:
        shape = None
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ValueError(
            "The length of the latents can't be read off this generator: pass latent_dim=. "
            f"Received: input shape={shape}."
        )
    return shape[1]
