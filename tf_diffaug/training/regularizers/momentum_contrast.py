"""Momentum contrast on D's features: what the instance discriminations share."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import ordered_variables
from tf_diffaug.layers import batch_views
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.ema import averaged_copy, move_averages, update_average
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.base import (
    Regularizer,
    feature_size,
    is_number,
    weights_seed,
)
from tf_diffaug.training.regularizers.latent import fakes_nearby
from tf_diffaug.training.regularizers.projection import (
    ProjectionHead,
    checked_temperature,
    checked_units,
)
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.strategy import gather_over_replicas, replica_state, rows_of


def info_nce(
    queries: tf.Tensor,
    keys: tf.Tensor,
    negatives: tf.Tensor,
    temperature: float,
    margin: float = 0.0,
) -> tf.Tensor:
    """InfoNCE with a queue (MoCo, arXiv 1911.05722, equation 1): -log softmax of the own key.

    Args:
        queries: float (batch, length), of any norm.
        keys: the positive of each query, of norm 1.
        negatives: (count, length), of norm 1, the same for all queries.
        temperature: by which similarities, cosines, are divided.
        margin: is added to the similarity of each negative.

    Returns:
        float32 (batch,).
    """
    queries = tf.math.l2_normalize(tf.cast(queries, tf.float32), axis=1)
    own = tf.reduce_sum(queries * keys, axis=1, keepdims=True)
    others = tf.matmul(queries, negatives, transpose_b=True) + margin
    logits = tf.concat([own, others], axis=1) / temperature
    return tf.reduce_logsumexp(logits, axis=1) - logits[:, 0]


class Instances:
    """A head, the slow copy of it that makes the keys, and the queue of keys: of one kind of image.

    Args:
        networks: the networks, whose seed the weights and the first queue follow.
        owner: the regularizer's name.
        kind: of the images.
        size: the length of D's features.
        hidden: units of the head's hidden layer, see `ProjectionHead`.
        out: units of its last layer.
        length: of the queue.
    """

    def __init__(
        self,
        networks: Networks,
        owner: str,
        kind: str,
        size: int,
        *,
        hidden: int | None,
        out: int,
        length: int,
    ) -> None:
        self.head, self.slow = (
            ProjectionHead(
                networks, owner, size, hidden=hidden, out=out, name=f"{kind}_head", last_bias=True
            )
            for _ in range(2)
        )
        seed = random.as_seed(weights_seed(networks, owner, f"{kind}_queue"))
        directions = tf.math.l2_normalize(random.normal([length, out], seed), axis=1)
        self.queue = replica_state(directions, f"{owner}_{kind}_queue")
        self._next = replica_state(tf.constant(0, tf.int64), f"{owner}_{kind}_next")

    def keys(self, features: tf.Tensor) -> tf.Tensor:
        """What the slow head makes of features, float32 (batch, out) of norm 1; no gradient."""
        return tf.stop_gradient(tf.math.l2_normalize(self.slow(features), axis=1))

    def follow(self, momentum: tf.Tensor) -> None:
        """Moves the slow head towards the head by `1 - momentum`."""
        pairs = zip(self.slow.variables, self.head.variables, strict=True)
        move_averages(list(pairs), momentum)

    def enqueue(self, keys: tf.Tensor) -> None:
        """Puts the keys of the global batch, row by row, in the places of the oldest ones."""
        keys = gather_over_replicas(keys)
        length = self.queue.shape[0]
        newest = keys[-length:]
        start = tf.convert_to_tensor(self._next)
        end = start + tf.cast(rows_of(keys), tf.int64)
        # XLA wants the ends of a range to be constants.
        count = tf.cast(rows_of(newest), tf.int64)
        places = (end - count + tf.range(count)) % length
        places = tf.ensure_shape(places, newest.shape[:1])
        queue = tf.convert_to_tensor(self.queue)
        self.queue.assign(tf.tensor_scatter_nd_update(queue, places[:, None], newest))
        self._next.assign(end % length)

    @property
    def variables(self) -> list:
        """What a checkpoint holds."""
        return [*self.head.variables, *self.slow.variables, self.queue, self._next]


class MomentumContrast(Regularizer):
    """A term with a slow copy of D, and a head and a queue for each kind of image.

    The query is D's features of T(x) as the adversarial loss shows it, the key the slow D's of a
    second look at x. Before each update of D the slow copies move towards D and the heads; after it
    the queues take the global batch's keys. G's term, of two T of a fake, moves neither.

    Args:
        weight: of D's term.
        generator_weight: of G's term; 0: G has none.
        queue: how many keys are kept; below 1, their share of the training images.
        temperature: by which similarities are divided.
        momentum: how much of the slow weights is kept at each of D's updates.
        hidden: units of a head's hidden layer; None for as many as features, at most 2048.
        out: units of a head's last layer.

    Raises:
        ValueError: if an argument is out of its range, or, when built, D has no features or a
            share is asked for of an unknown number of images.
    """

    of = "D, G"
    needs_features = True
    uses_policy = True
    beside_losses = True
    kinds: tuple[str, ...] = ("fake",)
    margin = 0.0

    def __init__(
        self,
        weight: float,
        generator_weight: float,
        queue: float,
        temperature: float,
        momentum: float,
        hidden: int | None,
        out: int,
    ) -> None:
        super().__init__(weight)
        self.generator_weight = self._checked_weight("generator_weight", generator_weight)
        if not (is_number(queue) and (0 < queue < 1 or (queue >= 1 and queue == int(queue)))):
            raise ValueError(
                "A queue has a whole number of keys, or a share of the training images between 0 "
                f"and 1. Received: {self.name} queue={queue!r}."
            )
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise ValueError(
                f"A momentum is in [0, 1). Received: {self.name} momentum={momentum!r}."
            )
        self.queue = float(queue) if queue < 1 else int(queue)
        self.temperature = checked_temperature(self.name, temperature)
        self.momentum = float(momentum)
        self.hidden, self.out = checked_units(self.name, hidden, out)

    def _checked_weight(self, option: str, weight: float) -> float:
        if not (is_number(weight) and weight >= 0):
            raise ValueError(f"A weight is 0 or more. Received: {self.name} {option}={weight!r}.")
        return float(weight)

    @property
    def generator_name(self) -> str:
        return f"g_{self.name}"

    def build(self, networks: Networks) -> None:
        size = feature_size(networks, self.name)
        length = self._length(networks)
        inputs: Any = tf.zeros([2, *networks.image_shape])
        if networks.num_classes is not None:
            inputs = inputs, tf.zeros([2], tf.int32)
        leave = f"leave out {self.name}"
        self.slow = averaged_copy(networks.discriminator, inputs, otherwise=leave)
        options = {"hidden": self.hidden, "out": self.out, "length": length}
        self.instances = {
            kind: Instances(networks, self.name, kind, size, **options) for kind in self.kinds
        }

    def _length(self, networks: Networks) -> int:
        if self.queue >= 1:
            return int(self.queue)
        if networks.num_images is None:
            raise ValueError(
                f"{self.name} keeps keys for a share of the training images: tell the GAN how many "
                f"there are, GAN(num_images=...), or give the number of keys, as {self.name}("
                f"queue=100). Received: {self.name} queue={self.queue!r}, num_images=None."
            )
        return max(1, int(self.queue * networks.num_images))

    def kind_weights(self, update: Update) -> dict[str, float | tf.Tensor]:
        """The weight of D's term by kind of image."""
        return dict.fromkeys(self.kinds, self.weight_at(update))

    def step(self, latents: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """The step of the latents that leads to the key of a fake, both (batch, latent_dim)."""
        raise NotImplementedError

    def queued(self, kind: str, features: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """What is kept of a batch: the keys, or others, float32 (batch, out) of norm 1."""
        del kind, features
        return keys

    def discriminator_views(self, update: Update) -> tuple[str, ...]:
        momentum = tf.constant(self.momentum)
        update_average(self.slow, update.networks.discriminator, momentum)
        for kind, instances in self.instances.items():
            instances.follow(momentum)
            # Made here, where no tape of D's follows G.
            near = fakes_nearby(update, self.name, self.step) if kind == "fake" else None
            self._define_second_look(update, kind, update.views[kind] if near is None else near)
        return tuple(f"{kind}_aug" for kind in self.kinds)

    def discriminator_term(self, update: Update) -> tf.Tensor:
        terms = []
        for kind, weight in self.kind_weights(update).items():
            keys = self._keys(update, kind)
            terms.append(weight * self._losses(update, kind, keys))
            features = tf.stop_gradient(update.outputs[f"{kind}_aug"].features)
            self.instances[kind].enqueue(self.queued(kind, features, keys))
        return tf.add_n(terms)

    def generator_views(self, update: Update) -> tuple[str, ...]:
        if not self.generator_weight:
            return ()
        self._define_second_look(update, "fake", tf.stop_gradient(update.views["fake"]))
        return ("fake_aug",)

    def generator_term(self, update: Update) -> tf.Tensor | None:
        if not self.generator_weight:
            return None
        return self.generator_weight * self._losses(update, "fake", self._keys(update, "fake"))

    def _define_second_look(self, update: Update, kind: str, images: tf.Tensor) -> None:
        name = f"{self.name}_{kind}"
        look = update.draws.view(images, name, update.networks.augmenter)
        update.views.define(name, kind, lambda: look)

    def _keys(self, update: Update, kind: str) -> tf.Tensor:
        name = f"{self.name}_{kind}"
        views = update.views
        # As it is used, not trained: the copies' norms and moving averages are those of D, where
        # they are kept by the kind of the images, that kind's.
        with batch_views({name: kind}):
            outputs = call_discriminator(
                self.slow, views[name], views.labels(name), training=False, features=True
            )
        return self.instances[kind].keys(outputs.features)

    def _losses(self, update: Update, kind: str, keys: tf.Tensor) -> tf.Tensor:
        instances = self.instances[kind]
        queries = instances.head(update.outputs[f"{kind}_aug"].features)
        negatives = tf.convert_to_tensor(instances.queue)
        return info_nce(queries, keys, negatives, self.temperature, self.margin)

    @property
    def trainable_variables(self) -> list:
        return [v for each in self.instances.values() for v in each.head.trainable_variables]

    @property
    def variables(self) -> list:
        own = [v for instances in self.instances.values() for v in instances.variables]
        return [*ordered_variables(self.slow), *own]

    def get_config(self) -> dict[str, Any]:
        names = ("generator_weight", "queue", "temperature", "momentum", "hidden", "out")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
