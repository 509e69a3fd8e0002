"""Where the adversarial losses see augmented images: the second coordinate of an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from tf_diffaug.augment import Policy, registered_ops
from tf_diffaug.naming import unknown
from tf_diffaug.schedules import Schedule, as_schedule, ends
from tf_diffaug.training.regularizers import Regularizer
from tf_diffaug.training.views import Mode

# DiffAugment (arXiv 2006.10738, section 3) compares all four: "both" is its method, and it finds
# that with "reals" G imitates the augmentation and with "d_only" has no useful gradient.
MODES = {
    "none": Mode("real", "fake", "fake"),
    "reals": Mode("real_aug", "fake", "fake"),
    "d_only": Mode("real_aug", "fake_aug", "fake"),
    "both": Mode("real_aug", "fake_aug", "fake_aug"),
}

# What the papers saw of the other two (2006.10738, section 3; 2006.02595, section 4.1 for "reals").
FAILURES = {
    "reals": (
        "augment=reals shows D augmented reals and plain fakes: G learns to make augmented "
        "images, in both papers. Expect traces of the augmentation in the samples."
    ),
    "d_only": (
        "augment=d_only never shows D a plain fake, which is what G is told by: in the "
        "DiffAugment paper D was right on over 90 % of augmented images, under 10 % of plain "
        "fakes. Expect poor samples; the logs have these shares as accuracy_real_aug, "
        "accuracy_fake_aug and accuracy_fake."
    ),
}


def resolve_augment(
    policy: Policy, augment: str | None, regularizers: Sequence[Regularizer] = ()
) -> str:
    """Which losses see augmented images: `both` with a policy that nothing else uses, or `none`.

    That is if nobody says so (`augment=None`). A regularizer that steers the policy, such as ADA,
    makes it `both` too, as do those alone that use it beside the losses, such as InsGen.

    Raises:
        ValueError: for an unknown mode, a mode or a regularizer without the policy or the op that
            it needs, or a policy that nothing uses.
    """
    if not (augment is None or (isinstance(augment, str) and augment in MODES)):
        raise ValueError(unknown("augment", augment, MODES))
    users = [regularizer.name for regularizer in regularizers if regularizer.uses_policy]
    if users and not policy.ops:
        raise ValueError(
            f"{' and '.join(users)} compares images with augmented ones: give a policy, such as "
            "'color,translation,cutout', or one of its own where it takes one. "
            "Received: policy='none'."
        )
    _check_levels(policy, regularizers)
    beside = all(
        regularizer.beside_losses for regularizer in regularizers if regularizer.uses_policy
    )
    steered = [regularizer.name for regularizer in regularizers if regularizer.steers_policy]
    if augment is None:
        augment = "both" if policy.ops and (steered or beside) else "none"
    if steered and augment == "none":
        raise ValueError(
            f"{' and '.join(steered)} steers the policy's ops in the adversarial losses: give a "
            "policy, and an augment that applies it there, such as augment='both'. "
            f"Received: policy={str(policy)!r}, augment={augment!r}."
        )
    if augment != "none" and not policy.ops:
        raise ValueError(
            f"augment={augment!r} needs a policy. Received: augment={augment!r}, policy='none'."
        )
    if augment == "none" and policy.ops and not users:
        raise ValueError(
            "Nothing would use the policy: drop it, or apply it, such as by augment='both'. "
            f"Received: augment='none', policy={str(policy)!r}."
        )
    return augment


def _check_levels(policy: Policy, regularizers: Sequence[Regularizer]) -> None:
    steering = [regularizer.name for regularizer in regularizers if regularizer.steers_level]
    if steering and not any(op.has_level for op in policy.ops):
        known = " or ".join(name for name, op in registered_ops().items() if op.has_level)
        raise ValueError(
            f"{' and '.join(steering)} says how far {known} goes: give a policy that has it, such "
            f"as 'color,translation,diffusion_noise'. Received: policy={str(policy)!r}."
        )


def checked_probability(
    policy: Policy,
    probability: float | str | Schedule | None,
    regularizers: Sequence[Regularizer] = (),
) -> float | Schedule | None:
    """How likely each op of the policy is applied to an image; None: always, or as ADA says.

    Raises:
        ValueError: if it is no probability, or there is nothing that it would be of.
    """
    if probability is None:
        return None
    value = as_schedule(probability, "policy_probability")
    received = f"policy_probability={str(probability)!r}"
    if not (ends(value)[0] >= 0 and ends(value)[1] <= 1):
        raise ValueError(f"A policy_probability is in [0, 1]. Received: {received}.")
    if not policy.ops:
        raise ValueError(
            f"policy_probability is how likely each op of a policy is applied: give a policy. "
            f"Received: {received}, policy='none'."
        )
    steered = [r.name for r in regularizers if r.steers_policy and not r.steers_level]
    if steered:
        raise ValueError(
            f"{' and '.join(steered)} moves the probability of the policy's ops itself: leave it "
            f"or policy_probability out. Received: {received}."
        )
    return value
