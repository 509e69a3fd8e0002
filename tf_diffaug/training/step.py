"""One training step: D's updates, then G's.

The networks come in as they are; what the step adds is which views they see, which terms their
losses have, and that each network's spectral norms advance in its own update alone.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from tf_diffaug.layers import advance_power_iteration, batch_views, hold_power_iteration
from tf_diffaug.schedules import Schedule
from tf_diffaug.training.calls import Outputs, call_generator
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.losses import Loss
from tf_diffaug.training.network_optimizer import NetworkOptimizer
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers import Regularizer, Update
from tf_diffaug.training.scheduled import value_at
from tf_diffaug.training.strategy import global_mean, global_size, rows_of, sum_over_replicas
from tf_diffaug.training.views import Mode, Views, discriminate

Examples = tuple[tf.Tensor, tf.Tensor | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """What the networks are trained for.

    Args:
        networks: the two networks.
        mode: the views that the adversarial losses look at.
        loss: the adversarial loss.
        regularizers: the extra terms of the losses, and what else has a hand in the step.
        joint_views: whether D judges all views in one pass.
        policy_probability: how likely each op of the augmentation is applied to an image; None:
            always, or as a regularizer says.
    """

    networks: Networks
    mode: Mode
    loss: Loss
    regularizers: tuple[Regularizer, ...]
    joint_views: bool
    policy_probability: float | Schedule | None = None

    def discriminator_variables(self) -> list:
        """What D's optimizer trains: D's weights and the regularizers'."""
        own = [v for regularizer in self.regularizers for v in regularizer.trainable_variables]
        return [*self.networks.discriminator.trainable_variables, *own]

    def probability(self, seen: tf.Tensor | int = 0) -> tf.Tensor | None:
        """How likely each op of the augmentation is applied to an image, float32; None: always.

        Args:
            seen: how many images were seen.
        """
        if self.policy_probability is not None:
            return tf.convert_to_tensor(value_at(self.policy_probability, seen), tf.float32)
        known = [regularizer.probability() for regularizer in self.regularizers]
        return next((p for p in known if p is not None), None)

    def level(self) -> tf.Tensor | None:
        """How far those of its ops that have a level go, float32; None: all the way."""
        known = [regularizer.level() for regularizer in self.regularizers]
        return next((level for level in known if level is not None), None)

    def gauges(self) -> dict[str, tf.Tensor]:
        """What the regularizers log that is no loss."""
        found: dict[str, tf.Tensor] = {}
        for regularizer in self.regularizers:
            found |= regularizer.gauges()
        return found

    @property
    def batches(self) -> int:
        """The batches of reals in a step."""
        return self.loss.batches(self.networks.d_steps)

    def pairs_labels(self) -> bool:
        """Whether a fake has the label of the real beside it."""
        return self.loss.paired


