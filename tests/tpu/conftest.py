"""Skips what needs a TPU's compilers where they are not installed; `make test-tpu` has them."""

import pathlib

import pytest

from tf_diffaug.aot.stages import missing_wheels

HERE = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items):
    missing = missing_wheels()
    if not missing:
        return
    skip = pytest.mark.skip(reason=f"{', '.join(missing)} is for make test-tpu.")
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(skip)
