"""A GAN as a Keras model: two networks and the three coordinates of an experiment."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, Policy
from tf_diffaug.schedules import Schedule
from tf_diffaug.training.across_batch import are_joint, check_views
from tf_diffaug.training.calls import call_generator
from tf_diffaug.training.ema import EMA, averaged_copy, update_average
from tf_diffaug.training.finite import StopOnNonFinite
from tf_diffaug.training.inputs import checked_data, checked_optimizers, refuse_weights, unpacked
from tf_diffaug.training.losses import Loss, get_loss, refuse_beside_paired
from tf_diffaug.training.measure import measure
from tf_diffaug.training.modes import FAILURES, MODES, checked_probability, resolve_augment
from tf_diffaug.training.network_optimizer import Compiled, network_optimizers
from tf_diffaug.training.networks import build_networks
from tf_diffaug.training.regularizers import Regularizer, parse_regularizers
from tf_diffaug.training.resumable import Resumable
from tf_diffaug.training.scheduled import value_at
from tf_diffaug.training.step import Objective, train_step
from tf_diffaug.training.strategy import global_size, rows_of
from tf_diffaug.training.views import check_groups

_log = logging.getLogger(__name__)


class GAN(Resumable):
    """Trains a generator against a discriminator, on little data if need be.

    `fit` takes real images: uint8, or floats in [-1, 1]; NHWC; for conditional networks with their
    labels, `fit(images, labels)` or a dataset of pairs. One batch holds `d_steps` batches for D,
    and one for G if the loss is paired; batches are of one size. Every draw is a function of the
    seed and the step, so that the state of a run is its variables alone (Keras 2's random layers,
    such as dropout in your own networks, keep a state outside of them). Under a `tf.distribute`
    strategy, build and compile it in the strategy's scope.

    Args:
        generator: a Keras model from latents (batch, latent_dim) to images in [-1, 1].
        discriminator: a Keras model from images to logits (batch, ...), or to a dict of `logits`
            and `features`.
        latent_dim: length of the standard normal latents; by default read off the generator.
        num_classes: number of classes, for conditional networks, whose one input is then a pair:
            `(latents, labels)` and `(images, labels)`, labels int32 (batch,). By default read off
            the generator's `num_classes`, if it has that.
        label_frequencies: how often fakes have each label, relative to each other; by default all
            alike, as in the DiffAugment paper's BigGAN.
        policy: the augmentation: a policy string (`"color,translation,cutout"`) or a `Policy`.
        augment: which losses see augmented images: `"none"`, `"reals"` (D's, of the reals only),
            `"d_only"` (D's, not G's) or `"both"` (DiffAugment, arXiv 2006.10738, section 3). By
            default `both` if there is a policy that no regularizer uses. The two that the papers
            saw fail are logged as a warning.
        loss: `"hinge"`, `"smooth_hinge"`, `"non_saturating"`, `"wasserstein"`, `"relativistic"`, or
            a `Loss`.
        regularizers: what else is asked of the networks: a string (`"r1:10"`) or `Regularizer`s.
        policy_probability: how likely each op of the policy is applied to an image: a number, a
            `Schedule` or the text of one, as `"linear(0, 0.6, images=1e7)"`; None for always.
        d_steps: updates of D per update of G.
        ema: how the average of G's weights is kept; None for none.
        views: `"joint"`: D judges all views in one pass; `"separate"`: one by one; `"auto"`: one by
            one if a view changes another's logits (a batch norm), tried when it is built.
        num_images: how many images it trains on, for a regularizer that keeps a share of them.
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
        num_classes: int | None = None,
        label_frequencies: Sequence[float] | None = None,
        policy: str | Policy | None = None,
        augment: str | None = None,
        loss: str | Loss = "hinge",
        regularizers: str | Sequence[Regularizer] = (),
        policy_probability: float | str | Schedule | None = None,
        d_steps: int = 1,
        ema: EMA | None = EMA(),  # noqa: B008 (it is frozen)
        views: str = "auto",
        num_images: int | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not (ema is None or isinstance(ema, EMA)):
            raise ValueError(f"ema is an EMA, as EMA(0.999), or None. Received: ema={ema!r}.")
        check_views(views)
        self.generator = generator
        self.discriminator = discriminator
        self.seed = random.whole_seed(seed)
        self.augmenter = DiffAugment(
            "none" if policy is None else policy, data_format="channels_last", seed=self.seed
        )
        self.policy = self.augmenter.policy
        self.regularizers = parse_regularizers(regularizers)
        self.augment = resolve_augment(self.policy, augment, self.regularizers)
        probability = checked_probability(self.policy, policy_probability, self.regularizers)
        if self.augment in FAILURES:
            _log.warning("%s", FAILURES[self.augment])
        self.adversarial_loss = get_loss(loss)
        refuse_beside_paired(self.adversarial_loss, self.regularizers)
        self.d_steps = d_steps
        self.ema = ema
        self.networks = build_networks(
            generator,
            discriminator,
            latent_dim=latent_dim,
            num_classes=num_classes,
            label_frequencies=label_frequencies,
            augmenter=self.augmenter,
            d_steps=d_steps,
            seed=self.seed,
            num_images=num_images,
        )
        self.latent_dim = self.networks.latent_dim
        self.image_shape = self.networks.image_shape
        self.num_classes = self.networks.num_classes
        self.label_frequencies = self.networks.label_frequencies
        self.ema_generator = None
        if ema is not None:
            self.ema_generator = averaged_copy(generator, self.networks.example_inputs())
        self.step, self.images_seen = map(_counter, ("step", "images_seen"))
        for regularizer in self.regularizers:
            regularizer.build(self.networks)
        self.objective = Objective(
            networks=self.networks,
            mode=MODES[self.augment],
            loss=self.adversarial_loss,
            regularizers=self.regularizers,
            joint_views=are_joint(views, self.networks),
            policy_probability=probability,
        )
        # A step's losses are those of the global batch already, the same on every replica.
        self.distribute_reduction_method = "first"
        self.built = True

    @property
    def joint_views(self) -> bool:
        """Whether D judges all views in one pass."""
        return self.objective.joint_views

    def compile(
        self,
        g_optimizer: keras.optimizers.Optimizer | str | None = None,
        d_optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        jit_compile: bool | Compiled = False,
        steps_per_execution: int = 1,
        run_eagerly: bool = False,
    ) -> None:
        """Sets how it is trained; where gradients pass layers in float16 a loss scale is kept.

        Args:
            g_optimizer: G's; by default Adam(2e-4, 0.5, 0.999), SNDCGAN's usual choice. In a
                `ScheduledAdam` these may follow schedules of the images seen.
            d_optimizer: D's, likewise.
            jit_compile: whose update XLA compiles: `"generator"`, `"discriminator"`, `"both"` (or
                True) or `"none"` (or False). XLA has other draws.
            steps_per_execution: Keras', the steps of `fit` in one call.
            run_eagerly: Keras', to debug.

        Raises:
            ValueError: if the GAN cannot be trained so.
        """
        self.g_optimizer, self.d_optimizer = checked_optimizers(g_optimizer, d_optimizer)
        with self.distribute_strategy.scope():
            self.g_update, self.d_update = network_optimizers(
                (self.generator, self.g_optimizer, self.generator.trainable_variables),
                (self.discriminator, self.d_optimizer, self.objective.discriminator_variables()),
                jit_compile=jit_compile,
            )
        # Each network's update is compiled alone: what is around them stays TensorFlow's.
        super().compile(
            optimizer=self.g_optimizer,
            jit_compile=False,
            steps_per_execution=steps_per_execution,
            run_eagerly=run_eagerly,
        )

    def fit(
        self, x: Any, y: Any = None, *, callbacks: Sequence | None = None, **kwargs: Any
    ) -> Any:
        """Keras' `fit`, which here also ends at the first loss that is not finite.

        Raises:
            NonFiniteLossError: naming the step and the term.
            ValueError: if the images or labels, of a dataset its first batch, are none to train on.
        """
        refuse_weights(kwargs)
        filled = any(r.fills_labels for r in self.regularizers)
        shape, classes = self.image_shape, self.num_classes
        x, y = checked_data(x, y, image_shape=shape, num_classes=classes, filled=filled)
        # Keras 3 warns of its own default where a source has an order of its own.
        kwargs.setdefault("shuffle", not isinstance(x, (tf.data.Dataset, Iterator)))
        return super().fit(x, y, callbacks=[StopOnNonFinite(), *(callbacks or ())], **kwargs)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras' hook: one step on one batch; returns the losses by name."""
        images, labels = unpacked(data, self.num_classes)
        batch_size = rows_of(images) // self.objective.batches
        check_groups(self.discriminator, batch_size)
        step = tf.identity(self.step)
        seen = tf.identity(self.images_seen) if self.schedules else 0
        logs = train_step(
            self.objective,
            images,
            labels,
            step=step,
            seen=seen,
            g_optimizer=self.g_update,
            d_optimizer=self.d_update,
        )
        size = global_size(batch_size)
        if self.ema is not None:
            decay = self.ema.decay_at(step, size, seen)
            update_average(self.ema_generator, self.generator, decay)
        self.step.assign_add(1)
        if self.schedules:  # else it is not of the state
            seen += tf.cast(size, tf.int64)
            self.images_seen.assign(seen)
        return logs | self._scheduled(seen)

    def _scheduled(self, seen: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: value_at(schedule, seen) for name, schedule in self.schedules.items()}

    def gauges(self) -> dict[str, tf.Tensor]:
        """What is logged that is no loss, as it now is: the regularizers' and the schedules'."""
        return self.objective.gauges() | self._scheduled(self.images_seen)

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Images of the averaged generator; in training, those of the generator itself.

        Args:
            inputs: latents, or a pair of latents and labels.
            training: whether this is a pass of training.
        """
        latents, labels = (inputs, None) if self.num_classes is None else inputs
        if not training:
            return self.generate(latents, labels)
        return call_generator(self.generator, latents, labels, training=True)

    def generate(
        self, latents: tf.Tensor, labels: tf.Tensor | None = None, *, ema: bool = True
    ) -> tf.Tensor:
        """Images (batch, height, width, channels) in [-1, 1]; changes no state.

        `Sampler` has other ways: batch statistics, truncation, latents and labels drawn.

        Args:
            latents: (batch, latent_dim).
            labels: int32 (batch,), for conditional networks.
            ema: whether the averaged generator makes them, where there is one.
        """
        network = self.ema_generator if ema and self.ema_generator is not None else self.generator
        return call_generator(network, latents, labels, training=False)

    @tf.function(autograph=False)
    def measure(
        self,
        images: tf.Tensor,
        labels: tf.Tensor | None = None,
        *,
        held_out: tuple[tf.Tensor, tf.Tensor | None] | None = None,
        step: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """What D makes of reals in [-1, 1], and of fakes, right now; changes no state.

        Args:
            images: reals that are trained on.
            labels: theirs, for conditional networks; none of them -1.
            held_out: reals that are not, and their labels or None.
            step: picks the draws.

        Returns the float32 scalars that `measure.measure` lists.
        """
        return measure(self.objective, (images, labels), held_out, step, self.images_seen)

    @property
    def num_replicas(self) -> int:
        """How many replicas train it."""
        return self.distribute_strategy.num_replicas_in_sync


def _counter(name: str) -> tf.Variable:
    first = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(0, trainable=False, dtype=tf.int64, name=name, aggregation=first)
