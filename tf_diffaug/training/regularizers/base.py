"""What a regularizer is, and what most of them need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tf_diffaug import random
from tf_diffaug.augment import DiffAugment, Policy, as_policy
from tf_diffaug.language import is_number as is_number
from tf_diffaug.language import is_whole, literal
from tf_diffaug.schedules import Schedule, as_schedule, ends
from tf_diffaug.training.calls import call_discriminator
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.networks import Networks
from tf_diffaug.training.regularizers.update import Update
from tf_diffaug.training.scheduled import value_at

Batch = tuple[tf.Tensor, tf.Tensor | None]  # images and, for conditional networks, labels


class Regularizer:
    """A term of D's or G's loss besides the adversarial one, or another hand in the step.

    A subclass states what it does other than the defaults here, which do nothing. It may own
    variables, made in `build`: D's optimizer trains the trainable ones, and the checkpoint holds
    all. A step calls, in this order: for D's update `exchange_reals`, `discriminator_views`,
    `discriminator_term`; for G's `generator_views`, `weigh_fakes`, `generator_term`; then `gauges`.

    Args:
        weight: factor of the term, 0 or more: a number, a `Schedule` or the text of one. A term has
            it by `weight_at(update)`.

    Raises:
        ValueError: if the weight is negative.
    """

    name: str
    summary: str = ""  # what it does, one line that follows its name; one that is registered has it
    of: str = "D"  # whose updates it changes: "D", "G" or "D, G"
    term: str = ""  # its formula without the weight, for the documentation
    source: str = ""  # arXiv numbers, or what else it is from
    views: tuple[str, ...] = ()  # needed in D's updates, besides those of the adversarial loss
    uses_policy: bool = False  # whether the run's policy has a use in it without standing elsewhere
    beside_losses: bool = False  # whether it uses the policy beside losses that augment by it too
    steers_policy: bool = False  # whether it changes how the losses augment
    steers_level: bool = False  # whether it says how far ops that have a level go
    reads_signs: bool = False  # whether it takes a single logit of D, or its sign, for a verdict
    needs_features: bool = False  # whether it looks at D's features
    needs_maps: bool = False  # whether it looks at D's maps, which FastGAN's gives
    needs_styles: bool = False  # whether G must have styles, as StyleGAN2 has
    normalization: str | None = None  # of D's layers, as the models' option says; None: any
    excludes: tuple[str, ...] = ()  # names of those that exclude it
    features: str | None = None  # the name of the feature extractor that it looks through
    fills_labels: bool = False  # whether it labels reals that come without, their label -1

    def __init__(self, weight: float | str | Schedule) -> None:
        value = as_schedule(weight, f"{self.name} weight")
        if ends(value)[0] < 0:
            raise ValueError(f"A weight is 0 or more. Received: {self.name} weight={weight!r}.")
        self.weight = value if isinstance(value, Schedule) else float(value)

    def weight_at(self, update: Update) -> float | tf.Tensor:
        """The weight in an update, a float32 scalar where it follows a schedule."""
        return value_at(self.weight, update.seen)

    @property
    def generator_name(self) -> str:
        """What G's term is called in the logs; one that D has too needs another name."""
        return self.name

    def load_features(self, load: Callable[[str], Any]) -> None:
        """Loads the extractor that `features` names, before `build`; training knows none by name.

        Args:
            load: from a name to what has `embed`, as `evaluation.load_extractor`.
        """
        del load

    def build(self, networks: Networks) -> None:
        """Makes the variables, once the networks are there.

        Raises:
            ValueError: if the networks lack what this regularizer needs.
        """
        del networks

    def exchange_reals(self, networks: Networks, draws: Draws, reals: Batch, fakes: Batch) -> Batch:
        """What D is shown as reals in an update, in place of `reals`."""
        del networks, draws, fakes
        return reals

    def discriminator_views(self, update: Update) -> Sequence[str]:
        """The views that D's update needs; own ones are defined here (`update.views.define`)."""
        del update
        return self.views

    def generator_views(self, update: Update) -> Sequence[str]:
        """The views that G's update needs; own ones are defined here."""
        del update
        return ()

    def discriminator_term(self, update: Update) -> tf.Tensor | None:
        """The weighted term of D's loss for each example of this replica's batch, float32 (batch,).

        A scalar stands for all examples; None for no term.
        """
        del update

    def weigh_fakes(self, update: Update, values: tf.Tensor) -> tf.Tensor:
        """G's adversarial loss of each fake, float32 (batch,), as it is to count."""
        del update
        return values

    def generator_term(self, update: Update) -> tf.Tensor | None:
        """The weighted term of G's loss, likewise."""
        del update

    def probability(self) -> tf.Tensor | None:
        """How likely each op is applied to an image, a float32 scalar; None: always."""
        return None

    def level(self) -> tf.Tensor | None:
        """How far the ops that have a level go, a float32 scalar in [0, 1]; None: all the way."""
        return None

    def gauges(self) -> dict[str, tf.Tensor]:
        """Scalars for the logs at a step's end that are no loss; the same on every replica."""
        return {}

    @property
    def trainable_variables(self) -> list:
        """The variables that D's optimizer trains with D."""
        return []

    @property
    def variables(self) -> list:
        """All variables, for the checkpoint."""
        return list(self.trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this regularizer again."""
        return {"weight": self.weight}

    def __str__(self) -> str:
        options = ", ".join(f"{key}={literal(value)}" for key, value in self.get_config().items())
        return f"{self.name}({options})"


def _own_policy(name: str, policy: Any) -> Policy:
    if not isinstance(policy, (str, Policy)):
        raise ValueError(f"{name}: a policy is a text, in quotes. Received: policy={policy!r}.")
    try:
        return as_policy(policy)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class PolicyRegularizer(Regularizer):
    """A regularizer that looks at augmented images: by the run's policy, or by one of its own.

    Args:
        weight: factor of the term.
        policy: this regularizer's own; None for the run's.

    Raises:
        ValueError: if the weight is negative, or the policy none or not one.
    """

    def __init__(self, weight: float, policy: str | Policy | None = None) -> None:
        super().__init__(weight)
        self.policy = None if policy is None else _own_policy(self.name, policy)
        if self.policy is not None and not self.policy.ops:
            raise ValueError(
                f"{self.name} needs a policy that changes images. Received: policy={policy!r}."
            )
        self.uses_policy = self.policy is None

    def build(self, networks: Networks) -> None:
        own = self.policy is not None
        self.augmenter = networks.augmenter
        if own:
            seed = networks.seed
            self.augmenter = DiffAugment(self.policy, data_format="channels_last", seed=seed)

    def define_augmented(self, update: Update, name: str, of: str, kind: str) -> str:
        """Defines the view `name`: the view `of`, augmented with a draw of its own."""
        return update.views.define(
            name, kind, lambda: update.draws.view(update.views[of], name, self.augmenter)
        )

    def get_config(self) -> dict[str, Any]:
        own = {} if self.policy is None else {"policy": str(self.policy)}
        return {**super().get_config(), **own}


def feature_size(networks: Networks, name: str) -> int:
    """The length of D's features.

    Args:
        networks: the networks, with its image shape known.
        name: the regularizer's that asks.

    Raises:
        ValueError: if D gives none, or not one row an image.
    """
    labels = None if networks.num_classes is None else tf.zeros([2], tf.int32)
    images = tf.zeros([2, *networks.image_shape])
    outputs = call_discriminator(
        networks.discriminator, images, labels, training=False, features=True
    )
    features = outputs.features
    if features is None or features.shape.rank != 2:
        found = "none" if features is None else f"features of shape {tuple(features.shape)}"
        raise ValueError(
            f"{name} needs a discriminator that returns a dict of `logits` and `features` (batch, "
            "length), or takes `return_features`. "
            f"Received: {networks.discriminator.name!r} with {found}."
        )
    return features.shape[-1]


def weights_seed(networks: Networks, owner: str, name: str) -> int:
    """The seed of a regularizer's initial weights, an int for Keras' initializers.

    Args:
        networks: the networks, whose seed it follows.
        owner: the regularizer's name.
        name: of the weights among the owner's.
    """
    return random.derive_int(
        networks.seed, "regularizer", index=random.name_index(f"{owner}/{name}")
    )


def checked_whole(name: str, option: str, value: int, *, least: int) -> int:
    """An option's value, if it is a whole number that is large enough.

    Args:
        name: the regularizer's.
        option: what the value is of.
        value: as it was given, of Python's or NumPy's kind.
        least: what is large enough.

    Raises:
        ValueError: if it is not.
    """
    if not is_whole(value) or value < least:
        raise ValueError(
            f"{option} is a whole number from {least}. Received: {name} {option}={value!r}."
        )
    return int(value)
