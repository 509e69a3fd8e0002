"""The policy language."""

import contextlib
import dataclasses

import hypothesis
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tf_diffaug import augment
from tf_diffaug.augment import DiffAugment, Op, Policy, as_policy, parse_policy
from tf_diffaug.augment.ops.color import BrightnessOp, ColorOp
from tf_diffaug.augment.ops.cutout import CutoutOp
from tf_diffaug.augment.ops.flip import FlipOp
from tf_diffaug.augment.ops.translation import TranslationOp, TranslationXOp
from tf_diffaug.augment.ops.zoom import CropResizeOp, ZoomOutOp


@pytest.mark.parametrize(
    ("text", "ops", "canonical"),
    [
        ("color", (ColorOp(),), "color"),
        (" color , cutout ", (ColorOp(), CutoutOp()), "color,cutout"),
        ("cutout:0.25", (CutoutOp(0.25),), "cutout:0.25"),
        ("cutout:.5", (CutoutOp(),), "cutout"),
        ("cutout( 1 )", (CutoutOp(1.0),), "cutout:1"),
        ("cutout(strength=0.25)", (CutoutOp(0.25),), "cutout:0.25"),
        ("cutout()", (CutoutOp(),), "cutout"),
        (
            "translation(0.4, fill=reflect)",
            (TranslationOp(0.4, "reflect"),),
            "translation(0.4, fill=reflect)",
        ),
        ("translation(fill='black')", (TranslationOp(fill="black"),), "translation(fill=black)"),
        ("color(brightness=.1)", (ColorOp(brightness=0.1),), "color(brightness=0.1)"),
        ("cutout,cutout", (CutoutOp(), CutoutOp()), "cutout,cutout"),
        ("none", (), "none"),
        ("", (), "none"),
    ],
)
def test_parses_and_prints(text, ops, canonical):
    policy = parse_policy(text)
    assert policy == Policy(ops)
    assert str(policy) == canonical
    assert parse_policy(canonical) == policy


STRENGTHS = st.floats(0, 1)
FILLS = st.sampled_from(["zero", "black", "reflect", "nearest"])
OPS = st.one_of(
    st.builds(BrightnessOp, STRENGTHS),
    st.builds(ColorOp, STRENGTHS, STRENGTHS, STRENGTHS, STRENGTHS),
    st.builds(TranslationOp, STRENGTHS, FILLS, st.booleans()),
    st.builds(TranslationXOp, STRENGTHS, FILLS, st.booleans()),
    st.builds(ZoomOutOp, STRENGTHS, FILLS),
    st.builds(CropResizeOp, STRENGTHS, st.floats(1, 10)),
    st.builds(FlipOp, STRENGTHS),
    st.builds(CutoutOp, STRENGTHS, st.sampled_from(["zero", "black"])),
)


@hypothesis.settings(max_examples=200)
@hypothesis.given(st.lists(OPS, max_size=4))
def test_a_printed_policy_parses_back(ops):
    policy = Policy(tuple(ops))
    assert parse_policy(str(policy)) == policy


@hypothesis.settings(max_examples=300)
@hypothesis.given(st.text(alphabet="colrutn:(),='\"0.4 _[]-", max_size=20))
def test_any_text_is_a_policy_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        policy = parse_policy(text)
        assert parse_policy(str(policy)) == policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour", "Did you mean 'color'.*brightness, color,.* cutout,.* saturation,.* tran"),
        ("Color", "Did you mean 'color'"),
        ("color,,cutout", "this one is ''"),
        ("color,", "this one is ''"),
        ("cutout:", "this one is ''"),
        ("cutout:2", "strength is a number from 0 to 1. Received: strength=2"),
        ("cutout:-0.1", "from 0 to 1"),
        ("cutout:nan", "from 0 to 1"),
        ("cutout:1e999", "from 0 to 1"),
        ("cutout:True", "from 0 to 1"),
        ("cutout(fil=zero)", "Did you mean 'fill'.*strength, fill"),
        (
            "cutout(fill=reflect)",
            "cutout: Unknown fill .* Choose from zero, black. Received: fill='reflect'",
        ),
        ("translation(fill=refelct)", "Did you mean 'reflect'"),
        ("cutout(0.1, 0.2)", "by keyword"),
        ("cutout(0.1, strength=0.2)", "strength is given twice"),
        ("cutout(0.1", "not matched"),
        ("cutout)0.1(", "not matched"),
        ("cutout('a", "not matched"),
        ("cutout 0.1", "name:strength"),
        ("cutout:__import__('os')", "strength is a number from 0 to 1"),
        ("cutout(strength=1+1j)", "from 0 to 1"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_policy(text)


@dataclasses.dataclass(frozen=True)
class NegativeOp(Op):
    """A user's op, with a strength that has no default."""

    name = "negative"
    num_draws = 1
    strength: float

    def params(self, uniform, shape):
        del shape
        return {"share": self.strength * uniform[0]}

    def lower(self, params, shape, value_range):
        del shape, value_range
        share = params["share"][:, None, None, None]
        return augment.FunctionMap(lambda images: images * (1 - 2 * tf.cast(share, images.dtype)))


def test_a_registered_op_is_part_of_the_language():
    with augment.temporarily_registered(NegativeOp):
        layer = DiffAugment("cutout,negative:0.5,color", seed=0)
        assert str(layer.policy) == "cutout,negative:0.5,color"
        assert layer(tf.ones([2, 8, 8, 3])).shape == (2, 8, 8, 3)
        with pytest.raises(ValueError, match=r"no published default.*'negative:0.4'"):
            parse_policy("negative")
        with pytest.raises(ValueError, match="of this name already"):
            augment.register(NegativeOp)
    assert "negative" not in augment.registered_ops()
    with pytest.raises(ValueError, match="Unknown op 'negative'"):
        parse_policy("negative:0.5")


def test_a_name_that_the_language_could_not_read_is_refused():
    for name in ("none", "Two Words", "Upper"):
        with pytest.raises(ValueError, match="lower-case word"):
            augment.register(
                dataclasses.dataclass(frozen=True)(type("Bad", (NegativeOp,), {"name": name}))
            )


def test_as_policy_takes_text_policies_and_ops():
    policy = parse_policy("color,cutout")
    assert as_policy(policy) is policy
    assert as_policy("color,cutout") == policy
    assert as_policy([ColorOp(), CutoutOp()]) == policy
    assert as_policy(["color", CutoutOp()]) == as_policy(("color,cutout",)) == policy
    for wrong in (["color", 3], b"color", 3, None, ColorOp()):
        with pytest.raises(ValueError, match="Received: policy="):
            as_policy(wrong)


def test_parameters_must_fit_the_policy():
    with pytest.raises(ValueError, match=r"takes 2 dicts.*len\(params\)=1"):
        parse_policy("color,cutout").apply(tf.zeros([1, 4, 4, 3]), [{}])
