"""What of a model in training a checkpoint holds, and a look at it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tf_diffaug import random
from tf_diffaug._keras import raw_variables
from tf_diffaug.schedules import Schedule
from tf_diffaug.training.calls import draw_latents
from tf_diffaug.training.finite import check_finite


class Resumable(keras.Model):
    """A Keras model of a generator, a discriminator and all else that training changes."""

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
    def schedules(self) -> dict[str, Schedule]:
        """What follows a schedule, by its name in the logs; it is to be compiled."""
        values: dict[str, Any] = {
            f"{letter}_{name}": schedule
            for letter, update in (("g", self.g_update), ("d", self.d_update))
            for name, schedule in update.schedules.items()
        }
        values |= {f"{r.name}_weight": getattr(r, "weight", None) for r in self.regularizers}
        values["ema_half_life"] = None if self.ema is None else self.ema.half_life
        values["policy_probability"] = self.objective.policy_probability
        return {name: value for name, value in values.items() if isinstance(value, Schedule)}

    def state(self) -> dict[str, list[tf.Variable]]:
        """Every variable of a run by group, in a fixed order: what a checkpoint holds."""
        groups = {
            "generator": raw_variables(self.generator),
            "discriminator": raw_variables(self.discriminator),
            "regularizers": [v for r in self.regularizers for v in r.variables],
            "g_optimizer": self.g_update.state(),
            "d_optimizer": self.d_update.state(),
            "step": [self.step],
        }
        if self.schedules:
            groups["images_seen"] = [self.images_seen]
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
        inputs = latents, self.networks.labels(2, seed)
        samples = [self.generate(*inputs, ema=ema) for ema in (True, False)]
        check_finite({**self.state(), "samples": samples}, int(self.step.numpy()))
