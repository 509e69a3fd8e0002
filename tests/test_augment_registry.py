"""One file is all that an op takes, and what could not work is refused when it is registered."""

import dataclasses
import importlib
import inspect
import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_diffaug
from tf_diffaug import augment
from tf_diffaug.augment import FunctionMap, Op, registry
from tf_diffaug.augment.testing import check_config, check_draws, check_gradient, makes_of_ops

ROOT = pathlib.Path(__file__).resolve().parents[1]
FADE = '''
import dataclasses
import tensorflow as tf
from tf_diffaug.augment import FunctionMap, Op, register

@register
@dataclasses.dataclass(frozen=True)
class FadeOp(Op):
    """(1 - a)·x, with a ~ U(0, s)."""

    name = "fade"
    effect = "fades"
    draws = "a ~ U(0, s)"
    num_draws = 1
    cases = ("fade(0.5, deep=True)",)
    strength: float
    deep: bool = False

    def params(self, uniform, shape):
        return {"fade": self.strength * uniform[0]}

    def lower(self, params, shape, value_range):
        keep = 1.0 - params["fade"][:, None, None, None]
        return FunctionMap(lambda images: images * tf.cast(keep, images.dtype))
'''


@pytest.fixture
def fade(tmp_path, monkeypatch):
    (tmp_path / "one_file_op.py").write_text(FADE)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("one_file_op")
    yield module.FadeOp
    del registry._OPS["fade"], registry._LAYERS["Fade"], sys.modules["one_file_op"]
    keras.saving.get_custom_objects().pop("tf_diffaug>Fade")


def test_an_op_in_one_file_is_found_everywhere(fade):
    assert augment.parse_policy("color,fade:0.3").ops[1] == fade(0.3)
    assert tf_diffaug.Fade is augment.Fade
    assert {"Fade", "Cutout"} <= set(dir(augment))
    layer = augment.Fade(0.3, deep=True, seed=0)
    assert layer.op == fade(0.3, deep=True)
    assert str(inspect.signature(augment.Fade)).startswith("(strength: float, *, deep: bool = ")
    assert "(1 - a)·x" in augment.Fade.__doc__
    assert "| `fade` | fades | a ~ U(0, s) | `strength` | `deep` (`False`) |" in augment.ops_table()
    makes = makes_of_ops()
    assert {"fade:0.4", "fade(0.5, deep=True)"} <= set(makes)
    for check in (check_draws, check_gradient, check_config):
        check(makes["fade(0.5, deep=True)"])
    serialised = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(serialised).op == layer.op


# Another test of the process may have registered one of its own.
OURS = {
    name: op
    for name, op in augment.registered_ops().items()
    if op.__module__.startswith("tf_diffaug.")
}


def test_the_package_lists_the_layers_of_its_ops_without_importing_them():
    layers = augment.registered_layers()
    ours = [name for name, layer in layers.items() if layer.op_class in OURS.values()]
    assert sorted(tf_diffaug._op_layers()) == ours
    assert all(getattr(tf_diffaug, name) is layers[name] for name in ours)


def test_the_table_of_the_docs_is_that_of_the_registry():
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    lines = augment.ops_table().splitlines()
    ours = [line for line in lines[2:] if line.split("`")[1] in OURS]
    assert len(ours) == len(OURS)
    assert "\n".join([*lines[:2], *ours, ""]) in page


def test_the_defaults_are_the_papers():
    """Of 2006.10738 (`DiffAugment_tf.py`), 2002.05709 (`data_util.py`), 2206.02262 (`train.py`)."""
    expected = {
        "brightness": (0.25,),
        "saturation": (1.0,),
        "contrast": (0.5,),
        "color": (1.0, 0.25, 1.0, 0.5),
        "translation": (0.125, "zero", False),
        "cutout": (0.5, "zero"),
        "crop_resize": (0.92, 4 / 3),
        "flip": (0.5,),
        "color_jitter": (0.5, 0.8, 0.8, 0.8, 0.2, 0.8, 0.2),
        "diffusion_noise": (1.0, 0.025),
    }
    found = {
        name: dataclasses.astuple(op())
        for name, op in OURS.items()
        if dataclasses.fields(op)[0].default is not dataclasses.MISSING
    }
    assert found == expected


