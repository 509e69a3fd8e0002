"""Every op and layer through one list of checks. A registered op is in it."""

import functools

import pytest

from tf_diffaug.augment import DiffAugment
from tf_diffaug.augment.testing import CHECKS, check_replicas, makes_of_ops

# Keras 3 converts its variables with NumPy 2's older protocol when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LAYERS = {
    **makes_of_ops(),
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

# The policies have every kind of op in them; the ops one by one in all ways of running are slow.
QUICK = ("policy", "policy spatial")
CHEAP = ("dtypes", "shapes", "config")
ARITHMETIC = ("draws", "replay", "no_clipping", "gradient", "second_order")


def marks(name, check):
    if name in QUICK or check in CHEAP:
        return ()
    return pytest.mark.one_stack if check in ARITHMETIC else pytest.mark.slow


PAIRS = [pytest.param(name, check, marks=marks(name, check)) for name in LAYERS for check in CHECKS]


@pytest.mark.parametrize(("name", "check"), PAIRS)
def test_conformance(name, check):
    CHECKS[check](LAYERS[name])


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LAYERS],
)
def test_replicas_draw_different_numbers(name, two_replicas):
    check_replicas(LAYERS[name], two_replicas)
