import pytest

from tests.networks import make_gan
from tf_diffaug.augment import parse_policy
from tf_diffaug.training.modes import FAILURES, resolve_augment
from tf_diffaug.training.regularizers import R1

POLICY = parse_policy("color")
EMPTY = parse_policy("none")


class UsesPolicy(R1):
    uses_policy = True


def test_unset_it_follows_from_policy_and_regularizers():
    assert resolve_augment(POLICY, None) == "both"
    assert resolve_augment(EMPTY, None) == "none"
    assert resolve_augment(POLICY, None, [R1()]) == "both"
    assert resolve_augment(POLICY, None, [UsesPolicy()]) == "none"


class UsesItBeside(UsesPolicy):
    beside_losses = True


def test_what_uses_the_policy_beside_the_losses_leaves_it_to_them():
    assert resolve_augment(POLICY, None, [UsesItBeside()]) == "both"
    assert resolve_augment(POLICY, None, [UsesItBeside(), UsesPolicy()]) == "none"
    assert resolve_augment(POLICY, "none", [UsesItBeside()]) == "none"
    with pytest.raises(ValueError, match="give a policy"):
        resolve_augment(EMPTY, None, [UsesItBeside()])


@pytest.mark.parametrize("augment", ["reals", "d_only", "both"])
def test_set_it_stands(augment):
    assert resolve_augment(POLICY, augment) == augment
    assert resolve_augment(POLICY, augment, [UsesPolicy()]) == augment
    with pytest.raises(ValueError, match="needs a policy"):
        resolve_augment(EMPTY, augment)


class Steers(R1):
    steers_policy = True


def test_what_steers_the_policy_needs_it_in_the_losses():
    assert resolve_augment(POLICY, None, [Steers()]) == "both"
    assert resolve_augment(POLICY, None, [Steers(), UsesPolicy()]) == "both"
    assert resolve_augment(POLICY, "reals", [Steers()]) == "reals"
    for policy, augment in ((EMPTY, None), (POLICY, "none")):
        with pytest.raises(ValueError, match="r1 steers the policy's ops"):
            resolve_augment(policy, augment, [Steers(), R1()])


class SteersLevel(Steers):
    steers_level = True


def test_what_steers_a_level_needs_an_op_that_has_one():
    noise = parse_policy("color,diffusion_noise")
    assert resolve_augment(noise, None, [SteersLevel()]) == "both"
    for policy in (EMPTY, POLICY):
        with pytest.raises(ValueError, match=f"r1 says how far diff.*Received: policy='{policy}'"):
            resolve_augment(policy, None, [SteersLevel()])


def test_a_policy_that_nothing_uses_is_refused():
    with pytest.raises(ValueError, match="Received: augment='none', policy='color'"):
        resolve_augment(POLICY, "none")
    assert resolve_augment(POLICY, "none", [UsesPolicy()]) == "none"


def test_an_unknown_mode_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'reals'"):
        resolve_augment(POLICY, "real")


@pytest.mark.parametrize("augment", [None, "none", "reals", "d_only", "both"])
def test_what_the_papers_saw_fail_is_warned_of(augment, caplog):
    caplog.set_level("WARNING", logger="tf_diffaug.training.gan")  # train.py silences it
    policy = None if augment == "none" else "color"
    make_gan(policy=policy, augment=augment)
    expected = [FAILURES[augment]] if augment in ("reals", "d_only") else []
    assert caplog.messages == expected