def train_step(
    objective: Objective,
    images: tf.Tensor,
    labels: tf.Tensor | None = None,
    *,
    step: tf.Tensor,
    seen: tf.Tensor | int = 0,
    g_optimizer: NetworkOptimizer,
    d_optimizer: NetworkOptimizer,
) -> dict[str, tf.Tensor]:
    """Updates D `d_steps` times and G once; returns the losses by name.

    D's are means over its updates.

    Args:
        objective: what is trained, and for what.
        images: reals in [-1, 1], the objective's `batches` in one.
        labels: theirs, int32, if the networks are conditional.
        step: int64 scalar, the number of this step.
        seen: int64 scalar, the images seen before it, by which schedules go.
        g_optimizer: of G's trainable variables.
        d_optimizer: of the objective's `discriminator_variables`.
    """
    networks = objective.networks
    d_steps = networks.d_steps
    batches = objective.batches
    batch_size = _checked(rows_of(images) // batches, batches)
    steered = objective.probability(seen), objective.level()

    def draws(update: int) -> Draws:
        number = step * (d_steps + 1) + update
        return Draws(networks.seed, number, batch_size, networks.augmenter, *steered)

    def reals_of(update: int) -> Examples:
        # Strided, so that each of several replicas takes the updates that a single one would.
        rows = slice(update, batch_size * batches, batches)
        return images[rows], None if labels is None else labels[rows]

    d_logs = []
    for update in range(d_steps):
        index = step * d_steps + update
        one = objective, reals_of(update), draws(update), index, d_optimizer, seen
        d_logs.append(d_optimizer.run(functools.partial(discriminator_step, *one)))
    # The last update's alone would never show a term that is due in others only.
    logs = {name: tf.add_n([one[name] for one in d_logs]) / d_steps for name in d_logs[0]}
    reals = reals_of(d_steps) if objective.loss.paired else None
    one = objective, reals, draws(d_steps), step, g_optimizer, seen
    logs |= g_optimizer.run(functools.partial(generator_step, *one))
    logs = sum_over_replicas(logs)
    logs |= objective.gauges()
    for letter, optimizer in (("d", d_optimizer), ("g", g_optimizer)):
        if optimizer.scale is not None:
            logs[f"{letter}_loss_scale"] = tf.identity(optimizer.scale.factor)
    return logs


def _in_one_update(of: str) -> Callable[[Callable], Callable]:
    """A step in which layers know whose update it is, however often a network is called.

    Spectral norms advance once; what D's layers draw is the update's, the same in every call.
    """

    def decorate(step: Callable) -> Callable:
        @functools.wraps(step)
        def held(
            objective: Objective,
            reals: Examples | None,
            draws: Draws,
            index: tf.Tensor,
            optimizer: NetworkOptimizer,
            seen: tf.Tensor | int = 0,
        ) -> dict[str, tf.Tensor]:
            networks = objective.networks
            scale = None if optimizer.scale is None else tf.identity(optimizer.scale.factor)
            seed = draws.stream("discriminator", "layers")
            with (
                hold_power_iteration(networks.generator, networks.discriminator),
                batch_views({}, seed=seed, of=of, loss_scale=scale),
            ):
                return step(objective, reals, draws, index, optimizer, seen)

        return held

    return decorate


@_in_one_update("D")
def discriminator_step(
    objective: Objective,
    reals: Examples,
    draws: Draws,
    index: tf.Tensor,
    optimizer: NetworkOptimizer,
    seen: tf.Tensor | int = 0,
) -> dict[str, tf.Tensor]:
    """One update of D, its `index`-th, on a batch of reals, with labels or None, and of fakes."""
    networks, mode = objective.networks, objective.mode
    advance_power_iteration(networks.discriminator, trainable_only=True)
    fake_labels = _fake_labels(objective, draws, reals)
    fakes = _fakes(networks, draws, fake_labels)
    for regularizer in objective.regularizers:
        reals = regularizer.exchange_reals(networks, draws, reals, (fakes, fake_labels))
    views = Views(
        reals[0],
        fakes,
        augment_real=draws.augmentation("augment_real"),
        augment_fake=draws.augmentation("augment_fake"),
        labels={"real": reals[1], "fake": fake_labels},
    )
    update = Update(networks, draws, views, {}, mode, index, seen)
    names = [mode.d_real, mode.d_fake]
    for regularizer in objective.regularizers:
        names += regularizer.discriminator_views(update)
    with tf.GradientTape() as tape:
        update.outputs.update(_judge(objective, views, names))
        logits = (update.outputs[name].logits for name in (mode.d_real, mode.d_fake))
        adversarial = objective.loss.of_discriminator(*logits, draws)
        logs = {"d_loss": global_mean(adversarial)}
        for regularizer in objective.regularizers:
            _add(logs, regularizer.name, regularizer.discriminator_term(update))
        total = optimizer.scaled(tf.add_n(list(logs.values())))
    optimizer.apply(tape, total, seen)
    return logs


@_in_one_update("G")
def generator_step(
    objective: Objective,
    reals: Examples | None,
    draws: Draws,
    index: tf.Tensor,
    optimizer: NetworkOptimizer,
    seen: tf.Tensor | int = 0,
) -> dict[str, tf.Tensor]:
    """One update of G, its `index`-th, on a batch of fakes of its own; paired: and of reals."""
    networks, mode = objective.networks, objective.mode
    advance_power_iteration(networks.generator, trainable_only=True)
    labels = _fake_labels(objective, draws, reals)
    with tf.GradientTape() as tape:
        views = Views(
            None if reals is None else reals[0],
            _fakes(networks, draws, labels),
            augment_real=draws.augmentation("augment_real"),
            augment_fake=draws.augmentation("augment_generator"),
            labels={"real": None if reals is None else reals[1], "fake": labels},
        )
        update = Update(networks, draws, views, {}, mode, index, seen)
        judged = [mode.g_fake] if reals is None else [mode.g_fake, mode.d_real]
        names = list(judged)
        for regularizer in objective.regularizers:
            names += regularizer.generator_views(update)
        update.outputs.update(_judge(objective, views, names))
        values = objective.loss.of_generator(*(update.outputs[name].logits for name in judged))
        for regularizer in objective.regularizers:
            values = regularizer.weigh_fakes(update, values)
        logs = {"g_loss": global_mean(values)}
        for regularizer in objective.regularizers:
            _add(logs, regularizer.generator_name, regularizer.generator_term(update))
        total = optimizer.scaled(tf.add_n(list(logs.values())))
    optimizer.apply(tape, total, seen)
    return logs


def _fake_labels(objective: Objective, draws: Draws, reals: Examples | None) -> tf.Tensor | None:
    if objective.pairs_labels():
        return reals[1]
    return draws.labels(objective.networks.label_frequencies)


def _checked(batch_size: int | tf.Tensor, batches: int) -> int | tf.Tensor:
    # A dataset may end with fewer images, how many is known in the graph alone; a replica may then
    # have none.
    message = f"A batch has at least one image for each of the {batches} updates that take reals"
    size = global_size(batch_size)
    if isinstance(size, int) and size < 1:
        raise ValueError(f"{message}. Received: a batch of fewer than {batches} images.")
    check = tf.debugging.assert_positive(size, message)
    if isinstance(batch_size, int):
        return batch_size
    with tf.control_dependencies([check]):
        return tf.identity(batch_size)


def _judge(objective: Objective, views: Views, names: list[str]) -> dict[str, Outputs]:
    return discriminate(
        objective.networks.discriminator,
        views,
        names,
        joint=objective.joint_views,
        features=any(r.needs_features or r.needs_maps for r in objective.regularizers),
    )


def _add(logs: dict[str, tf.Tensor], name: str, values: tf.Tensor | None) -> None:
    if values is not None:
        logs[name] = global_mean(tf.reshape(values, [-1]))


def _fakes(networks: Networks, draws: Draws, labels: tf.Tensor | None) -> tf.Tensor:
    latents = draws.latents(networks.latent_dim, networks.generator)
    seed = draws.seed("generator")
    return call_generator(networks.generator, latents, labels, training=True, seed=seed)
