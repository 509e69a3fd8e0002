"""A recipe as it is published, which takes long: `make test-tpu-published`."""

import pytest

from tests.tpu.test_cases import compile_case
from tf_diffaug.aot import stages
from tf_diffaug.commands.preset_values import FIRST_PAPER
from tf_diffaug.runs.config import Config

PRESET = next(preset for preset in FIRST_PAPER if preset.name == "biggan-imagenet128")


@pytest.mark.slow
def test_a_core_of_the_published_run_has_room_for_its_step():
    # Two of its 128 cores, with the 16 images that each of them has.
    config = Config(**{**PRESET.settings, "batch_size": 32})
    facts = {"channels": 3, "label_counts": [1300] * 1000}
    compile_case(stages.case_of(config, facts, 2), ["tpu-v3-8"])
