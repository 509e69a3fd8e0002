"""Every op and layer through one list of checks. A new op is one line in `LAYERS`."""

import functools

import pytest

from tf_diffaug import augment
from tf_diffaug.augment import DiffAugment
from tf_diffaug.augment.testing import CHECKS, check_replicas

# Keras 3 converts its variables with NumPy 2's older protocol when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LAYERS = {
    "brightness": augment.Brightness,
    "saturation": augment.Saturation,
    "contrast": augment.Contrast,
    "color": augment.Color,
    "translation": augment.Translation,
    "translation black": functools.partial(augment.Translation, 0.3, fill="black"),
    "translation reflect": functools.partial(augment.Translation, 0.4, fill="reflect"),
    "translation nearest": functools.partial(augment.Translation, 0.4, fill="nearest"),
    "translation continuous": functools.partial(augment.Translation, 0.4, continuous=True),
    "translationx": functools.partial(augment.TranslationX, 0.4),
    "translationy": functools.partial(augment.TranslationY, 0.4),
    "translationy continuous": functools.partial(augment.TranslationY, 0.4, continuous=True),
    "cutout": augment.Cutout,
    "cutout black": functools.partial(augment.Cutout, 0.25, fill="black"),
    "zoomin": functools.partial(augment.ZoomIn, 0.4),
    "zoomout": functools.partial(augment.ZoomOut, 0.4),
    "zoomout black": functools.partial(augment.ZoomOut, 0.4, fill="black"),
    "zoomout nearest": functools.partial(augment.ZoomOut, 1.0, fill="nearest"),
    "crop_resize": augment.CropResize,
    "scale": functools.partial(augment.Scale, 0.5),
    "scale zero": functools.partial(augment.Scale, 1.0, fill="zero"),
    "flip": augment.Flip,
    "rotation": functools.partial(augment.Rotation, 0.3),
    "rotation black": functools.partial(augment.Rotation, 1.0, fill="black"),
    "redness": functools.partial(augment.Redness, 0.1),
    "greenness": functools.partial(augment.Greenness, 0.1),
    "blueness": functools.partial(augment.Blueness, 0.3),
    "color_jitter": augment.ColorJitter,
    "instance_noise": functools.partial(augment.InstanceNoise, 0.1),
    "cutmix": functools.partial(augment.CutMix, 0.4),
    "mixup": functools.partial(augment.MixUp, 0.3),
    "policy of tints": functools.partial(
        DiffAugment, "redness:0.1,color_jitter:1,contrast,blueness:0.3"
    ),
    "policy of mixes": functools.partial(DiffAugment, "cutmix:0.3,instance_noise:0.1,mixup:0.2"),
    "policy": functools.partial(DiffAugment, "color,translation,cutout"),
    "policy mixed": functools.partial(DiffAugment, "cutout,contrast,cutout(fill=black),color:0.5"),
    "policy spatial": functools.partial(
        DiffAugment, "zoomout:0.4,crop_resize:0.5,flip,rotation:0.1,translationx(0.2, fill=black)"
    ),
}

# The policies have every kind of op in them; the ops one by one in all ways of running are for CI.
QUICK = ("policy", "policy spatial")
CHEAP = ("dtypes", "shapes", "draws", "replay", "no_clipping", "gradient", "second_order", "config")
PAIRS = [
    pytest.param(name, check, marks=() if name in QUICK or check in CHEAP else pytest.mark.slow)
    for name in LAYERS
    for check in CHECKS
]


@pytest.mark.parametrize(("name", "check"), PAIRS)
def test_conformance(name, check):
    CHECKS[check](LAYERS[name])


@pytest.mark.parametrize("name", LAYERS)
def test_replicas_draw_different_numbers(name, two_replicas):
    check_replicas(LAYERS[name], two_replicas)


def test_every_registered_op_is_in_the_list():
    listed = {make(seed=0).op.name for name, make in LAYERS.items() if "policy" not in name}
    assert listed == set(augment.registered_ops())
