"""A GAN as a Keras model: two networks and the three coordinates of an experiment."""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import raw_variables
from tf_diffaug.augment import DiffAugment, Policy
from tf_diffaug.images import to_float
from tf_diffaug.naming import unknown
from tf_diffaug.training.calls import (
    call_generator,
    checked_frequencies,
    common_classes,
    draw_latents,
    flat_labels,
    latent_length,
)
from tf_diffaug.training.ema import EMA, clone_network, copy_weights, update_average
from tf_diffaug.training.finite import StopOnNonFinite, check_finite
from tf_diffaug.training.inputs import (
    checked_data,
    checked_optimizers,
    refuse_float16,
    refuse_weights,
)
from tf_diffaug.training.losses import Loss, get_loss
from tf_diffaug.training.measure import measure
from tf_diffaug.training.modes import FAILURES, MODES, resolve_augment
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers import Regularizer, parse_regularizers
from tf_diffaug.training.step import Objective, train_step
from tf_diffaug.training.strategy import global_size, rows_of
from tf_diffaug.training.views import check_groups, looks_across_batch

VIEWS = ("auto", "joint", "separate")

_log = logging.getLogger(__name__)


class GAN(keras.Model):
    """Trains a generator against a discriminator, on little data if need be.

    `fit` takes real images: uint8, or floats in [-1, 1]; NHWC; for conditional networks with their
    labels, `fit(images, labels)` or a dataset of pairs. One batch holds `d_steps` batches
    for D, and batches are of one size. Every draw is a function of the seed and the step, so that
    the state of a run is its variables alone (Keras 2's random layers, such as dropout in your own
    networks, keep a state outside of them). Under a `tf.distribute` strategy, build and compile it
    in the strategy's scope.

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
        policy: T, the augmentation: a policy string (`"color,translation,cutout"`) or a `Policy`.
        augment: where T stands in the losses: `"none"`, `"reals"` (in D's loss, on the reals only),
            `"d_only"` (in D's loss, not in G's) or `"both"` (DiffAugment, arXiv 2006.10738,
            section 3). By default `both` if there is a policy that no regularizer uses. The
            two that the papers saw fail are logged as a warning.
        loss: `"hinge"`, `"non_saturating"`, `"wasserstein"`, or a `Loss`.
        regularizers: what else is asked of the networks: a string (`"r1:10"`) or `Regularizer`s.
        d_steps: updates of D per update of G.
        ema: how the average of G's weights is kept; None for none.
        views: `"joint"`: D judges all views in one pass; `"separate"`: one by one; `"auto"`: one by
            one if a view changes another's logits (a batch norm), tried when it is built.
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
        d_steps: int = 1,
        ema: EMA | None = EMA(),  # noqa: B008 (it is frozen)
        views: str = "auto",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if d_steps < 1:
            raise ValueError(f"D takes one step or more. Received: d_steps={d_steps}.")
        if not (ema is None or isinstance(ema, EMA)):
            raise ValueError(f"ema is an EMA, as EMA(0.999), or None. Received: ema={ema!r}.")
        if views not in VIEWS:
            raise ValueError(unknown("views", views, VIEWS))
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim = latent_length(generator) if latent_dim is None else latent_dim
        self.num_classes = common_classes(generator, discriminator, num_classes)
        self.label_frequencies = checked_frequencies(self.num_classes, label_frequencies)
        self.augmenter = DiffAugment(
            "none" if policy is None else policy,
            data_format="channels_last",
            seed=operator.index(seed),
        )
        self.policy = self.augmenter.policy
        self.regularizers = parse_regularizers(regularizers)
        self.augment = resolve_augment(self.policy, augment, self.regularizers)
        if self.augment in FAILURES:
            _log.warning("%s", FAILURES[self.augment])
        self.adversarial_loss = get_loss(loss)
        self.d_steps = d_steps
        self.ema = ema
        self.seed = operator.index(seed)
        self._build_networks()
        self.joint_views = views == "joint" or (
            views == "auto"
            and not looks_across_batch(discriminator, self.image_shape, self.num_classes)
        )
        self.objective = Objective(
            networks=self.networks,
            mode=MODES[self.augment],
            loss=self.adversarial_loss,
            regularizers=self.regularizers,
            joint_views=self.joint_views,
        )

    def _build_networks(self) -> None:
        refuse_float16(self.generator, self.discriminator)
        inputs = self.example_inputs()
        images = self.generator(inputs, training=False)
        self.image_shape = tuple(images.shape[1:])
        if len(self.image_shape) != 3 or None in self.image_shape:
            raise ValueError(
                "A generator makes images of shape (batch, height, width, channels). "
                f"Received: shape={tuple(images.shape)}."
            )
        self.discriminator(images if self.num_classes is None else (images, inputs[1]))
        self.augmenter.build(images.shape)
        self.ema_generator = None
        if self.ema is not None:
            self.ema_generator = clone_network(self.generator)
            self.ema_generator(inputs, training=False)
            copy_weights(self.ema_generator, self.generator)
        self.step = tf.Variable(
            0,
            trainable=False,
            dtype=tf.int64,
            name="step",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self.networks = Networks(
            generator=self.generator,
            discriminator=self.discriminator,
            latent_dim=self.latent_dim,
            image_shape=self.image_shape,
            num_classes=self.num_classes,
            label_frequencies=self.label_frequencies,
            augmenter=self.augmenter,
            d_steps=self.d_steps,
            seed=self.seed,
        )
        for regularizer in self.regularizers:
            regularizer.build(self.networks)
        # A step's losses are those of the global batch already, the same on every replica.
        self.distribute_reduction_method = "first"
        self.built = True

    def example_inputs(self) -> Any:
        """What the generator takes: latents, or latents and labels, two of each."""
        latents = tf.zeros([2, self.latent_dim])
        return latents if self.num_classes is None else (latents, tf.zeros([2], tf.int32))

    def check_batch_size(self, batch_size: int | tf.Tensor) -> None:
        """Makes sure that D can take batches of this size, on each replica.

        Raises:
            ValueError: if it compares images in groups that the size is no multiple of.
        """
        if isinstance(batch_size, int):
            check_groups(self.discriminator, batch_size)

    def compile(
        self,
        g_optimizer: keras.optimizers.Optimizer | str | None = None,
        d_optimizer: keras.optimizers.Optimizer | str | None = None,
        *,
        jit_compile: bool = False,
        steps_per_execution: int = 1,
        run_eagerly: bool = False,
    ) -> None:
        """Sets the optimizers; by default Adam(2e-4, 0.5, 0.999), SNDCGAN's usual choice."""
        self.g_optimizer, self.d_optimizer = checked_optimizers(g_optimizer, d_optimizer)
        super().compile(
            optimizer=self.g_optimizer,
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
            run_eagerly=run_eagerly,
        )
        with self.distribute_strategy.scope():
            self.g_optimizer.build(self.generator.trainable_variables)
            self.d_optimizer.build(self.objective.discriminator_variables())

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
        # Keras 3 warns of its own default where a dataset has an order of its own.
        kwargs.setdefault("shuffle", not isinstance(x, tf.data.Dataset))
        return super().fit(x, y, callbacks=[StopOnNonFinite(), *(callbacks or ())], **kwargs)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras' hook: one step on one batch; returns the losses by name."""
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        refuse_weights({"sample_weight": weights})
        if self.num_classes is None:
            return self._step(to_float(images))
        if labels is None:
            raise ValueError(
                f"Networks of {self.num_classes} classes train on images and labels: "
                "fit(images, labels). Received: labels=None."
            )
        return self._step(to_float(images), flat_labels(labels))

    def _step(self, images: tf.Tensor, labels: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        batch_size = rows_of(images) // self.d_steps
        self.check_batch_size(batch_size)
        step = tf.identity(self.step)
        logs = train_step(
            self.objective,
            images,
            labels,
            step=step,
            g_optimizer=self.g_optimizer,
            d_optimizer=self.d_optimizer,
        )
        self.update_ema(step, global_size(batch_size))
        self.step.assign_add(1)
        return logs

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

    def labels(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor | None:
        """Labels for fakes, int32 (count,), as in training; None for unconditional networks."""
        return self.networks.labels(count, seed)

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
        return measure(self.objective, (images, labels), held_out, step)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Not there, nor `save_weights` and `load_weights`: they would keep a part of a run.

        Raises:
            NotImplementedError: always, naming the ways there are.
        """
        raise NotImplementedError(
            "Keras' own saving would lose a part of a GAN: CheckpointStore(gan, directory) keeps "
            "all of it, and gan.generator.save(...) or gan.ema_generator.save(...) a generator."
        )

    save_weights = load_weights = save

    @property
    def num_replicas(self) -> int:
        """How many replicas train it."""
        return self.distribute_strategy.num_replicas_in_sync

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

    def check_finite(self) -> None:
        """Looks for weights that are not finite, or that make images which are not.

        A loss shows them a step late: by then they may have been saved.

        Raises:
            NonFiniteLossError: naming what is not finite.
        """
        seed = random.derive(self.seed, "sample")
        latents = draw_latents(self.generator, [2, self.latent_dim], seed)
        inputs = latents, self.labels(2, seed)
        samples = [self.generate(*inputs, ema=ema) for ema in (True, False)]
        check_finite({**self.state(), "samples": samples}, int(self.step.numpy()))