@pytest.mark.parametrize("name", OURS)
def test_a_bare_layer_is_its_op(name):
    op = OURS[name]
    layer = next(one for one in augment.registered_layers().values() if one.op_class is op)
    arguments = list(inspect.signature(layer).parameters.values())
    assert arguments[-1].name == "kwargs"
    assert [(a.name, a.default) for a in arguments[:-1]] == [
        (f.name, inspect.Parameter.empty if f.default is dataclasses.MISSING else f.default)
        for f in dataclasses.fields(op)
    ]
    assert [a.name for a in arguments if a.kind == a.POSITIONAL_OR_KEYWORD] == ["strength"]
    given = () if arguments[0].default is not inspect.Parameter.empty else (0.3,)
    assert layer(*given, seed=0).op == op(*given)
    images = tf.random.stateless_uniform([4, 9, 8, 3], [1, 2], -1, 1)
    policy = augment.Policy((op(*given),))
    params = policy.sample((4, 9, 8, 3), tf.constant([3, 0]))
    one = layer(*given, seed=0)
    # The draws of a policy are numbered by op, those of an op alone are not.
    if not op(*given).samples_itself:
        np.testing.assert_array_equal(one(images, seed=3), policy.apply(images, params))


class Works(Op):
    name = "works"
    num_draws = 1

    def params(self, uniform, shape):
        return {}

    def lower(self, params, shape, value_range):
        return FunctionMap(lambda images: images)


def made(annotations, base=Works, **attributes):
    attributes = {"__annotations__": annotations, "name": "made", **attributes}
    return dataclasses.dataclass(frozen=True)(type("MadeOp", (base,), attributes))


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (made({}), "first field is its strength.*fields="),
        (made({"fill": str}, fill="zero"), "first field is its strength"),
        (made({"strength": str}, strength="much"), "strength is a number.*default='much'"),
        (made({"strength": float}, strength=True), "strength is a number.*default=True"),
        (made({"strength": float, "other": float}), "but its strength have a default"),
        (made({"strength": float, "seed": int}, seed=0), "called like an argument of every layer"),
        (type("MadeOp", (Works,), {"name": "made"}), "a frozen dataclass: decorate"),
        (type("MadeOp", (), {"name": "made"}), "a subclass of tf_diffaug.augment.Op"),
        (made({"strength": float}, name="Made"), "lower-case word"),
        (made({"strength": float}, num_draws=None), "num_draws = 0 or more"),
        (made({"strength": float}, base=Op, num_draws=1), r"states params\(\)"),
        (made({"strength": float}, params=Op.params), r"states params\(\)"),
        (made({"strength": float}, lower=Op.lower), r"states lower\(\)"),
    ],
)
def test_what_could_not_work_is_refused(op, message):
    with pytest.raises(ValueError, match=message):
        augment.register(op)
    assert "made" not in augment.registered_ops()


def test_an_op_that_is_not_frozen_is_refused_by_python():
    with pytest.raises(TypeError, match="non-frozen"):
        dataclasses.dataclass(type("MadeOp", (Works,), {"__annotations__": {"strength": float}}))


def test_the_name_of_a_layer_is_taken_once():
    op = made({"strength": float})
    op.__name__ = "CutoutOp"
    with pytest.raises(ValueError, match=r"a layer of this class's name already: Cutout"):
        augment.register(op)


def test_an_op_that_is_not_registered_is_not_written_down():
    layer = augment.DiffAugment([made({"strength": float}, strength=0.5)()], seed=0)
    assert layer(tf.ones([1, 2, 2, 3])).shape == (1, 2, 2, 3)
    with pytest.raises(ValueError, match="MadeOp is not registered"):
        layer.get_config()


@pytest.mark.parametrize("xla", [False, True])
def test_an_op_without_draws_works_alone(xla):
    images = tf.random.stateless_uniform([2, 4, 4, 3], [1, 2])
    with augment.temporarily_registered(
        made(
            {"strength": float},
            strength=0.5,
            num_draws=0,
            lower=lambda self, params, shape, value_range: FunctionMap(lambda x: self.strength * x),
        )
    ):
        for layer in (augment.DiffAugment("made", seed=0), augment.Made(seed=0)):
            run = tf.function(lambda x, layer=layer: layer(x), jit_compile=xla)
            np.testing.assert_array_equal(run(images), 0.5 * images)
        for check in (check_draws, check_config):
            check(lambda **kwargs: augment.DiffAugment("made,made", **kwargs))
